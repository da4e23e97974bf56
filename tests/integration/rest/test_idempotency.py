"""`Idempotency-Key` over HTTP, in this process on a real database."""

import asyncio
from types import UnionType
from typing import Any, Final, get_args

import httpx
import msgspec
import pytest
from litestar import Litestar, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Response

from crossdock import ids
from gateway.declarations import Atomic
from gateway.idempotency import changing, declaration
from tests.beds.routes import name_of

SOURCE: Final = {"scheme": "none", "secrets": []}
KEYLESS: Final = {"check_event_type", "check_source", "login", "refresh", "validate_payload"}
SECRETS: Final = {
    "access_token",
    "csrf_token",
    "ingest_url",
    "key",
    "recovery_codes",
    "refresh_token",
    "secret",
    "token",
    "uri",
}
"""Names of members that hold what only their owner may know."""


def keyed(key: str | None = None) -> dict[str, str]:
    """Return the header; by default with a key of its own."""
    return {"idempotency-key": key or ids.new().hex}


def wish(**changes: Any) -> dict[str, Any]:
    """Return a source to be made."""
    return {"name": f"s {ids.new().hex}", **SOURCE, **changes}


def members(kind: Any) -> set[str]:
    """Return the names of all that an answer may hold, however deep."""
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    found = set()
    for inner in msgspec.inspect.multi_type_info(kinds):
        found |= _names(inner)
    return found


def _names(kind: Any) -> set[str]:
    found = set()
    if isinstance(kind, msgspec.inspect.StructType):
        for field in kind.fields:
            found |= {field.encode_name} | _names(field.type)
    for part in (
        *getattr(kind, "types", ()),
        *filter(None, [getattr(kind, "item_type", None), getattr(kind, "type", None)]),
    ):
        found |= _names(part)
    return found


def answered(handler: HTTPRouteHandler) -> set[str]:
    """Return the names of all that a handler may answer."""
    returned = handler.parsed_fn_signature.return_type
    if returned.is_subclass_of(Response):
        return members(returned.inner_types[0].annotation)
    return members(returned.annotation)


def test_every_handler_that_changes_something_says_what_it_does_with_a_key(app: Litestar) -> None:
    found = {name_of(handler): declaration(handler) for handler in changing(app)}
    assert len(found) > 40
    reasons = {name: one for name, one in found.items() if isinstance(one, str)}
    assert set(reasons) == KEYLESS
    assert all(len(reason) > 20 for reason in reasons.values())


def test_an_answer_with_a_secret_is_declared_so(app: Litestar) -> None:
    seen = 0
    for handler in changing(app):
        declared = declaration(handler)
        secrets = answered(handler) & SECRETS
        seen += bool(secrets)
        if not isinstance(declared, str):
            assert declared.secret == bool(secrets), (name_of(handler), secrets)
    assert seen > 10


@pytest.mark.parametrize(
    "options", [{}, {"idempotency": Atomic(), "no_key": "x"}, {"no_key": ""}, {"idempotency": 1}]
)
def test_a_handler_that_does_not_say_it_is_noticed(options: dict[str, Any]) -> None:
    @post("/", **options)
    async def change() -> None:
        """Change something."""

    with pytest.raises(TypeError, match="declares"):
        declaration(next(changing(Litestar([change]))))


async def test_the_same_request_again_has_the_same_answer(alice: Any) -> None:
    body, key = wish(), keyed()
    first = await alice.http.post("/v1/sources", json=body, headers=key)
    assert first.status_code == 201
    assert "idempotency-replayed" not in first.headers
    again = await alice.http.post("/v1/sources", json=body, headers=key)
    assert again.status_code == 201
    assert again.headers["idempotency-replayed"] == "true"
    assert again.content == first.content
    for name in ("location", "etag", "content-type", "cache-control"):
        assert again.headers[name] == first.headers[name]
    assert len([s for s in await listed(alice) if s["name"] == body["name"]]) == 1


async def listed(caller: Any) -> list[Any]:
    """Return the newest sources."""
    found: list[Any] = (await caller.http.get("/v1/sources?limit=200")).json()["items"]
    return found


async def test_a_key_in_quotes_is_the_same_key(alice: Any) -> None:
    body, key = wish(), ids.new().hex
    first = await alice.http.post("/v1/sources", json=body, headers=keyed(key))
    again = await alice.http.post("/v1/sources", json=body, headers=keyed(f'"{key}"'))
    assert again.json()["id"] == first.json()["id"]


@pytest.mark.parametrize("key", ["", "a b", '"open', "x" * 256])
async def test_what_is_no_key_is_refused(alice: Any, key: str) -> None:
    answer = await alice.http.post("/v1/sources", json=wish(), headers={"idempotency-key": key})
    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/malformed"


async def test_another_request_under_the_key_is_refused(alice: Any) -> None:
    body, key = wish(), keyed()
    made = (await alice.http.post("/v1/sources", json=body, headers=key)).json()
    path = f"/v1/sources/{made['id']}"
    for method, url, options in (
        ("POST", "/v1/sources", {"json": body | {"name": "other"}}),
        ("POST", "/v1/destinations", {"json": {"name": "d", "url": "https://example.com"}}),
        ("POST", f"{path}/pause", {}),
        ("DELETE", path, {}),
    ):
        answer = await alice.http.request(method, url, headers=key, **options)
        assert answer.status_code == 422, (method, url)
        assert answer.json()["type"] == "/problems/idempotency-key-reused"
    assert (await alice.http.get(path)).json()["state"] == "active"


async def test_path_and_method_are_part_of_the_request(alice: Any) -> None:
    made = (await alice.http.post("/v1/sources", json=wish())).json()
    path, key = f"/v1/sources/{made['id']}", keyed()
    assert (await alice.http.post(f"{path}/pause", headers=key)).status_code == 200
    for method, other in (("POST", f"{path}/resume"), ("DELETE", path)):
        answer = await alice.http.request(method, other, headers=key)
        assert answer.status_code == 422, other
    assert (await alice.http.get(path)).json()["state"] == "paused"
    assert (await alice.http.post(f"{path}/pause", headers=key)).status_code == 200


async def test_if_match_is_part_of_the_request(alice: Any) -> None:
    made = await alice.http.post("/v1/sources", json=wish())
    path, key = f"/v1/sources/{made.json()['id']}", keyed()
    sent = {"name": f"renamed {ids.new().hex}"}
    tag = {"if-match": made.headers["etag"]}
    first = await alice.http.patch(path, json=sent, headers=key | tag)
    assert first.status_code == 200
    # Without the key this would be 412: somebody has changed it, namely this very request.
    again = await alice.http.patch(path, json=sent, headers=key | tag)
    assert again.status_code == 200
    assert again.headers["etag"] == first.headers["etag"] != made.headers["etag"]
    without = await alice.http.patch(path, json=sent, headers=key)
    assert without.status_code == 422


async def test_a_key_is_its_principals_own(alice: Any, bob: Any, crowd: Any, connect: Any) -> None:
    body, key = wish(), keyed()
    owner = connect((await crowd.user(alice.tenant_id, "owner")).token)
    seen = set()
    for number, http in enumerate((alice.http, bob.http, owner)):
        mine = body if number != 2 else wish()
        answer = await http.post("/v1/sources", json=mine, headers=key)
        assert answer.status_code == 201, answer.text
        assert "idempotency-replayed" not in answer.headers
        seen.add(answer.json()["id"])
    assert len(seen) == 3


async def test_a_refusal_that_would_come_out_the_same_is_kept(alice: Any) -> None:
    path, key = f"/v1/sources/{ids.encode('src', ids.new())}/pause", keyed()
    first = await alice.http.post(path, headers=key)
    again = await alice.http.post(path, headers=key)
    assert first.status_code == again.status_code == 404
    assert again.json() == first.json()
    assert again.headers["content-type"] == "application/problem+json"
    assert again.headers["idempotency-replayed"] == "true"


async def test_a_conflict_is_not_kept(alice: Any) -> None:
    body, key = wish(), keyed()
    made = (await alice.http.post("/v1/sources", json=body)).json()
    assert (await alice.http.post("/v1/sources", json=body, headers=key)).status_code == 409
    await alice.http.delete(f"/v1/sources/{made['id']}")
    answer = await alice.http.post("/v1/sources", json=body, headers=key)
    assert answer.status_code == 201


async def test_what_was_refused_before_it_began_does_not_use_up_the_key(alice: Any) -> None:
    key = keyed()
    assert (await alice.http.post("/v1/sources", json={}, headers=key)).status_code == 422
    assert (await alice.http.post("/v1/sources", json=wish(), headers=key)).status_code == 201


async def test_a_forbidden_attempt_is_audited_and_not_kept(
    alice: Any, crowd: Any, connect: Any, admin: Any
) -> None:
    viewer = await crowd.user(alice.tenant_id, "operator")
    boss = await crowd.user(alice.tenant_id, "owner")
    http, key = connect((await crowd.user(alice.tenant_id, "admin")).token), keyed()
    for _ in range(2):
        answer = await http.patch(boss.path, json={"name": "x"}, headers=key)
        assert answer.status_code == 403
        assert "idempotency-replayed" not in answer.headers
    count = "SELECT count(*) FROM crossdock.audit WHERE tenant_id = $1 AND action = $2"
    assert await admin.fetchval(count, alice.tenant_id, "user.update.refused") == 2
    assert viewer.id != boss.id


async def test_where_a_key_is_required_there_must_be_one(alice: Any) -> None:
    answer = await alice.http.post("/v1/replays", json={})
    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/idempotency-key-missing"
    assert (await alice.http.get("/v1/replays")).json()["items"] == []
    assert (await alice.http.post("/v1/replays", json={}, headers=keyed())).status_code == 201


async def test_equal_requests_at_once_have_one_effect(alice: Any) -> None:
    body, key = wish(), keyed()
    answers = await asyncio.gather(
        *(alice.http.post("/v1/sources", json=body, headers=key) for _ in range(30))
    )
    made = [a for a in answers if a.status_code == 201]
    assert len([a for a in made if "idempotency-replayed" not in a.headers]) == 1
    assert len({a.content for a in made}) == 1
    for answer in answers:
        assert answer.status_code in {201, 409}
        if answer.status_code == 409:
            assert answer.json()["type"] == "/problems/idempotency-in-progress"
            assert int(answer.headers["retry-after"]) >= 1
    assert len([s for s in await listed(alice) if s["name"] == body["name"]]) == 1


async def test_an_answer_is_sealed_in_the_database(alice: Any, admin: Any) -> None:
    key, body = keyed("order-4711"), wish(scheme="stripe")
    del body["secrets"]
    made = (await alice.http.post("/v1/sources", json=body, headers=key)).json()
    assert made["secret"]
    again = await alice.http.post("/v1/sources", json=body, headers=key)
    assert again.json()["secret"] == made["secret"]
    rows = await admin.fetch(
        "SELECT * FROM crossdock.idempotency_keys WHERE tenant_id = $1", alice.tenant_id
    )
    assert rows
    kept = b"".join(bytes(v) for row in rows for v in row.values() if isinstance(v, bytes))
    assert made["secret"].encode() not in kept
    assert made["id"].encode() not in kept
    assert b"order-4711" not in kept


async def test_a_strangers_key_is_its_address_and_subjects_own(
    anonymous: httpx.AsyncClient, admin: Any
) -> None:
    def form(name: str) -> dict[str, str]:
        address = f"{name}-{ids.new().hex}@example.com"
        words = {"password": "correct horse battery staple", "name": "N", "tenant_name": "T"}
        return words | {"email": address}

    key, one, other = keyed(), form("one"), form("other")
    first = await anonymous.post("/v1/signup", json=one, headers=key)
    assert first.status_code == 202
    again = await anonymous.post("/v1/signup", json=one, headers=key)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    begun = "SELECT count(*) FROM crossdock.signups WHERE email = $1"
    assert await admin.fetchval(begun, one["email"]) == 1
    assert (await anonymous.post("/v1/signup", json=other, headers=key)).status_code == 202
    assert await admin.fetchval(begun, other["email"]) == 1
    changed = await anonymous.post("/v1/signup", json=one | {"name": "M"}, headers=key)
    assert changed.status_code == 422
