"""Schemas that pass for harmless and take for ever: whatever is registered, ingest goes on."""

import asyncio
from time import monotonic
from typing import Any, Final

import pytest

from tests.acceptance.house import House
from tests.acceptance.inbound.feed import Feed, open_feed
from tests.acceptance.inbound.registry import propose

LARGE: Final = 480 * 1024
PATIENCE_S: Final = 8.0
"""What one event may take that was made to take long; a healthy one takes milliseconds."""


def filled(item: bytes) -> bytes:
    """Return a list of so many of these that it is as large as an event may be inline."""
    return b"[" + b",".join([item] * (LARGE // (len(item) + 1))) + b"]"


def twice(depth: int) -> tuple[Any, bytes]:
    """Return a schema that tries each level of a body twice, and such a body."""
    again = {"type": "array", "items": {"$ref": "#/$defs/t"}}
    tries = [again, again | {"minItems": 1}, {"const": 2}]
    schema = {"$defs": {"t": {"anyOf": tries}}, "properties": {"data": {"$ref": "#/$defs/t"}}}
    return schema, b"[" * depth + b"1" + b"]" * depth


def of_data(schema: Any) -> Any:
    return {"properties": {"data": schema}}


MANY: Final = [{"const": f"x{number}"} for number in range(300)]
KEYS: Final = b"{" + b",".join(b'"k%05d":1' % number for number in range(40_000)) + b"}"
SLOW: Final[dict[str, tuple[Any, bytes]]] = {
    "two ways down": twice(30),
    "two ways down and very deep": twice(100),
    "choices of numbers": (of_data({"items": {"anyOf": MANY}}), filled(b"1")),
    "choices of objects": (of_data({"items": {"oneOf": MANY}}), filled(b'{"a":1}')),
    "names": (of_data({"propertyNames": {"anyOf": MANY}}), KEYS),
    "words": (
        of_data({"items": {"enum": [{"a": -number} for number in range(3_000)]}}),
        filled(b'{"a":1}'),
    ),
    "patterns of names": (
        of_data({"patternProperties": {f".*{number}x$": False for number in range(900)}}),
        KEYS,
    ),
    "what is left over": (
        of_data(
            {
                "anyOf": [{"contains": {"const": number}} for number in range(400)],
                "unevaluatedItems": False,
            }
        ),
        filled(b'{"a":1}'),
    ),
    "never twice": (of_data({"uniqueItems": True}), filled(b'{"a":[1,{"b":2}]}')),
    "long words": (
        of_data({"items": {"pattern": "(a|b|ab|ba|aab){50,100}c"}}),
        b'["' + b"ab" * (LARGE // 2) + b'"]',
    ),
}


@pytest.fixture(scope="module")
async def quiet(house: House) -> Feed:
    """A source of whose events nobody has a schema."""
    return await open_feed(house)


@pytest.mark.parametrize("kind", SLOW)
async def test_it_is_refused_or_it_is_judged_in_time(house: House, quiet: Feed, kind: str) -> None:
    schema, data = SLOW[kind]
    answer = await propose(house, mode="reject", schema=schema)
    if answer.status == 422:
        return
    name = answer.ok()["name"]
    processes = house.stack.gateway_processes()

    async def slow() -> float:
        started = monotonic()
        serial = quiet.door.webhook().serial
        words = (serial.encode(), name.encode(), serial.encode(), data)
        body = b'{"id":"evt_%s","type":"%s","serial":"%s","data":%s}' % words
        reply = (await quiet.send_raw(body, serial=serial)).reply
        assert reply.status in {202, 413, 422}, reply
        return monotonic() - started

    async with asyncio.timeout(PATIENCE_S):
        took = [await slow() for _ in range(2)]
        await quiet.passed()

    assert max(took) < PATIENCE_S
    assert house.stack.gateway_processes() == processes
