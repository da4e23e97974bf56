"""Whatever a body may not say, it may not say anywhere: 422, and nothing has changed.

The operations come from the live OpenAPI document. One with a body that is not known here fails
the test until somebody says what a right one looks like.
"""

from typing import Any, NamedTuple

import msgspec
import pytest

from tests.acceptance.identity.people import (
    Caller,
    Person,
    Town,
    email,
    key,
    password,
    slug,
    source,
)
from tests.acceptance.identity.problems import ok, told
from tests.acceptance.openapi import DOCUMENT, METHODS

INTRUDERS: dict[str, Any] = {
    "tenant_id": "ten_00000000000000000000000000",
    "tenant": "platform",
    "role": "owner",
    "roles": ["owner"],
    "plan": "enterprise",
    "state": "active",
    "id": "usr_00000000000000000000000000",
    "quotas": {"sources": 1_000_000},
    "permissions": ["users:write"],
    "user_id": "usr_00000000000000000000000000",
    "created_at": "2000-01-01T00:00:00Z",
    "created_by": "usr_00000000000000000000000000",
    "not_before": None,
    "password_hash": "x",
    "version": 1,
    "shard": 1,
    "tier": "dedicated",
    "built_in": True,
    "is_admin": True,
    "__proto__": {"roles": ["owner"]},
}
LISTS = (
    *("/v1/users", "/v1/invitations", "/v1/api-keys"),
    *("/v1/sources", "/v1/destinations", "/v1/replays", "/v1/event-types"),
)
ROLES = "/v1/roles"
"""Few enough to be no pages."""


class Case(NamedTuple):
    """A right call, before something is put into it."""

    caller: Caller
    body: dict[str, Any]
    also: frozenset[str] = frozenset()
    """Members that may be there and that the document does not list."""


class Cast(NamedTuple):
    """Who asks, and for what."""

    owner: Person
    admin: Person
    anyone: Caller
    ids: dict[str, str]


@pytest.fixture(scope="module")
async def cast(town: Town, owner: Person, admin: Person) -> Cast:
    role = ok(
        await owner.rest.post("/v1/roles", {"name": "clerks", "permissions": ["users:read"]}), 201
    )
    wish = {"name": "there", "url": "https://example.com/hooks"}
    colleague = await town.colleague(owner, "viewer")
    ids = {
        "tenant_id": owner.tenant_id,
        "user_id": colleague.id,
        "role_id": role["id"],
        "key_id": (await key(owner.rest, "sources:read"))["id"],
        "source_id": (await source(owner.rest))["id"],
        "event_type_id": ok(
            await owner.rest.post("/v1/event-types", {"name": "there", "schema": {}}), 201
        )["id"],
        "destination_id": ok(await owner.rest.post("/v1/destinations", wish), 201)["id"],
    }
    return Cast(owner, admin, town.anyone(), ids)


def cases(cast: Cast) -> dict[str, Case]:
    """Return a right body for each operation that takes one."""
    owner, admin, anyone = cast.owner.rest, cast.admin.rest, cast.anyone
    proof = {"password": cast.owner.password, "code": "123456"}
    return {
        "POST /v1/signup": Case(
            anyone,
            {
                "email": email("x"),
                "password": password(),
                "name": "X",
                "tenant_name": "X",
                "slug": slug(),
            },
        ),
        "POST /v1/signup/verify": Case(anyone, {"token": "x" * 43}),
        "POST /v1/auth/login": Case(anyone, {"email": email("x"), "password": password()}),
        "POST /v1/auth/refresh": Case(anyone, {"refresh_token": "x" * 43}),
        "POST /v1/auth/password": Case(
            owner, {"current_password": cast.owner.password, "new_password": password()}
        ),
        "POST /v1/auth/password/reset": Case(anyone, {"email": email("x")}),
        "POST /v1/auth/password/reset/confirm": Case(
            anyone, {"token": "x" * 43, "new_password": password()}
        ),
        "POST /v1/auth/totp": Case(owner, {"password": cast.owner.password}),
        "POST /v1/auth/totp/confirm": Case(owner, {"code": "123456"}),
        "POST /v1/auth/totp/disable": Case(owner, proof),
        "POST /v1/auth/totp/recovery-codes": Case(owner, proof),
        "POST /v1/invitations": Case(owner, {"email": email("x"), "roles": ["viewer"]}),
        "POST /v1/invitations/accept": Case(
            anyone, {"token": "x" * 43, "name": "X", "password": password()}
        ),
        "PATCH /v1/users/{user_id}": Case(
            owner, {"name": "Renamed"}, frozenset({"roles", "state"})
        ),
        "POST /v1/roles": Case(owner, {"name": "new", "permissions": ["users:read"]}),
        "PATCH /v1/roles/{role_id}": Case(owner, {"description": "x"}, frozenset({"permissions"})),
        "POST /v1/api-keys": Case(owner, {"name": "new", "permissions": ["users:read"]}),
        "POST /v1/api-keys/{key_id}/rotate": Case(owner, {"overlap_s": 60}),
        "PATCH /v1/tenant": Case(owner, {"name": "Renamed"}),
        "PATCH /v1/alerts/settings": Case(owner, {"failing_after_s": 60}),
        "POST /v1/alerts/test": Case(owner, {"ways": ["mail"]}),
        "POST /v1/sources": Case(owner, {"name": "new", "scheme": "none", "secrets": []}),
        "PATCH /v1/sources/{source_id}": Case(owner, {"name": "renamed"}),
        "POST /v1/sources/{source_id}/rotate-secret": Case(owner, {}),
        "POST /v1/sources/{source_id}/pause": Case(owner, {"mode": "refuse"}),
        "POST /v1/sources/{source_id}/test": Case(owner, {}),
        "POST /v1/sources/check": Case(
            owner, {"scheme": "none", "example": {"headers": {}, "body": "{}"}}
        ),
        "POST /v1/simulations": Case(
            owner, {"source_id": cast.ids["source_id"], "sample": "invoice-paid"}
        ),
        "POST /v1/events": Case(owner, {"id": "x", "event_type": "x", "payload": 1}),
        "POST /v1/events/batch": Case(
            owner, {"events": [{"id": "x", "event_type": "x", "payload": 1}]}
        ),
        "POST /v1/event-types": Case(owner, {"name": "new"}),
        "PATCH /v1/event-types/{event_type_id}": Case(owner, {"description": "x"}),
        "POST /v1/event-types/{event_type_id}/check": Case(owner, {"schema": {}}),
        "POST /v1/event-types/{event_type_id}/validate": Case(owner, {"payload": 1}),
        "POST /v1/destinations": Case(owner, {"name": "new", "url": "https://example.com/h"}),
        "PATCH /v1/destinations/{destination_id}": Case(owner, {"name": "renamed"}),
        "POST /v1/destinations/{destination_id}/rotate-secret": Case(owner, {}),
        "POST /v1/deliveries/replay": Case(owner, {"ids": ["dlv_01h455vb4pex5vsknk084sn02q"]}),
        "POST /v1/deliveries/cancel": Case(owner, {"ids": ["dlv_01h455vb4pex5vsknk084sn02q"]}),
        "POST /v1/routing/dry-run": Case(owner, {"filter": "true", "newest": {"limit": 1}}),
        "POST /v1/replays": Case(
            owner, {"reason": "no_such_reason"}, frozenset({"state", "source_id"})
        ),
        "POST /v1/admin/tenants": Case(
            admin, {"name": "New", "slug": slug()}, frozenset({"plan", "shard", "tier"})
        ),
        "POST /v1/admin/tenants/{tenant_id}/suspend": Case(admin, {"reason": "x"}),
        "POST /v1/admin/tenants/{tenant_id}/resume": Case(admin, {}),
        "POST /v1/admin/tenants/{tenant_id}/terminate": Case(admin, {"reason": "x"}),
        "PATCH /v1/admin/tenants/{tenant_id}/quota": Case(
            admin, {"quotas": {"sources": 50}}, frozenset({"plan", "quotas"})
        ),
        "POST /v1/admin/tenants/{tenant_id}/support": Case(
            admin, {"reason": "Ticket 1", "minutes": 5}
        ),
    }


async def bodies(caller: Caller) -> dict[str, set[str]]:
    """Return each operation that takes a body, with the members that the document lists."""
    document = ok(await caller.get(DOCUMENT))
    found = {}
    for path, item in document["paths"].items():
        for method in set(METHODS) & set(item):
            content = item[method].get("requestBody", {}).get("content", {})
            for media in content.values():
                found[f"{method.upper()} {path}"] = _members(document, media["schema"])
    return found


def _members(document: Any, schema: Any) -> set[str]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _members(document, document["components"]["schemas"][name])
    members = set(schema.get("properties", ()))
    for part in ("oneOf", "anyOf", "allOf"):
        for other in schema.get(part, ()):
            members |= _members(document, other)
    return members


async def belongings(cast: Cast) -> dict[str, Any]:
    """Return what could have been changed, as it is shown."""
    found: dict[str, Any] = {path: await cast.owner.rest.all(path) for path in LISTS}
    found[ROLES] = ok(await cast.owner.rest.get(ROLES))["items"]
    for item in (item for path in LISTS for item in found[path]):
        for name in ("last_used_at", "last_login_at"):
            item.pop(name, None)
    found["tenant"] = ok(await cast.owner.rest.get("/v1/tenant"))
    found["usage"] = ok(await cast.owner.rest.get("/v1/tenant/usage"))
    found["admin"] = ok(await cast.admin.rest.get(f"/v1/admin/tenants/{cast.owner.tenant_id}"))
    found["me"] = await cast.owner.me()
    return found


@pytest.mark.timeout(240)
async def test_no_body_says_what_it_may_not(town: Town, cast: Cast) -> None:
    known, documented = cases(cast), await bodies(cast.owner.rest)
    documented = {name: found for name, found in documented.items() if " /in/" not in name}
    before = await belongings(cast)
    assert len(documented) >= 25
    assert not set(documented) - set(known), "Say what a right body looks like."

    wrong = []
    for name, listed in documented.items():
        case = known[name]
        method, path = name.split(" ")
        for parameter, value in cast.ids.items():
            path = path.replace(f"{{{parameter}}}", value)
        assert "{" not in path, name
        for member in sorted(set(INTRUDERS) - listed - case.also - set(case.body)):
            # Each call from an address of its own: this is no storm.
            caller = town.anyone() if case.caller is cast.anyone else case.caller
            reply = await caller.call(method, path, case.body | {member: INTRUDERS[member]})
            pointers = (
                [error.get("pointer") for error in reply.json().get("errors", [])]
                if reply.status_code == 422
                else []
            )
            if f"/{member}" not in pointers:
                wrong.append(f"{member}: {told(reply)}")

    assert not wrong, "\n".join(wrong)
    assert await belongings(cast) == before


@pytest.mark.parametrize("body", [[], "x", 1, None, [{}]])
async def test_a_body_is_an_object(town: Town, cast: Cast, body: Any) -> None:
    raw = msgspec.json.encode(body)
    headers = {"content-type": "application/json"}
    for name, case in cases(cast).items():
        method, path = name.split(" ")
        for parameter, value in cast.ids.items():
            path = path.replace(f"{{{parameter}}}", value)
        caller = town.anyone() if case.caller is cast.anyone else case.caller
        reply = await caller.call(method, path, raw=raw, headers=headers)
        assert reply.status_code in {400, 422}, told(reply)


async def test_a_member_said_twice_is_not_heard_once(town: Town, cast: Cast) -> None:
    address = email("x")
    raw = f'{{"email": "{address}", "roles": ["viewer"], "roles": ["owner"]}}'.encode()

    reply = await cast.owner.rest.call(
        "POST", "/v1/invitations", raw=raw, headers={"content-type": "application/json"}
    )

    # Either it is refused, or the last one counts, as in RFC 8259's ordinary readers; an owner may
    # invite owners. What may not be is a check of the one and a use of the other.
    if reply.is_success:
        shown = await cast.owner.rest.all("/v1/invitations")
        assert next(i["roles"] for i in shown if i["email"] == address) == reply.json()["roles"]
