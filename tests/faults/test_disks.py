"""A disk that is full, of the broker or of the database: never a false 202, and it recovers."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from crossdock.embedded import EmbeddedNats, EmbeddedPostgres
from crossdock.samples.sender import new_serial
from tests.conftest import QUICK
from tests.faults import disks
from tests.faults.disks import MIB, Disk, small_disk
from tests.faults.flood import flood
from tests.faults.oracle import Observed, observe
from tests.faults.receiver import Receiver
from tests.faults.rig import Rig, open_rig
from tests.faults.traffic import ACCEPTED
from tests.faults.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(disks.obstacle() is not None, reason=str(disks.obstacle())),
]

BROKERS: Final = 96 * MIB
DATABASES: Final = 160 * MIB
SMALL_LOG: Final = {"max_wal_size": "64MB", "min_wal_size": "32MB"}
REFUSED: Final = 503
FULL: Final = "No space left on device"
LARGE: Final = 400
BODY: Final = 64 * 1024
"""Together less than the broker's disk holds."""


@pytest.fixture(scope="module")
async def cramped() -> AsyncIterator[tuple[Rig, Disk, Disk]]:
    """A rig whose servers have small disks, each its own."""
    with tempfile.TemporaryDirectory(prefix="crossdock-disks-") as name:
        folder = Path(name)
        nats = EmbeddedNats(folder)
        postgres = EmbeddedPostgres(folder, tuning=QUICK | SMALL_LOG)
        for server in (nats, postgres):
            await asyncio.to_thread(server.start)
            await asyncio.to_thread(server.stop)
        with (
            small_disk(nats.folder, BROKERS) as brokers,
            small_disk(postgres.folder, DATABASES) as databases,
        ):
            async with open_rig(folder, nats=nats, postgres=postgres) as rig:
                with rig.supervised():
                    yield rig, brokers, databases


@pytest.fixture
async def witness(cramped: tuple[Rig, Disk, Disk], receiver: Receiver) -> Observed:
    """A tenant of one test's own."""
    rig, *_ = cramped
    await rig.whole()
    tenant = await rig.tenant(f"observed-{new_serial()}")
    return await observe(rig, receiver, tenant.key)


async def test_a_broker_whose_disk_is_full_refuses_and_recovers(
    cramped: tuple[Rig, Disk, Disk], witness: Observed
) -> None:
    _, disk, _ = cramped
    async with witness.traffic(rate=100, retrying=True) as traffic:
        book = traffic.book
        await traffic.more(50)
        disk.fill()
        await until(lambda: any(a.status == REFUSED for a in book.answers[-50:]), "a refusal")
        refused = len(book.accepted)
        await asyncio.sleep(1)
        assert len(book.accepted) == refused, "Nothing is accepted that can't be stored."
        disk.free()
        await traffic.more(100)
    assert book.statuses() <= {ACCEPTED, REFUSED}
    assert set(book.accepted.values()) == {answer.serial for answer in book.answers}
    await witness.check(book)


async def test_a_database_whose_disk_is_full_holds_no_sender_up(
    cramped: tuple[Rig, Disk, Disk], witness: Observed
) -> None:
    rig, _, disk = cramped
    async with witness.traffic(rate=100) as traffic:
        await traffic.more(50)
        disk.fill()
        # More than fits into what it has laid by.
        accepted = await flood(rig, witness, LARGE, BODY)
        await until(lambda: FULL in rig.postgres.log.read_text(), "a database that says so")
        await traffic.more(100)
        disk.free()
        await traffic.more(50)
    assert traffic.book.statuses() == {ACCEPTED}
    traffic.book.accepted |= accepted
    await witness.check(traffic.book)
