"""The same webhook twice, inside the broker's window and beyond it: one event, one effect.

Inside, the broker drops it. Beyond, it is stored again in INGEST, and PostgreSQL's unique keys
know it: of the event's id, and of the dedupe hash within tenant and source.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
import pytest

from crossdock import ids
from crossdock.bus import Bus, connect
from crossdock.samples.sender import new_serial
from proto import subjects
from proto.ingest import IngestedV1, encoder
from tests.faults.flood import message
from tests.faults.oracle import Observed
from tests.faults.rig import Rig
from tests.faults.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WINDOW_S: Final = 0.5


class Shortened(NamedTuple):
    """A broker whose window is short."""

    bus: Bus

    async def publish(self, message: IngestedV1) -> bool:
        """Publish as a gateway does; tell whether the broker knew it already."""
        name = ids.encode("evt", UUID(bytes=message.event_id))
        ack = await self.bus.jetstream().publish(
            subjects.ingest(0), encoder.encode(message), headers={"Nats-Msg-Id": name}
        )
        return bool(ack.duplicate)


@pytest.fixture
async def broker(rig: Rig) -> AsyncIterator[Shortened]:
    """Make the window short for one test; a worker that starts would mend it."""
    bus = await connect(rig.settings.nats)
    jetstream = bus.jetstream()
    config = (await jetstream.stream_info(subjects.INGEST_STREAM)).config
    usual, config.duplicate_window = config.duplicate_window, WINDOW_S
    await jetstream.update_stream(config)
    yield Shortened(bus)
    config.duplicate_window = usual
    await jetstream.update_stream(config)
    await bus.close()


async def drained(broker: Shortened) -> None:
    """Wait until all that was accepted is dealt with."""

    async def is_empty() -> bool:
        info = await broker.bus.jetstream().stream_info(subjects.INGEST_STREAM)
        return info.state.messages == 0

    await until(is_empty, "an empty INGEST")


async def test_inside_the_window_the_broker_drops_it_and_beyond_the_ledger_does(
    rig: Rig, observed: Observed, broker: Shortened
) -> None:
    webhook, serial = await message(rig, observed)
    assert not await broker.publish(webhook)
    assert await broker.publish(webhook), "The broker knows it."
    await observed.receiver.first(serial)

    async def is_forgotten() -> bool:
        return not await broker.publish(webhook)

    await until(is_forgotten, "a broker that has forgotten it", step=WINDOW_S / 5)
    # Accepted by another gateway under another id, from the same sender.
    again = msgspec.structs.replace(webhook, event_id=ids.new().bytes)
    assert not await broker.publish(again)
    await drained(broker)
    last, its_serial = await message(rig, observed)
    await broker.publish(last)
    await observed.receiver.first(its_serial)
    assert len(observed.receiver.of(serial)) == 1, "One effect."
    first, alias = (ids.encode("evt", UUID(bytes=one.event_id)) for one in (webhook, again))
    async with rig.rest(observed.key) as rest:
        assert (await rest.get(f"/v1/events/{alias}"))["id"] == first
        assert len(await rest.all(f"/v1/deliveries?event_id={first}")) == 1


async def test_a_sender_that_repeats_itself_is_answered_and_has_one_effect(
    rig: Rig, observed: Observed, broker: Shortened
) -> None:
    serial = new_serial()
    sent = observed.composer.compose(serial)
    accepted = {}
    async with rig.rest() as anyone:
        for turn in range(4):
            reply = await anyone.call("POST", sent.url, raw=sent.body, headers=sent.headers)
            assert reply.status == 202
            accepted[reply.json()["id"]] = serial
            if turn == 1:
                await observed.receiver.first(serial)
                await asyncio.sleep(WINDOW_S * 2)  # what it knows can't be asked, but by sending
    await drained(broker)
    async with rig.rest(observed.key) as rest:
        found = {(await rest.get(f"/v1/events/{one}"))["id"] for one in accepted}
        assert len(found) == 1
        (event_id,) = found
        assert len(await rest.all(f"/v1/deliveries?event_id={event_id}")) == 1
    assert {one.event_id for one in observed.receiver.of(serial)} == found
