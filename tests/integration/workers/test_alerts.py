"""Alerts all the way, by a worker as operators run it: to a real receiver, and by SMTP."""

from typing import Any

import msgspec

from crossdock import ids
from crossdock.access.model import Actor, Principal
from crossdock.alerts.service import Alarm
from crossdock.alerts.settings import Wishes
from crossdock.config import Settings
from crossdock.mail.letters import Letters
from tests.beds.delivery import DeliveryBed, Receiver, until
from tests.beds.mail import MailServer, mail_server
from tests.beds.post import POSTBOX
from tests.beds.worker import Ingest, working

WAIT_S = 60.0


def told(server: MailServer) -> list[tuple[str, str]]:
    """To whom there were letters, and their subjects."""
    return [(one.message["To"], one.message["Subject"]) for one in server.arrived]


async def test_a_destination_that_is_gone_is_told_by_both_ways_and_so_is_its_return(
    worker_settings: Settings, bed: DeliveryBed, ingest: Ingest, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    wishes = Wishes(bed.databases, Alarm(POSTBOX, Letters("https://hooks.example.com")))
    by = Principal(tenant, "active", Actor("user", ids.new()), frozenset())
    await wishes.patch(tenant, {"emails": ["ops@example.com"]}, None, by=by)
    gone = (await bed.destination(tenant, receiver.url("/gone", 410))).destination
    listener = receiver.url("/alerts")
    await bed.destination(tenant, listener, event_types=("crossdock.alert.*",))

    def heard() -> list[Any]:
        return [msgspec.json.decode(call.body) for call in receiver.seen("/alerts")]

    async with mail_server() as server:
        settings = msgspec.structs.replace(worker_settings, mail=server.settings())
        async with working(settings):
            await ingest.accept(bed.arrival(tenant).message)
            await until(lambda: len(heard()) == 1, within_s=WAIT_S)
            await until(lambda: len(told(server)) == 1, within_s=WAIT_S)
            await bed.destinations.switch(tenant, gone.id, "enabled")
            await until(lambda: len(heard()) == 2, within_s=WAIT_S)
            await until(lambda: len(told(server)) == 2, within_s=WAIT_S)
    raised, resolved = heard()
    assert raised["kind"] == resolved["kind"] == "destination_disabled"
    assert (raised["state"], resolved["state"]) == ("open", "resolved")
    assert (raised["subject"], raised["detail"]["last_status"]) == (ids.encode("dst", gone.id), 410)
    assert {to for to, _ in told(server)} == {"ops@example.com"}
    assert f"“{gone.name}” was disabled" in told(server)[0][1]
    assert f"“{gone.name}” is enabled again" in told(server)[1][1]
