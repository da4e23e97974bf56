"""The hub in this process, on a real broker and database: nothing is lost, and nothing is left."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from crossdock import context, ids
from crossdock.bus import connect
from crossdock.bus.streams import wait_for_streams
from crossdock.config import GatewaySettings, Settings
from crossdock.db import Databases
from crossdock.errors import Busy, Refused, TooManyRequests
from crossdock.inbound.events.service import Events
from crossdock.inbound.model import EventSummary
from crossdock.inbound.stream import channel
from crossdock.inbound.stream.hub import Hub
from crossdock.inbound.stream.model import Wanted
from crossdock.inbound.stream.session import Session
from crossdock.tenancy.service import Tenants
from proto import subjects
from tests.faults.waiting import until

SOURCE = UUID(int=7)


def show(event: EventSummary, body: bytes | None) -> bytes:
    """Return what tests look at."""
    return f"<{event.id}>{body!r}".encode()


class Bed:
    """A hub, and events for it."""

    def __init__(self, hub: Hub, admin: Any, bus: Any) -> None:
        self.hub = hub
        self._admin = admin
        self._bus = bus

    async def store(self, tenant_id: UUID, *, age_s: float = 0, status: str = "accepted") -> UUID:
        """Put an event where a worker would."""
        moment = ids.floor(datetime.now(UTC) - timedelta(seconds=age_s))
        event_id = UUID(int=moment.int | (7 << 76) | (ids.new().int & (1 << 64) - 1))
        await self._admin.execute(
            "INSERT INTO crossdock.events (tenant_id, id, source_id, stream_seq, event_type,"
            " content_type, traceparent, headers, body, status)"
            " VALUES ($1, $2, $3, 1, 'a.b', 'text/plain', '', '[]', 'body', $4)",
            tenant_id,
            event_id,
            SOURCE,
            status,
        )
        return event_id

    async def announce(self, tenant_id: UUID, event_id: UUID, **headers: str) -> None:
        """Say that there is an event, as a worker would."""
        tenant, source = ids.encode("ten", tenant_id), ids.encode("src", SOURCE)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        await self._bus.client.publish(
            subjects.event(tenant, source, "a.b"),
            b"body",
            headers={"ce-id": ids.encode("evt", event_id), "ce-type": "a.b"} | named,
        )


class Reader:
    """One who reads a session."""

    def __init__(self) -> None:
        self.text = b""

    async def write(self, chunk: bytes) -> None:
        self.text += chunk

    def has(self, *events: UUID) -> bool:
        return all(f"<{event}>".encode() in self.text for event in events)

    async def hears(self, *events: UUID) -> None:
        await until(lambda: self.has(*events), lambda: f"{events} in {self.text[-900:]!r}")


@pytest.fixture
async def bed(own_settings: Settings, own_databases: Databases, world: Any) -> AsyncIterator[Bed]:
    """A hub of a test's own."""
    bus = await connect(own_settings.nats)
    await wait_for_streams(bus)
    limits = GatewaySettings(streams=40, tenant_streams=30)
    hub = Hub(own_settings.nats, limits, Events(own_databases), show)
    yield Bed(hub, world.admin, bus)
    await hub.close()
    await bus.close()


@pytest.fixture
async def new_tenant(own_databases: Databases) -> Callable[[], Any]:
    """Makes tenants."""

    async def make() -> UUID:
        return (await Tenants(own_databases).create(f"Tenant {ids.new().hex}")).id

    return make


async def may_stay() -> None:
    """Let a reader go on."""


async def read(bed: Bed, tenant_id: UUID, reader: Reader, **options: Any) -> None:
    """Serve a reader to the end."""
    wanted = options.pop("wanted", Wanted())
    session = Session(bed.hub, tenant_id, wanted, options.pop("check", may_stay), **options)
    with context.bound(tenant_id):
        async with bed.hub.place(tenant_id), bed.hub.listen(tenant_id, wanted) as listener:
            await session.serve(listener, reader.write)


async def test_when_all_have_left_nothing_is_left(bed: Bed, new_tenant: Any) -> None:
    tenants = [await new_tenant() for _ in range(4)]
    first = asyncio.create_task(read(bed, tenants[0], Reader()))
    await until(lambda: bed.hub.channels == 1, "a first listener")
    first.cancel()
    await asyncio.wait({first})
    await until(lambda: bed.hub.channels == 0, "the first one's end")
    before = len(asyncio.all_tasks())
    for _ in range(3):
        readers = [Reader() for _ in range(24)]
        tasks = [
            asyncio.create_task(read(bed, tenants[n % 4], one)) for n, one in enumerate(readers)
        ]
        await until(lambda: all(one.text for one in readers), "listeners")  # noqa: B023
        assert (bed.hub.listening, bed.hub.channels) == (24, 4)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await until(lambda: bed.hub.channels == 0, "no channel")
        assert bed.hub.listening == 0
        await until(lambda: len(asyncio.all_tasks()) <= before, "no task")


async def test_places_are_bounded(bed: Bed, new_tenant: Any) -> None:
    one, other = await new_tenant(), await new_tenant()
    tasks = [asyncio.create_task(read(bed, one, Reader())) for _ in range(30)]
    await until(lambda: bed.hub.listening == 30, "30 listeners")
    with pytest.raises(TooManyRequests):
        await read(bed, one, Reader())
    tasks += [asyncio.create_task(read(bed, other, Reader())) for _ in range(10)]
    await until(lambda: bed.hub.listening == 40, "40 listeners")
    with pytest.raises(Busy):
        await read(bed, other, Reader())
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert bed.hub.listening == 0


async def test_what_was_persisted_meanwhile_and_out_of_order_is_read(
    bed: Bed, new_tenant: Any
) -> None:
    tenant_id = await new_tenant()
    seen = await bed.store(tenant_id, age_s=5)
    late = await bed.store(tenant_id, age_s=20)
    later = await bed.store(tenant_id)
    waiting = [await bed.store(tenant_id, status=one) for one in ("held", "quarantined")]
    reader = Reader()
    task = asyncio.create_task(read(bed, tenant_id, reader, after=seen))
    await reader.hears(late, later)
    live = await bed.store(tenant_id)
    await bed.announce(tenant_id, live)
    await reader.hears(live)
    assert not any(reader.has(one) for one in waiting)
    task.cancel()


async def test_many_pages_are_caught_up_with(bed: Bed, new_tenant: Any) -> None:
    tenant_id = await new_tenant()
    events = [await bed.store(tenant_id, age_s=120 - n / 5) for n in range(450)]
    reader = Reader()
    task = asyncio.create_task(
        read(bed, tenant_id, reader, after=events[0], wanted=Wanted(payloads=True))
    )
    await reader.hears(*events)
    assert all(reader.text.count(f"<{one}>b'body'".encode()) == 1 for one in events)
    task.cancel()


async def test_an_interrupted_feed_is_filled(bed: Bed, new_tenant: Any) -> None:
    tenant_id = await new_tenant()
    reader = Reader()
    task = asyncio.create_task(read(bed, tenant_id, reader))
    await until(lambda: reader.text, "a listener")
    first = await bed.store(tenant_id)
    await bed.announce(tenant_id, first)
    await reader.hears(first)
    missed = [await bed.store(tenant_id, age_s=age) for age in (0, 10, 0)]
    for one in bed.hub._channels.values():
        one.broke()
    await reader.hears(*missed)
    assert b"event: gap" in reader.text
    assert reader.text.count(f"<{first}>".encode()) == 1
    task.cancel()


async def test_a_released_event_is_read_and_names_no_place(bed: Bed, new_tenant: Any) -> None:
    tenant_id = await new_tenant()
    reader = Reader()
    task = asyncio.create_task(read(bed, tenant_id, reader))
    await until(lambda: reader.text, "a listener")
    released = await bed.store(tenant_id, age_s=3600, status="released")
    await bed.announce(tenant_id, released, ce_status="released")
    await reader.hears(released)
    assert ids.encode("evt", released).encode() not in reader.text
    task.cancel()


async def test_who_may_not_stay_is_told_to_go(bed: Bed, new_tenant: Any) -> None:
    async def refuse() -> None:
        raise Refused

    reader = Reader()
    await read(bed, await new_tenant(), reader, check=refuse, heartbeat_s=0.05)
    assert reader.text.endswith(b'event: end\ndata: {"reason":"refused"}\n\n')


async def test_a_stream_says_that_it_lives_and_ends_in_time(bed: Bed, new_tenant: Any) -> None:
    reader = Reader()
    await read(bed, await new_tenant(), reader, heartbeat_s=0.05, life_s=0.5)
    assert b":\n\n" in reader.text
    assert reader.text.endswith(b'event: end\ndata: {"reason":"over"}\n\n')


async def test_draining_ends_all_and_takes_none(bed: Bed, new_tenant: Any) -> None:
    tenant_id = await new_tenant()
    readers = [Reader() for _ in range(5)]
    tasks = [asyncio.create_task(read(bed, tenant_id, one)) for one in readers]
    await until(lambda: all(one.text for one in readers), "listeners")
    bed.hub.drain()
    await asyncio.gather(*tasks)
    assert all(one.text.endswith(b'{"reason":"drained"}\n\n') for one in readers)
    with pytest.raises(Busy):
        await read(bed, tenant_id, Reader())


async def test_who_comes_and_goes_while_a_crowd_is_served_leaves_no_gap(
    bed: Bed, new_tenant: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "AT_ONCE", 1)
    tenant_id = await new_tenant()
    event = await bed.store(tenant_id)

    class Leaver(Reader):
        async def write(self, chunk: bytes) -> None:
            await super().write(chunk)
            if self.has(event):
                raise ConnectionError

    leavers, stayers = [Leaver() for _ in range(10)], [Reader() for _ in range(10)]
    readers = [one for pair in zip(leavers, stayers, strict=True) for one in pair]
    tasks = [asyncio.create_task(read(bed, tenant_id, one)) for one in readers]
    await until(lambda: all(one.text for one in readers), "listeners")
    await bed.announce(tenant_id, event)
    await until(lambda: all(one.has(event) for one in readers), "all hear")
    await until(lambda: bed.hub.listening == 10, "some have left")
    assert all(one.text.count(f"<{event}>".encode()) == 1 for one in readers)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
