"""What the feed says, what listeners are sent, and how much waits for a slow one."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock import ids
from crossdock.bus.connection import Said
from crossdock.inbound.model import EventSummary
from crossdock.inbound.stream import rules
from crossdock.inbound.stream.listener import MOST_BYTES, Listener
from crossdock.inbound.stream.model import Item, Wanted
from proto import subjects

TENANT = ids.encode("ten", ids.new())
SOURCE = ids.new()
EVENT = ids.new()


def said(subject: str | None = None, **changed: str | None) -> Said:
    headers: dict[str, str | None] = {
        "ce-id": ids.encode("evt", EVENT),
        "ce-type": "order.paid",
        "ce-datacontenttype": "application/json",
        "ce-providerid": "p-1",
    }
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    subject = subject or subjects.event(TENANT, ids.encode("src", SOURCE), "order.paid")
    return Said(subject, {n: v for n, v in headers.items() if v is not None}, b"{}")


def summary(event_id: UUID = EVENT, **fields: Any) -> EventSummary:
    values: dict[str, Any] = {
        "id": event_id,
        "source_id": SOURCE,
        "event_type": "order.paid",
        "provider_id": "p-1",
        "content_type": "application/json",
        "size": 2,
        "status": "accepted",
        "violations": (),
        "schema_version": None,
        "encrypted": False,
    }
    return EventSummary(**(values | fields))


def test_a_plain_announcement_says_all() -> None:
    heard = rules.read(TENANT, said())
    assert heard is not None
    assert (heard.event_id, heard.summary, heard.body) == (EVENT, summary(), b"{}")


@pytest.mark.parametrize("name", ["ce-dataref", "ce-status", "ce-schemaversion"])
def test_one_that_does_not_is_read(name: str) -> None:
    heard = rules.read(TENANT, said(**{name: "1"}))
    assert heard is not None
    assert heard.summary is None


def test_no_type_is_an_empty_one() -> None:
    nameless = said(subjects.event(TENANT, ids.encode("src", SOURCE), ""), ce_type="untyped")
    heard = rules.read(TENANT, nameless)
    assert heard is not None
    assert heard.summary is not None
    assert heard.summary.event_type == ""


@pytest.mark.parametrize(
    "message",
    [
        said(f"events.{ids.encode('ten', ids.new())}.{ids.encode('src', SOURCE)}.a"),
        said(f"events.{TENANT}"),
        said(f"events.{TENANT}.x.a"),
        said(f"other.{TENANT}.{ids.encode('src', SOURCE)}.a"),
        said(ce_id=None),
        said(ce_id="evt_1"),
        said(ce_id=ids.encode("src", EVENT)),
        said(crossdock_republished="true"),
    ],
    ids=["tenant", "short", "source", "feed", "nameless", "no-id", "kind", "repeated"],
)
def test_what_is_no_news_of_this_tenants_is_nothing(message: Said) -> None:
    assert rules.read(TENANT, message) is None


@given(st.text(), st.dictionaries(st.sampled_from(["ce-id", "ce-type", "x"]), st.text()))
def test_nothing_that_is_said_breaks_it(subject: str, headers: dict[str, str]) -> None:
    assert rules.read(TENANT, Said(subject, headers, b"")) is None


@pytest.mark.parametrize(
    ("wanted", "takes"),
    [
        (Wanted(), True),
        (Wanted(SOURCE), True),
        (Wanted(UUID(int=1)), False),
        (Wanted(None, "order.*"), True),
        (Wanted(None, "*"), True),
        (Wanted(None, ">"), False),
        (Wanted(None, "order"), False),
        (Wanted(SOURCE, "user.*"), False),
    ],
    ids=range(8),
)
def test_filters(wanted: Wanted, takes: bool) -> None:  # noqa: FBT001
    assert rules.takes(wanted, summary()) is takes


def test_a_frame_names_where_to_go_on() -> None:
    found = rules.frame(summary(), b'{"a":1}', rules.behind(EVENT))
    name = ids.encode("evt", EVENT).encode()
    assert found == b"id: " + name + b'\nevent: event\ndata: {"a":1}\n\n'


def test_one_that_is_long_past_does_not() -> None:
    past = UUID(int=EVENT.int - (60_000 << ids.EPOCH_MS_SHIFT))
    assert rules.frame(summary(past), b"{}", rules.behind(EVENT)).startswith(b"event: event\n")


def test_equal_events_are_encoded_once() -> None:
    shown = []

    def show(event: EventSummary, body: bytes | None) -> bytes:
        shown.append((event, body))
        return b"{}"

    items = [Item(summary(), b"x")]
    for wanted in (Wanted(), Wanted(SOURCE), Wanted(payloads=True), Wanted(SOURCE, "*", True)):  # noqa: FBT003
        assert rules.chunk(wanted, items, show, EVENT)
    assert shown == [(summary(), None), (summary(), b"x")]


def test_the_tick_grows_with_listeners_and_has_an_end() -> None:
    assert rules.tick_s(0) == rules.tick_s(10) == rules.LEAST_TICK_S
    assert rules.LEAST_TICK_S < rules.tick_s(500) < rules.MOST_TICK_S
    assert rules.tick_s(100_000) == rules.MOST_TICK_S


def why(listener: Listener) -> str | None:
    """Return why a listener ended."""
    return listener.ended


async def test_a_slow_reader_is_let_go() -> None:
    listener = Listener(Wanted())
    listener.offer(b"x" * (MOST_BYTES - 1))
    listener.offer(b"y")
    assert why(listener) is None
    listener.offer(b"z")
    assert why(listener) == "lagged"
    assert await listener.next(0) == b""


async def test_one_large_chunk_is_no_lag() -> None:
    listener = Listener(Wanted())
    listener.offer(b"x" * (2 * MOST_BYTES))
    assert len(await listener.next(0)) == 2 * MOST_BYTES
    assert listener.ended is None


async def test_a_reader_waits_for_what_comes_or_for_the_end() -> None:
    listener = Listener(Wanted())
    later = asyncio.get_running_loop().time() + 60
    waiting = asyncio.create_task(listener.next(later))
    await asyncio.sleep(0)
    listener.offer(b"a")
    assert await waiting == b"a"
    waiting = asyncio.create_task(listener.next(later))
    await asyncio.sleep(0)
    listener.end("over")
    assert await waiting == b""
    listener.end("drained")
    assert listener.ended == "over"
    listener.close()


async def test_a_reader_waits_no_longer_than_it_said_however_often_it_asked() -> None:
    listener = Listener(Wanted())
    clock = asyncio.get_running_loop().time
    for _ in range(3):
        until = clock() + 0.02
        listener.offer(b"a")
        assert await listener.next(until) == b"a"
        async with asyncio.timeout(5):
            while clock() < until:
                assert await listener.next(until) == b""
    listener.close()


async def test_who_stops_listening_leaves_no_timer() -> None:
    listener = Listener(Wanted())
    loop = asyncio.get_running_loop()
    waiting = asyncio.create_task(listener.next(loop.time() + 0.02))
    await asyncio.sleep(0)
    listener.close()
    await asyncio.sleep(0.06)
    assert not waiting.done()
    waiting.cancel()
