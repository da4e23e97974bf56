"""What is refused about event types, and of whom; nothing of it does harm."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Final

import pytest

from crossdock import ids
from crossdock.event_types import rules

_numbers = count(1)
JSON: Final = {"content-type": "application/json"}


def nested(depth: int, head: str, tail: str) -> bytes:
    return (head * depth + "true" + tail * depth).encode()


def doubling(levels: int) -> bytes:
    """Return a schema that is small and unfolds to two to the power of its levels."""
    parts = []
    for level in range(levels):
        next_one = f'{{"$ref":"#/$defs/d{level + 1}"}}'
        parts.append(f'"d{level}":{{"allOf":[{next_one},{next_one}]}}')
    return f'{{"$ref":"#/$defs/d0","$defs":{{{",".join(parts)},"d{levels}":true}}}}'.encode()


REFUSED: Final = {
    "null": b"null",
    "a number": b"3",
    "a list": b"[]",
    "no such type": b'{"type": "frob"}',
    "elsewhere": b'{"$ref": "https://example.com/schema.json"}',
    "a file": b'{"$ref": "file:///etc/passwd"}',
    "of the cloud": b'{"$ref": "http://169.254.169.254/latest/meta-data"}',
    "nowhere": b'{"$ref": "#/$defs/none"}',
    "another dialect": b'{"$schema": "http://json-schema.org/draft-04/schema#"}',
    "a dialect of one's own": b'{"$schema": "https://example.com/dialect"}',
    "look-around": b'{"pattern": "(?=a)b"}',
    "a back-reference": b'{"pattern": "(a)\\\\1"}',
    "a huge repetition": b'{"pattern": "((a{1,999}){1,999}){1,999}"}',
    "no pattern": b'{"pattern": "("}',
    "too deep": nested(70, '{"not":', "}"),
    "very deep": nested(20_000, '{"not":', "}"),
    "a bomb": doubling(20),
    "itself": b'{"$ref": "#"}',
    "in a circle": b'{"$ref":"#/$defs/a","$defs":{"a":{"not":{"$ref":"#"}}}}',
    "too many": b'{"anyOf": [' + b",".join([b"{}"] * 6000) + b"]}",
    "a huge number": b'{"maximum": 1e400}',
    "65 KiB": b'{"description": "' + b"x" * 65 * 1024 + b'"}',
    "a lone surrogate": b'{"const": "\\ud800"}',
    "no UTF-8": b'{"const": "\xff"}',
}


@pytest.mark.parametrize("name", sorted(REFUSED))
@pytest.mark.parametrize("way", ["create", "patch", "check"])
async def test_a_schema_that_would_do_harm_is_refused(alice: Any, name: str, way: str) -> None:
    before = await made_by(alice)
    path = f"/v1/event-types/{before['id']}"
    calls = {
        "create": ("POST", "/v1/event-types", b'{"name": "harm", "schema": %s}'),
        "patch": ("PATCH", path, b'{"force": true, "schema": %s}'),
        "check": ("POST", f"{path}/check", b'{"schema": %s}'),
    }
    method, where, body = calls[way]
    answer = await alice.http.request(method, where, content=body % REFUSED[name], headers=JSON)
    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    pointers = [error["pointer"] for error in answer.json().get("errors", ())]
    assert all(pointer == "" or pointer.startswith("/schema") for pointer in pointers), pointers
    assert "passwd" not in answer.json()["detail"]
    shown = await alice.http.get(path)
    assert shown.json() == before


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        (b'{"properties": {"a/b": {"type": 5}}}', "/schema/properties/a~1b/type"),
        (b'{"allOf": [true, {"minLength": -1}]}', "/schema/allOf/1/minLength"),
        (b'{"items": {"pattern": "("}}', "/schema/items/pattern"),
    ],
)
async def test_a_refusal_says_where_in_the_schema(alice: Any, schema: bytes, pointer: str) -> None:
    body = b'{"name": "where", "schema": %s}' % schema
    answer = await alice.http.post("/v1/event-types", content=body, headers=JSON)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "*",
        "a.*",
        ">",
        "a.>",
        "a b",
        " a",
        "a\r\nPUB x 0",
        "a\n",
        "a\tb",
        "a\x00",
        "a\x7f",
        "grün",
        "\u202eevil",
        "a" * 129,
        5,
        None,
    ],
    ids=repr,
)
async def test_a_name_that_could_mean_more_than_itself_is_refused(alice: Any, name: Any) -> None:
    answer = await alice.http.post("/v1/event-types", json={"name": name})
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/name"]


@pytest.mark.parametrize("name", ["a" * 128, "a..b", ".", "$JS.API", "a/b?c#d", "';--", "<b"])
async def test_any_other_name_is_a_name(alice: Any, name: str) -> None:
    answer = await alice.http.post("/v1/event-types", json={"name": name})
    assert (answer.status_code, answer.json()["name"]) == (201, name)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    "field", ["id", "tenant_id", "version", "latest", "latest_version", "created_at", "updated_at"]
)
async def test_nobody_sets_what_is_not_theirs_to_set(alice: Any, method: str, field: str) -> None:
    before = await made_by(alice)
    path = f"/v1/event-types/{before['id']}"
    body: dict[str, Any] = {field: 7}
    if method == "POST":
        path, body = "/v1/event-types", {"name": "mass"} | body
    answer = await alice.http.request(method, path, json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{field}"]
    assert (await alice.http.get(f"/v1/event-types/{before['id']}")).json() == before


async def test_a_type_keeps_its_name(alice: Any) -> None:
    made = await made_by(alice)
    answer = await alice.http.patch(f"/v1/event-types/{made['id']}", json={"name": "other"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/name")


async def test_another_tenants_types_are_not_there(alice: Any, bob: Any) -> None:
    made = await made_by(alice)
    path = f"/v1/event-types/{made['id']}"
    for method, where, body in (
        ("GET", "", None),
        ("PATCH", "", {"mode": "off", "force": True, "schema": True}),
        ("DELETE", "", None),
        ("GET", "/versions", None),
        ("GET", "/versions/1", None),
        ("POST", "/check", {"schema": True}),
        ("POST", "/validate", {"payload": {}}),
    ):
        answer = await bob.http.request(method, path + where, json=body)
        assert answer.status_code == 404, (method, where)
    listed = (await bob.http.get("/v1/event-types", params={"limit": 200})).json()["items"]
    assert made["id"] not in {item["id"] for item in listed}
    assert (await alice.http.get(path)).json() == made


@pytest.mark.parametrize(
    ("permissions", "method", "where", "allowed"),
    [
        (("event-types:read",), "GET", "", True),
        (("event-types:read",), "GET", "/versions", True),
        (("event-types:read",), "POST", "/validate", False),
        (("event-types:write",), "POST", "/validate", True),
        (("event-types:write",), "POST", "/check", False),
        (("event-types:write", "events:read"), "POST", "/check", True),
        (("event-types:read", "events:write"), "PATCH", "", False),
        (("event-types:read", "events:write"), "DELETE", "", False),
        (("event-types:write",), "GET", "", False),
        (("event-types:write",), "PATCH", "", True),
        (("sources:write", "events:read"), "GET", "", False),
    ],
)
async def test_each_takes_a_permission(
    new_tenant: Callable[..., Awaitable[Any]],
    admin: Any,
    permissions: tuple[str, ...],
    method: str,
    where: str,
    *,
    allowed: bool,
) -> None:
    caller = await new_tenant(*permissions)
    made = await put(admin, caller.tenant_id, 1)
    bodies = {"/validate": {"payload": 1}, "/check": {"schema": True}}
    body = bodies.get(where, {} if method == "PATCH" else None)
    path = f"/v1/event-types/{ids.encode('ety', made)}{where}"
    answer = await caller.http.request(method, path, json=body)
    assert (answer.status_code < 300) is allowed, answer.text
    assert allowed or answer.status_code == 403


async def test_strangers_learn_nothing(anonymous: Any, alice: Any) -> None:
    made = await made_by(alice)
    for path in ("/v1/event-types", f"/v1/event-types/{made['id']}"):
        assert (await anonymous.get(path)).status_code == 401


async def test_a_tenant_has_so_many_types_and_no_more(
    new_tenant: Callable[..., Awaitable[Any]], admin: Any
) -> None:
    caller = await new_tenant()
    await admin.execute(
        "INSERT INTO crossdock.event_types (tenant_id, id, name)"
        " SELECT $1, gen_random_uuid(), 'n' || number FROM generate_series(3, $2) AS number",
        caller.tenant_id,
        rules.MAX_TYPES,
    )
    asked = (caller.http.post("/v1/event-types", json={"name": f"x{n}"}) for n in range(10))
    answers = await asyncio.gather(*asked)
    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [403] * 8
    refused = next(answer for answer in answers if answer.status_code == 403)
    assert refused.json()["type"] == "/problems/quota-reached"


async def test_all_schemas_of_a_tenant_are_bounded_together(
    new_tenant: Callable[..., Awaitable[Any]], admin: Any
) -> None:
    caller = await new_tenant()
    other = await put(admin, caller.tenant_id, rules.MAX_WEIGHT - 20_000)
    mine = await made_by(caller)
    path, schema = f"/v1/event-types/{mine['id']}", {"description": "x" * 2000}
    answer = await caller.http.patch(path, json={"schema": schema})
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/quota-reached")
    answer = await caller.http.post("/v1/event-types", json={"name": "large", "schema": schema})
    assert answer.status_code == 403
    await caller.http.delete(f"/v1/event-types/{ids.encode('ety', other)}")
    assert (await caller.http.patch(path, json={"schema": schema})).status_code == 200


async def test_what_patterns_take_counts(
    new_tenant: Callable[..., Awaitable[Any]], admin: Any
) -> None:
    caller = await new_tenant()
    pattern = {"type": "string", "pattern": r"^\d{3}-\w{2,20}-(a|b|c){1,50}$"}
    body = {"name": "patterns", "schema": {"properties": {f"p{n}": pattern for n in range(3)}}}
    await caller.http.post("/v1/event-types", json=body)
    weight = await admin.fetchval(
        "SELECT weight FROM crossdock.event_type_versions WHERE tenant_id = $1", caller.tenant_id
    )
    assert weight > 30 * len(str(body["schema"]))


async def made_by(caller: Any) -> dict[str, Any]:
    """Make an event type with a schema."""
    body = {"name": f"refused.{next(_numbers)}", "schema": {"type": "object"}}
    answer = await caller.http.post("/v1/event-types", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def put(admin: Any, tenant_id: Any, weight: int) -> Any:
    """Put an event type where no service would have let it through."""
    made = ids.new()
    await admin.execute(
        "INSERT INTO crossdock.event_types (tenant_id, id, name, latest)"
        " VALUES ($1, $2::uuid, $2::text, 1)",
        tenant_id,
        made,
    )
    await admin.execute(
        "INSERT INTO crossdock.event_type_versions (tenant_id, event_type_id, number,"
        " schema, weight)"
        " VALUES ($1, $2, 1, '{}', $3)",
        tenant_id,
        made,
        weight,
    )
    return made
