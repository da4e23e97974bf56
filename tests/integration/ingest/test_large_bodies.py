"""Bodies too large for a message: in the bucket first, then the message that names them."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from crossdock.bus import Bus, connect
from crossdock.bus.objects import ObjectWriter
from crossdock.bus.publisher import Publisher
from crossdock.bus.streams import wait_for_streams
from crossdock.config import GatewaySettings
from crossdock.embedded import EmbeddedNats
from crossdock.errors import BrokerUnavailable
from crossdock.inbound.bodies import Bodies, BodyGone
from gateway.ingest import Ingest
from proto import subjects
from tests.integration.ingest.conftest import SETTINGS, Source, Sources, events

INLINE = 64 * 1024
LARGE = secrets.token_bytes(INLINE * 5) + b"\x00" * 3
BUCKET = f"OBJ_{subjects.BODIES_BUCKET}"
TINY = 1024 * 1024


@pytest.fixture
def gateway_settings() -> GatewaySettings:
    return msgspec.structs.replace(
        SETTINGS, inline_body_bytes=INLINE, large_bodies_bytes=4 * len(LARGE)
    )


@pytest.fixture
async def bus(private_nats: EmbeddedNats) -> AsyncIterator[Bus]:
    """A broker whose bucket has room for a megabyte."""
    settings = msgspec.structs.replace(private_nats.settings(), bodies_max_bytes=TINY)
    found = await connect(settings, wait_s=10)
    await wait_for_streams(found)
    yield found
    await found.close()


@pytest.fixture
def source(sources: Sources) -> Source:
    return sources.add("github", "s3cret")


async def send(http: httpx.AsyncClient, source: Source, body: bytes) -> httpx.Response:
    headers = source.signed(body, time.time())
    return await http.post(f"/in/{source.token}", content=body, headers=headers)


async def stored(bus: Bus, stream: str = BUCKET) -> int:
    """Return how many messages a stream has."""
    return (await bus.jetstream().stream_info(stream)).state.messages


async def test_a_large_body_is_fetched_by_its_claim(
    http: httpx.AsyncClient, bus: Bus, source: Source
) -> None:
    small, bodies = b'{"a":1}' * 100, Bodies(bus)

    answer, other = await send(http, source, LARGE), await send(http, source, small)

    assert (answer.status_code, other.status_code) == (202, 202)
    found = await events(bus)
    large = found[answer.json()["id"]]
    assert (large.body, large.claim) == (b"", answer.json()["id"])
    assert await bodies.fetch(large.claim) == LARGE
    plain = found[other.json()["id"]]
    assert (plain.body, plain.claim) == (small, "")

    await bodies.delete([large.claim])

    assert await stored(bus) == 0
    with pytest.raises(BodyGone):
        await bodies.fetch(large.claim)


@pytest.mark.parametrize("size", [INLINE, INLINE + 1], ids=["the largest message", "one more"])
async def test_the_bound_is_exact(
    http: httpx.AsyncClient, bus: Bus, source: Source, size: int
) -> None:
    answer = await send(http, source, b"x" * size)

    (event,) = (await events(bus)).values()
    assert answer.status_code == 202
    assert bool(event.claim) == (size > INLINE)


async def test_a_body_of_unknown_length_goes_by_its_size(
    http: httpx.AsyncClient, bus: Bus, source: Source
) -> None:
    async def chunks(body: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(body), 10_000):
            yield body[start : start + 10_000]

    for body in (LARGE, b"small"):
        headers = source.signed(body, time.time())
        answer = await http.post(f"/in/{source.token}", content=chunks(body), headers=headers)
        assert answer.status_code == 202

    claims = [event.claim for event in (await events(bus)).values()]
    assert [bool(claim) for claim in claims] == [True, False]
    assert await Bodies(bus).fetch(claims[0]) == LARGE


async def test_the_object_is_there_before_its_message(
    http: httpx.AsyncClient,
    bus: Bus,
    source: Source,
    objects: ObjectWriter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []
    put = objects.put

    async def watched(name: str, data: bytes) -> None:
        await put(name, data)
        seen.append(await stored(bus, subjects.INGEST_STREAM))
        assert await Bodies(bus).fetch(name) == LARGE

    monkeypatch.setattr(objects, "put", watched)

    assert (await send(http, source, LARGE)).status_code == 202
    assert seen == [0]


async def test_an_orphan_is_swept_and_what_is_waited_for_is_not(
    http: httpx.AsyncClient,
    bus: Bus,
    source: Source,
    objects: ObjectWriter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put = objects.put

    async def cut_off(name: str, data: bytes) -> None:
        await put(name, data)
        raise BrokerUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(objects, "put", cut_off)
        assert (await send(http, source, LARGE)).status_code == 503
    assert await stored(bus, subjects.INGEST_STREAM) == 0
    bodies = Bodies(bus)
    await asyncio.sleep(0.05)

    assert await bodies.sweep() == 0, "it is younger than the margin"
    answer = await send(http, source, LARGE[::-1])
    assert await bodies.sweep(margin_s=-1000) == 2, "with such a margin all are old"
    assert answer.status_code == 202
    assert await stored(bus) == 0


async def test_what_a_message_still_waits_for_is_never_old(
    http: httpx.AsyncClient, bus: Bus, source: Source, objects: ObjectWriter
) -> None:
    bodies, jetstream = Bodies(bus), bus.jetstream()
    orphan = "evt_01m83zq41cf2r9s3k8m5h7j6pa"
    await objects.put(orphan, b"x" * 100)
    orphaned = (await jetstream.stream_info(BUCKET)).state.last_seq
    answer = await send(http, source, LARGE)
    # The margin that there would have to be, by the broker's clock, and a little more.
    accepted = (await jetstream.stream_info(subjects.INGEST_STREAM)).state.last_seq
    times = [
        (await jetstream.get_msg(stream, sequence)).time
        for stream, sequence in ((subjects.INGEST_STREAM, accepted), (BUCKET, orphaned + 1))
    ]
    message, body = [one for one in times if one is not None]
    margin_s = (message - body).total_seconds() + 0.01
    await asyncio.sleep(2 * margin_s)

    await bodies.sweep(margin_s)

    assert await bodies.fetch(answer.json()["id"]) == LARGE, "however old it is by now"
    await jetstream.purge_stream(subjects.INGEST_STREAM)
    assert await bodies.sweep(margin_s) in {1, 2}
    assert await stored(bus) == 0


async def test_a_full_bucket_is_503_and_never_a_false_202(
    http: httpx.AsyncClient, bus: Bus, source: Source
) -> None:
    answers = [await send(http, source, LARGE) for _ in range(5)]

    codes = [answer.status_code for answer in answers]
    assert codes[0] == 202
    assert codes[-1] == 503
    assert answers[-1].headers["retry-after"] == "1"
    accepted = {answer.json()["id"] for answer in answers if answer.status_code == 202}
    found = await events(bus)
    assert {event.claim for event in found.values()} == accepted
    for claim in accepted:
        assert await Bodies(bus).fetch(claim) == LARGE

    await Bodies(bus).delete(accepted)
    async with asyncio.timeout(10):
        while (await send(http, source, LARGE)).status_code != 202:
            await asyncio.sleep(0.05)


async def test_a_full_stream_is_503_whatever_the_bucket_holds(
    http: httpx.AsyncClient, bus: Bus, source: Source
) -> None:
    jetstream = bus.jetstream()
    config = (await jetstream.stream_info(subjects.INGEST_STREAM)).config
    await jetstream.update_stream(config.evolve(max_bytes=1))

    answer = await send(http, source, LARGE)

    assert answer.status_code == 503
    assert not await events(bus)
    assert await Bodies(bus).sweep(margin_s=-1) == 1


async def test_a_broker_that_stops_is_503_for_large_bodies_too(
    http: httpx.AsyncClient, private_nats: EmbeddedNats, source: Source
) -> None:
    private_nats.pause()
    try:
        answer = await send(http, source, LARGE)
    finally:
        private_nats.resume()

    assert answer.status_code == 503


class Stalled:
    """A sender that sends a part of a large body, and takes its time for the rest."""

    def __init__(self, ingest: Ingest, source: Source, first: int, *, says: bool = True) -> None:
        self._go = asyncio.Event()
        self._parts = [LARGE[:first], LARGE[first:]]
        self.answer: list[Any] = []
        pairs = [*source.signed(LARGE, time.time()).items()]
        pairs += [("content-length", str(len(LARGE)))] if says else []
        scope = {
            "type": "http",
            "method": "POST",
            "path": f"/in/{source.token}",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in pairs],
            "client": ("127.0.0.1", 1),
        }
        self._task = asyncio.create_task(ingest(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        if len(self._parts) == 1:
            await self._go.wait()
        body = self._parts.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(self._parts)}

    async def _send(self, message: Any) -> None:
        self.answer.append(message)

    async def end(self) -> int:
        """Let it send the rest; return the status of its answer."""
        self._go.set()
        await self._task
        status: int = self.answer[0]["status"]
        return status


@pytest.mark.parametrize("says", [True, False], ids=["announced", "of unknown length"])
async def test_memory_for_large_bodies_is_bounded_and_shared(
    http: httpx.AsyncClient, ingest: Ingest, sources: Sources, *, says: bool
) -> None:
    one, other, third = [sources.add("github", "s3cret") for _ in range(3)]
    most = len(LARGE) - 1
    mine = [Stalled(ingest, one, most, says=says) for _ in range(2)]
    await asyncio.sleep(0.01)

    assert (await send(http, one, LARGE)).status_code == 503, "half of it is a tenant's"
    assert (await send(http, one, b"small")).status_code == 202
    theirs = [Stalled(ingest, other, most, says=says) for _ in range(2)]
    await asyncio.sleep(0.01)
    crowded = await send(http, third, LARGE)
    assert (crowded.status_code, crowded.headers["retry-after"]) == (503, "2")
    assert (await send(http, third, b"small")).status_code == 202

    assert [await stalled.end() for stalled in mine] == [202, 202]
    for stalled in theirs:
        await stalled.end()
    assert not ingest._unusual.room._held


async def test_who_announces_much_and_sends_little_holds_nothing(
    http: httpx.AsyncClient, ingest: Ingest, sources: Sources
) -> None:
    one, other = [sources.add("github", "s3cret") for _ in range(2)]
    waiting = [
        Stalled(ingest, source, INLINE, says=says)
        for source in (one, other)
        for says in (True, False)
        for _ in range(20)
    ]
    await asyncio.sleep(0.01)

    assert not ingest._unusual.room._held
    assert (await send(http, one, LARGE)).status_code == 202
    for stalled in waiting:
        await stalled.end()
    assert not ingest._unusual.room._held


async def test_room_is_given_back_however_it_ends(
    http: httpx.AsyncClient, ingest: Ingest, sources: Sources, source: Source
) -> None:
    room = ingest._unusual.room
    before = room._left
    broken = sources.add("github", "s3cret", indexed=("no pointer",))

    await http.post(f"/in/{source.token}", content=LARGE)
    await send(http, source, b"x" * (SETTINGS.max_body_bytes + 1))
    assert (await send(http, broken, LARGE)).status_code == 503
    assert (await send(http, source, LARGE)).status_code == 202

    assert room._left == before
    assert not room._held


async def test_without_a_place_for_them_large_bodies_are_503(
    bus: Bus, sources: Sources, source: Source, gateway_settings: GatewaySettings
) -> None:
    publisher = Publisher(bus.settings)
    await publisher.wait_connected()
    transport = httpx.ASGITransport(Ingest(sources, publisher, gateway_settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://inside") as http:
        assert (await send(http, source, LARGE)).status_code == 503
        assert (await send(http, source, b"small")).status_code == 202
    await publisher.close()
