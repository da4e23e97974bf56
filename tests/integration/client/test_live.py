"""Live events through both clients: in order, each once, and on from where a stream broke off."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from crossdock.client import Client, ConnectionFailed, LiveEvent, Retry, UnexpectedAnswer, errors
from tests.beds.asking import Asking, asking
from tests.beds.faulty import Cut, Faulty, Reply, faulty

QUICK = Retry(tries=3, base_s=0.01, cap_s=0.02)
STREAM = {"content-type": "text/event-stream; charset=utf-8"}
SOURCE = "src_1"


def event(number: int, **more: Any) -> dict[str, Any]:
    """Return an event as the server tells of it."""
    return {
        "id": f"evt_{number}",
        "source_id": SOURCE,
        "event_type": "invoice.paid",
        "provider_id": None,
        "content_type": "application/json",
        "size": 2,
        "received_at": datetime(2026, 1, 1, tzinfo=UTC),
        **more,
    }


def frame(number: int, **more: Any) -> bytes:
    """Return the frame of an event."""
    data = msgspec.json.encode(event(number, **more)).decode()
    return f"id: evt_{number}\nevent: event\ndata: {data}\n\n".encode()


def stream(*frames: bytes) -> Reply:
    """Return an answer that ends after these frames."""
    return Reply(200, b": hello\n\nretry: 1000\n\n" + b"".join(frames), STREAM)


def refusal(status: int, name: str) -> Reply:
    body = msgspec.json.encode({"type": f"/problems/{name}", "status": status})
    return Reply(status, body, {"content-type": "application/problem+json"})


@pytest.fixture
async def server() -> AsyncIterator[Faulty]:
    async with faulty() as found:
        yield found


@pytest.fixture(params=["waited", "awaited"])
async def client(request: pytest.FixtureRequest, server: Faulty) -> AsyncIterator[Asking]:
    async with asking(request.param, server.url, "a-token", retry=QUICK) as found:
        yield found


async def heard(client: Asking, **wanted: Any) -> tuple[list[LiveEvent], Exception]:
    """Listen until the stream can't be gone on with; return what came, and why it ended."""
    came: list[LiveEvent] = []

    def keep(asked: Any) -> Any:
        live = asked.live(**wanted)
        if isinstance(asked, Client):
            came.extend(live)  # what came before an error stays
            return None
        return _drain(live, came)

    with pytest.raises((errors.ClientError,)) as ended:
        await client.ask(keep)
    return came, ended.value


async def _drain(live: AsyncIterator[LiveEvent], came: list[LiveEvent]) -> None:
    async for found in live:
        came.append(found)  # noqa: PERF401 - what came before an error stays


async def test_events_come_in_their_order_and_each_once(client: Asking, server: Faulty) -> None:
    server.deal(stream(frame(1), frame(2), frame(2), frame(1), frame(3)), refusal(403, "forbidden"))

    came, ended = await heard(client)

    assert [one.id for one in came] == ["evt_1", "evt_2", "evt_3"]
    assert isinstance(ended, errors.Forbidden)


async def test_a_broken_stream_is_gone_on_with_behind_the_last_event(
    client: Asking, server: Faulty
) -> None:
    server.deal(
        stream(frame(1), frame(2)),
        Cut(),
        stream(frame(2), frame(3)),
        refusal(401, "unauthenticated"),
    )

    came, ended = await heard(client, source_id=SOURCE, event_type="invoice.*", payload=True)

    assert [one.id for one in came] == ["evt_1", "evt_2", "evt_3"]
    assert isinstance(ended, errors.Unauthenticated)
    query = "source_id=src_1&event_type=invoice.%2A&include=payload"
    assert [seen.path for seen in server.seen] == [
        f"/v1/events/stream?{query}",
        f"/v1/events/stream?{query}&after=evt_2",
        f"/v1/events/stream?{query}&after=evt_2",
        f"/v1/events/stream?{query}&after=evt_3",
    ]
    assert {seen.headers["authorization"] for seen in server.seen} == {"Bearer a-token"}


async def test_an_event_without_a_place_of_its_own_does_not_move_the_place_to_go_on_from(
    client: Asking, server: Faulty
) -> None:
    released = frame(1).split(b"\n", 1)[1]
    server.deal(stream(frame(2), released), refusal(403, "forbidden"))

    came, _ = await heard(client)

    assert [one.id for one in came] == ["evt_2", "evt_1"]
    assert server.seen[-1].path.endswith("after=evt_2")


async def test_one_may_begin_behind_an_event(client: Asking, server: Faulty) -> None:
    server.deal(refusal(404, "not-found"))

    await heard(client, after="evt_7")

    assert [seen.path for seen in server.seen] == ["/v1/events/stream?after=evt_7"]


async def test_it_waits_while_the_server_has_too_many_listeners(
    client: Asking, server: Faulty
) -> None:
    server.deal(refusal(503, "busy"), stream(frame(1)), refusal(403, "forbidden"))

    came, _ = await heard(client)

    assert [one.id for one in came] == ["evt_1"]


async def test_streams_that_break_without_a_word_are_given_up(
    client: Asking, server: Faulty
) -> None:
    server.deal(*[Cut()] * QUICK.tries, stream(frame(1)))

    came, ended = await heard(client)

    assert (came, len(server.seen)) == ([], QUICK.tries)
    assert isinstance(ended, ConnectionFailed)


async def test_what_it_does_not_know_is_left_out(client: Asking, server: Faulty) -> None:
    odd = b"event: gap\ndata: {}\n\nevent: of-tomorrow\ndata: what\n\n"
    server.deal(stream(odd, frame(1, more="of tomorrow")), refusal(403, "forbidden"))

    came, _ = await heard(client)

    assert [one.id for one in came] == ["evt_1"]


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(200, b"<html>", {"content-type": "text/html"}), id="a page"),
        pytest.param(stream(b"event: event\ndata: {]\n\n"), id="no JSON"),
        pytest.param(stream(b'event: event\ndata: {"id": 7}\n\n'), id="no event"),
    ],
)
async def test_another_kind_of_answer_is_an_error(
    client: Asking, server: Faulty, reply: Reply
) -> None:
    server.deal(reply)

    _, ended = await heard(client)

    assert isinstance(ended, UnexpectedAnswer)


async def test_a_payload_with_any_line_break_of_unicode_is_whole(
    client: Asking, server: Faulty
) -> None:
    text = "one\u2028two\u0085three\u000bfour"
    server.deal(stream(frame(1, payload=text)), refusal(403, "forbidden"))

    came, _ = await heard(client)

    assert [one.payload for one in came] == [text]
