"""The REST API on the real server: what only bytes on a socket can show."""

from typing import Any

import msgspec
import pytest

from gateway.request import MAX_BODY_BYTES
from tests.acceptance.house import House
from tests.acceptance.wire import Heard, Wire

TIMEOUT_S = 2.0
"""Of a body, as the stack under test is told."""

GIVE_UP_S = 8.0


def wire(house: House, path: str = "/v1/sources") -> Wire:
    return Wire(f"{house.stack.url}{path}")


def headers(house: House, *more: tuple[str, str]) -> list[tuple[str, str]]:
    return [
        ("Authorization", f"Bearer {house.key}"),
        ("Content-Type", "application/json"),
        *more,
    ]


def problem(heard: Heard) -> Any:
    head, _, body = heard.text.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head.lower(), heard
    return msgspec.json.decode(body)


async def test_a_body_that_stalls_is_given_up(house: House) -> None:
    async with wire(house) as one:
        await one.send(one.head(headers(house, ("Content-Length", "100"))) + b'{"name":')
        heard = await one.hear(GIVE_UP_S)
    assert heard.status == 408, heard
    assert problem(heard)["type"] == "/problems/timed-out"
    assert heard.after_s < TIMEOUT_S + 2


async def test_a_large_body_is_refused_before_it_is_sent(house: House) -> None:
    async with wire(house) as one:
        length = str(MAX_BODY_BYTES + 1)
        await one.send(one.head(headers(house, ("Content-Length", length))))
        heard = await one.hear(GIVE_UP_S)
    assert heard.status == 413, heard
    assert problem(heard)["type"] == "/problems/too-large"


async def test_a_large_body_in_chunks_is_refused(house: House) -> None:
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    async with wire(house) as one:
        await one.send(one.head(headers(house, ("Transfer-Encoding", "chunked"))))
        for _ in range(MAX_BODY_BYTES // 0x10000 + 2):
            await one.send(chunk)
        await one.send(b"0\r\n\r\n")
        heard = await one.hear(GIVE_UP_S)
    assert heard.status in {0, 413}, heard


@pytest.mark.parametrize(
    "path",
    [
        "/v1/sources/%00",
        "/v1/sources/%ff%fe",
        "/v1/sources/src_%0d%0aSet-Cookie:x",
        "/v1/%2e%2e/health",
        "/v1/sources?limit=%00",
        "/v1/sources?%ff=%ff",
        "/v1/sources?" + "a=b&" * 2000,
        "/v1/sources/" + "a" * 8000,
    ],
)
async def test_odd_targets_are_cleanly_refused(house: House, path: str) -> None:
    async with wire(house, path) as one:
        one.target = path
        await one.send(one.head(headers(house), "GET"))
        heard = await one.hear(GIVE_UP_S)
    assert heard.status in {400, 404, 414, 422, 431}, heard
    assert b"set-cookie" not in heard.text.partition(b"\r\n\r\n")[0].lower()


async def test_two_authorization_headers_are_none(house: House) -> None:
    async with wire(house) as one:
        both = [*headers(house), ("Authorization", f"Bearer {house.key}")]
        await one.send(one.head(both, "GET"))
        heard = await one.hear(GIVE_UP_S)
    assert heard.status == 401, heard


async def test_security_headers_come_through_the_server(house: House) -> None:
    for caller, path in ((house.rest, "/v1/sources"), (house.anyone, "/v1/sources")):
        reply = await caller.call("GET", path)
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cache-control"] == "no-store"


async def test_etags_and_locations_come_through_the_server(house: House) -> None:
    made = await house.rest.call("POST", "/v1/sources", {"name": "wire", "scheme": "github"})
    assert made.status == 201
    path = made.headers["location"]
    changed = await house.rest.call(
        "PATCH", path, {"name": "wire 2"}, headers={"if-match": made.headers["etag"]}
    )
    assert changed.status == 200
    again = await house.rest.call(
        "PATCH", path, {"name": "wire 3"}, headers={"if-match": made.headers["etag"]}
    )
    assert again.status == 412


async def test_the_payload_comes_byte_for_byte(house: House) -> None:
    door = await house.door("none")
    body = b'{"n":1.0000000000000000000001,"n":"\xc3\xbc"}\r\n'
    event_id = await door.accepted(door.webhook(body=body))
    await house.event(event_id)
    reply = await house.rest.call("GET", f"/v1/events/{event_id}/payload")
    assert (reply.status, reply.body) == (200, body)
    assert reply.headers["content-type"] == "application/octet-stream"
