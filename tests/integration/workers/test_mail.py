"""Letters, sent by workers as operators run them."""

import asyncio
import signal
from pathlib import Path

import msgspec
import pytest

from crossdock.config import MailSettings, Settings
from crossdock.mail.folder import MailFolder
from crossdock.mail.model import Mail
from crossdock.mail.service import Postbox
from crossdock.secrets.seal import Sealer
from tests.beds.delivery import DeliveryBed, until
from tests.beds.mail import mail_server
from tests.beds.worker import Ingest, WorkerProcess, working

LETTER = Mail("ann@example.com", "Grüße", "Text\n\n    token\n")


def mailing(settings: Settings, mail: MailSettings) -> Settings:
    """Settings of a worker that does nothing else."""
    worker = msgspec.structs.replace(settings.worker, roles=("maintenance",))
    return msgspec.structs.replace(settings, mail=mail, worker=worker)


async def post(settings: Settings, bed: DeliveryBed, count: int = 1) -> None:
    """Post letters of a new tenant, as a gateway does."""
    postbox = Postbox(Sealer.from_text(settings.keys.mail, setting="mail"))
    tenant = await bed.tenant()
    async with bed.database.tenant(tenant) as conn:
        for _ in range(count):
            await postbox.put(conn, tenant, LETTER)


async def test_a_worker_writes_letters_into_a_folder(
    worker_settings: Settings, bed: DeliveryBed, ingest: Ingest, tmp_path: Path
) -> None:
    folder = MailFolder(tmp_path / "mail")
    async with working(mailing(worker_settings, MailSettings(folder=folder.path))):
        await post(worker_settings, bed, 3)
        await until(lambda: len(folder.letters()) == 3)
    assert {letter.text for letter in folder.letters()} == {LETTER.text}


async def test_a_worker_that_is_stopped_leaves_its_letters_to_the_next(
    worker_settings: Settings, bed: DeliveryBed, ingest: Ingest
) -> None:
    async with mail_server() as server:
        server.hold = asyncio.Event()
        server.at_data = ["die"]
        await post(worker_settings, bed)
        settings = mailing(worker_settings, server.settings())
        async with working(settings) as worker:
            await until(lambda: server.holding == 1)
            worker.send(signal.SIGTERM)
            assert await worker.end() == 0
        server.hold.set()
        server.hold = None
        async with working(settings):
            await until(lambda: len(server.arrived) == 1)
        assert server.arrived[0].message.get_content().replace("\r\n", "\n") == LETTER.text


@pytest.mark.parametrize(
    "mail", [MailSettings(sender="nobody"), MailSettings(smtp_host="x", smtp_user="u")]
)
async def test_a_worker_that_could_never_send_says_so_at_once(
    worker_settings: Settings, mail: MailSettings
) -> None:
    worker = WorkerProcess(mailing(worker_settings, mail))
    await worker.start()
    assert await worker.end() == 2
    [line] = worker.lines
    assert line.startswith(b"crossdock: CROSSDOCK_MAIL__")
