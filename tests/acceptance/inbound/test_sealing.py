"""A source whose payloads are sealed: read by who may, delivered, and in no file in the open."""

import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import asyncpg
import pytest
from sqlalchemy import make_url

from crossdock import ids
from crossdock.embedded.postgres import SUPERUSER
from crossdock.samples.sender import new_serial
from crossdock.supervisor.folder import DataFolder
from tests.acceptance.house import House
from tests.acceptance.inbound.answers import pointers
from tests.acceptance.inbound.feed import Feed, Sent, open_feed
from tests.acceptance.inbound.listener import Listener
from tests.acceptance.inbound.registry import register
from tests.faults.stack import thaw
from tests.faults.waiting import until

LARGE: Final = 900 * 1024
SWAP: Final = """
UPDATE crossdock.events AS target
SET body = other.body, data_key = other.data_key
FROM crossdock.events AS other
WHERE other.id = $1 AND target.id = $2
"""
GREP: Final = shutil.which("grep") or "grep"


@pytest.fixture(scope="module")
async def sealed(house: House) -> Feed:
    return await open_feed(house, encrypts=True)


@pytest.fixture(scope="module")
async def plain(house: House) -> Feed:
    return await open_feed(house)


def files_with(house: House, marker: str) -> set[str]:
    """Return which parts of the stack's data have these words in some file: `grep` says."""
    done = subprocess.run(
        [GREP, "-rlaF", "--", marker, str(house.stack.folder), str(house.stack.log)],
        check=False,
        capture_output=True,
        text=True,
    )
    # Files may go away while it reads; what it found counts.
    root = f"{house.stack.folder}/"
    return {line.removeprefix(root).partition("/")[0] for line in done.stdout.splitlines()}


@contextmanager
def no_worker(house: House) -> Iterator[None]:
    """Let nothing leave INGEST for a while."""
    family = [house.stack.worker, *house.stack.worker.children(recursive=True)]
    for process in family:
        process.suspend()
    try:
        yield
    finally:
        thaw(family)


@asynccontextmanager
async def listening(house: House) -> AsyncIterator[Listener]:
    async with Listener(house.stack.url, house.key, {"include": "payload"}) as listener:
        yield listener


async def large(feed: Feed, marker: str) -> Sent:
    return await feed.send("sealed.large", marker=marker, filler="x" * LARGE)


async def test_a_sealed_payload_is_read_and_delivered_as_it_came(
    house: House, sealed: Feed
) -> None:
    async with listening(house) as listener:
        sent = await sealed.send("sealed.small", card="4111")

        told = await listener.hears(sent.id)

    assert (await sealed.arrived(sent)).body == sent.body
    event = await house.event(sent.id)
    assert event["payload"].encode() == sent.body
    assert event["size"] == len(sent.body)
    raw = await house.rest.call("GET", f"/v1/events/{sent.id}/payload")
    assert raw.body == sent.body
    assert told["payload"].encode() == sent.body
    replayed = await house.rest.post(f"/v1/events/{sent.id}/replay")
    assert replayed
    await until(lambda: len(house.receiver.of(sent.serial)) == 2, "a replay")
    assert {arrival.body for arrival in house.receiver.of(sent.serial)} == {sent.body}


async def test_a_large_sealed_payload_is_too(house: House, sealed: Feed) -> None:
    sent = await large(sealed, new_serial())

    assert (await sealed.arrived(sent)).body == sent.body
    raw = await house.rest.call("GET", f"/v1/events/{sent.id}/payload")
    assert raw.body == sent.body
    assert (await house.event(sent.id))["size"] == len(sent.body)


async def test_a_sealed_payload_is_in_no_file_in_the_open(
    house: House, sealed: Feed, plain: Feed
) -> None:
    hidden, seen, large_one = (f"planted{new_serial()}" for _ in range(3))
    with no_worker(house):
        sent = await sealed.send("sealed.small", marker=hidden)
        big = await large(sealed, large_one)
        control = await plain.send("plain.small", marker=seen)
        assert files_with(house, hidden) == set()
        assert files_with(house, large_one) == set()
        assert "nats" in files_with(house, seen), "Words in the open are found where they are."
    for feed, one in ((sealed, sent), (sealed, big), (plain, control)):
        await feed.arrived(one)
        await house.settled(one.id, "delivered")

    assert files_with(house, hidden) == set()
    assert files_with(house, large_one) == set()
    assert {"nats", "postgres"} <= files_with(house, seen)


async def test_a_sealed_payload_that_breaks_its_schema_stays_sealed(
    house: House, sealed: Feed
) -> None:
    made = await register(house, "quarantine")
    await sealed.judged(made["name"], "quarantined", total="x")
    marker = f"planted{new_serial()}"
    sent = await sealed.send(made["name"], total=marker)
    event = await sealed.event(sent.id, "quarantined")

    assert event["payload"].encode() == sent.body
    assert marker not in str(event["violations"]), "What is kept beside it would be in the open."
    assert files_with(house, marker) == set()
    await house.rest.post(f"/v1/events/{sent.id}/release")
    assert (await sealed.arrived(sent)).body == sent.body


async def test_sealing_goes_on_and_off(house: House) -> None:
    feed = await open_feed(house)
    first = await feed.send("a.b", mark=1)
    await feed.arrived(first)
    await house.rest.call("PATCH", feed.at, {"encrypts": True})

    async def is_sealed() -> Any:
        sent = await feed.send("a.b", marker=(marker := f"planted{new_serial()}"))
        await feed.arrived(sent)
        return None if files_with(house, marker) else sent

    second = await until(is_sealed, "a payload in no file", within=15)
    await house.rest.call("PATCH", feed.at, {"encrypts": False})
    assert second is not None
    for sent in (first, second):
        raw = await house.rest.call("GET", f"/v1/events/{sent.id}/payload")
        assert raw.body == sent.body


async def test_a_sealed_source_dedupes_and_holds_like_any(house: House, sealed: Feed) -> None:
    sent = await sealed.send("a.b", mark=1)
    again = await sealed.send_raw(sent.body, serial=sent.serial)
    assert (await house.event(again.id))["id"] == sent.id
    await house.rest.post(f"{sealed.at}/pause", {"mode": "buffer"})
    held = await sealed.judged("a.b", "held", mark=2)
    await house.rest.post(f"{sealed.at}/resume")
    await house.settled(held, "delivered")
    arrival = next(one for one in sealed.came() if one.event_id == held)
    raw = await house.rest.call("GET", f"/v1/events/{held}/payload")
    assert arrival.body == raw.body


async def test_a_sealed_payload_opens_for_its_own_event_alone(
    house: House, neighbour: House, sealed: Feed
) -> None:
    other = await open_feed(neighbour, encrypts=True)
    mine = await sealed.send("sealed.small", marker="mine")
    again = await sealed.send("sealed.small", marker="mine, too")
    theirs = await other.send("sealed.small", marker="theirs")
    for feed, sent in ((sealed, mine), (sealed, again), (other, theirs)):
        await feed.arrived(sent)
    data = DataFolder(house.stack.folder)
    where = make_url(data.settings().database.url)
    admin = await asyncpg.connect(
        host=where.host,
        port=where.port,
        database=where.database,
        user=SUPERUSER,
        password=data.secrets.password("postgres"),
    )
    try:
        for source, target in ((theirs.id, mine.id), (mine.id, again.id)):
            await admin.execute(SWAP, ids.decode("evt", source), ids.decode("evt", target))
    finally:
        await admin.close()

    for event_id in (mine.id, again.id):
        for path in (f"/v1/events/{event_id}", f"/v1/events/{event_id}/payload"):
            reply = await house.rest.call("GET", path)
            assert b"theirs" not in reply.body
            assert b"mine" not in reply.body
            assert reply.status in {200, 404, 410, 500, 503}, reply


async def test_own_events_are_sealed_as_webhooks_are(house: House) -> None:
    made = await register(house, "quarantine")
    wish = {"id": new_serial(), "event_type": "own.first", "payload": {}}
    await house.rest.post("/v1/events", wish)
    own = next(item for item in await house.rest.all("/v1/sources") if item["scheme"] == "api")
    path = f"/v1/sources/{own['id']}"
    assert (await house.rest.call("PATCH", path, {"encrypts": True})).status == 200
    marker = f"planted{new_serial()}"

    async def stopped() -> Any:
        payload = {"data": {"total": marker}}
        wish = {"id": new_serial(), "event_type": made["name"], "payload": payload}
        event = await house.event((await house.rest.post("/v1/events", wish))["id"])
        return event if event["status"] == "quarantined" else None

    event = await until(stopped, "an event in quarantine", within=10)

    assert event["encrypted"] is True
    assert marker in event["payload"]
    assert marker not in str(event["violations"])
    assert pointers(event["violations"]) == {"/data/total"}
    assert files_with(house, marker) == set()
