"""Schemas made to hurt: each is refused when it is registered, quickly, and says where."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
import psutil
import pytest

from tests.acceptance.house import House
from tests.acceptance.inbound.answers import invalid, refused
from tests.acceptance.inbound.registry import TYPES, new_name, propose, register
from tests.faults.rest import Reply

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def nested(depth: int) -> dict[str, Any]:
    """Return a schema that is so deep."""
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(depth):
        schema = {"properties": {"a": schema}}
    return schema


def doubling(levels: int) -> dict[str, Any]:
    """Return a schema each of whose definitions is the last one twice."""
    definitions: dict[str, Any] = {"l0": {"type": "string"}}
    for level in range(1, levels):
        before = {"$ref": f"#/$defs/l{level - 1}"}
        definitions[f"l{level}"] = {"allOf": [before, before]}
    return {"$defs": definitions, "$ref": f"#/$defs/l{levels - 1}"}


BOMBS: Final[dict[str, Any]] = {
    "doubling": doubling(40),
    "a circle": {
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
        "$ref": "#/$defs/a",
    },
    "itself": {"$ref": "#"},
    "itself among others": {"allOf": [{"type": "object"}, {"$ref": "#"}]},
    "itself by an anchor": {"$anchor": "me", "anyOf": [{"$ref": "#me"}]},
    "itself dynamically": {"$dynamicAnchor": "me", "allOf": [{"$dynamicRef": "#me"}]},
    "negation of itself": {"not": {"$ref": "#"}},
    "depth": nested(200),
    "width": {"anyOf": [{"const": number} for number in range(6_000)]},
    "size": {"description": "x" * 70_000},
    "a number beyond everything": {"properties": {"a": {"maxLength": 10**400}}},
}
REMOTE: Final[dict[str, Any]] = {
    "http": {"$ref": "http://127.0.0.1:9/schema.json"},
    "https": {"properties": {"a": {"$ref": "https://example.com/a.json#/x"}}},
    "a file": {"$ref": "file:///etc/passwd"},
    "another base": {"$id": "http://127.0.0.1:9/root/", "$ref": "other.json"},
    "a base further down": {"properties": {"a": {"$id": "http://127.0.0.1:9/", "$ref": "b"}}},
    "nothing there": {"$ref": "#/$defs/missing"},
    "a dynamic one": {"$dynamicRef": "http://127.0.0.1:9/x#y"},
    "an older dialect": {"$schema": "http://json-schema.org/draft-07/schema#"},
    "a dialect of their own": {"$schema": "http://127.0.0.1:9/dialect"},
    "a vocabulary": {"$schema": DIALECT, "$ref": "https://json-schema.org/draft/2019-09/schema"},
}
REGEXES: Final[dict[str, str]] = {
    "looking back": r"(?<=a)b",
    "looking ahead": r"^(?=.*\d)(?=.*[a-z]).+$",
    "a back-reference": r"^(a+)\1$",
    "too large when compiled": r"^((((\w{1,90}){1,90}){1,90}){1,90})$",
    "a huge count": "a{1000000000}",
    "open": "(",
    "unicode tables over and over": r"(\p{L}{1,100}){1,100}",
}


@pytest.fixture(autouse=True)
async def unharmed(house: House) -> AsyncIterator[None]:
    """Whatever is registered: no gateway dies of it or goes on computing."""
    processes = house.stack.gateway_processes()
    yield
    assert house.stack.gateway_processes() == processes
    assert all(process.status() != psutil.STATUS_ZOMBIE for process in processes)


async def promptly(house: House, **fields: Any) -> Reply:
    """Propose a type; the answer may not take long."""
    async with asyncio.timeout(5):
        return await propose(house, **fields)


@pytest.mark.parametrize("kind", BOMBS)
async def test_a_bomb_is_refused(house: House, kind: str) -> None:
    invalid(await promptly(house, schema=BOMBS[kind]), "/schema")


@pytest.mark.parametrize("kind", REMOTE)
async def test_what_lies_elsewhere_is_not_fetched(house: House, kind: str) -> None:
    invalid(await promptly(house, schema=REMOTE[kind]), "/schema")


@pytest.mark.parametrize("kind", REGEXES)
@pytest.mark.parametrize("where", ["pattern", "patternProperties"])
async def test_a_regex_that_could_run_long_is_refused(house: House, kind: str, where: str) -> None:
    value: Any = REGEXES[kind] if where == "pattern" else {REGEXES[kind]: {}}

    told = invalid(await promptly(house, schema={where: value}), "/schema")

    assert any(
        "pattern" in error["pointer"]
        or "regex" in error["detail"].lower()
        or "pattern" in error["detail"].lower()
        for error in told["errors"]
    ), told


@pytest.mark.parametrize(
    "schema",
    [
        *(7, "text", [], None, [{"type": "object"}]),
        *({"type": "thing"}, {"type": ["object", "thing"]}, {"required": "a"}, {"minimum": "1"}),
        *({"properties": []}, {"enum": 3}, {"maxLength": -1}, {"multipleOf": 0}, {"allOf": []}),
        {"properties": {"a": {"items": [{}]}}},
    ],
)
async def test_what_is_no_schema_is_refused(house: House, schema: Any) -> None:
    invalid(await promptly(house, schema=schema), "/schema")


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"$schema": DIALECT, "type": "object"},
        {"$ref": DIALECT},
        {
            "$defs": {"tree": {"properties": {"left": {"$ref": "#/$defs/tree"}}}},
            "$ref": "#/$defs/tree",
        },
        {"$id": "https://example.com/order", "$defs": {"a": {"$anchor": "n"}}, "$ref": "#n"},
        {"patternProperties": {"^x-[a-z]{1,40}$": {"type": "string", "pattern": r"^\d+$"}}},
        {"properties": {"$ref": {"type": "string"}, "pattern": {"const": "("}}},
        {"enum": [{"$ref": "http://127.0.0.1:9/"}], "default": {"pattern": "("}},
        {"if": {"required": ["a"]}, "then": {"minProperties": 2}, "unevaluatedProperties": False},
        nested(20),
    ],
)
async def test_what_is_one_is_taken(house: House, schema: Any) -> None:
    reply = await promptly(house, schema=schema)

    assert reply.status == 201, reply


@pytest.mark.parametrize("kind", ["doubling", "itself", "depth"])
async def test_a_bomb_is_no_change_and_no_trial_either(house: House, kind: str) -> None:
    made = await register(house)
    path = f"{TYPES}/{made['id']}"
    body = {"schema": BOMBS[kind]}

    async with asyncio.timeout(10):
        invalid(await house.rest.call("PATCH", path, body | {"force": True}), "/schema")
        invalid(await house.rest.call("POST", f"{path}/check", body), "/schema")


@pytest.mark.parametrize(
    "schema",
    [
        b'{"type":"object","type":"string"}',
        b'{"const":"\\ud800"}',
        b'{"properties":{"a\\u0000b":{}}}',
        b'{"const":' + b"9" * 400 + b"}",
        b'{"const":1e999}',
        b'{"const":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b'{"const":"\xff"}',
        b"\xef\xbb\xbf{}",
    ],
)
async def test_odd_json_as_a_schema_is_taken_or_refused_but_never_breaks(
    house: House, schema: bytes
) -> None:
    body = b'{"name":%s,"mode":"warn","schema":%s}' % (msgspec.json.encode(new_name()), schema)
    headers = {"content-type": "application/json"}

    async with asyncio.timeout(5):
        reply = await house.rest.call("POST", TYPES, raw=body, headers=headers)

    if reply.status != 201:
        refused(reply, {400, 422})


async def test_a_schema_in_a_body_beyond_all_measure_is_refused(house: House) -> None:
    body = b'{"name":"x.y","mode":"off","schema":{"description":"' + b"x" * 6_000_000 + b'"}}'

    reply = await house.rest.call(
        "POST", TYPES, raw=body, headers={"content-type": "application/json"}
    )

    refused(reply, {413, 422})
