"""One tenant's ids mean nothing in another's hands: for every route there is, and will be.

The routes come from the application, the tables from the schema: a new one of either is in these
tests without anyone adding it.
"""

import re
from typing import Any

import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from crossdock import ids
from crossdock.access.rules import PERMISSIONS
from crossdock.schema import metadata
from gateway.auth import declared_permissions
from gateway.controllers import CONTROLLERS

URL = "https://example.com/hooks"
BODIES: dict[str, dict[str, Any]] = {
    "create_source": {"name": "new", "scheme": "none"},
    "create_destination": {"name": "new", "url": URL},
    "create_api_key": {"name": "new", "permissions": ["events:read"]},
}
"""Where an empty object would not do."""

FOLLOWS_ALIASES = "alias"


def handlers(app: Litestar) -> list[tuple[str, str, HTTPRouteHandler]]:
    """Return method, path and handler of every route of ours."""
    return [
        (method, re.sub(r"{(\w+):\w+}", r"{\1}", route.path), handler)
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        for method in sorted(handler.http_methods)
        if method != "OPTIONS" and not route.path.startswith("/schema")
    ]


@pytest.fixture(scope="module")
async def owner(new_tenant: Any) -> Any:
    return await new_tenant()


@pytest.fixture(scope="module")
async def stranger(new_tenant: Any) -> Any:
    return await new_tenant()


@pytest.fixture(scope="module")
async def owned(owner: Any, rows: Any) -> dict[str, str]:
    """One of everything, by the name of the path parameter that means it."""
    http = owner.http
    source = (await http.post("/v1/sources", json={"name": "s", "scheme": "stripe"})).json()
    await http.post(f"/v1/sources/{source['id']}/rotate-secret", json={})
    secrets = (await http.get(f"/v1/sources/{source['id']}")).json()["secrets"]
    destination = (await http.post("/v1/destinations", json={"name": "d", "url": URL})).json()
    key = {"name": "k", "permissions": ["events:read"]}
    alias = ids.new()
    event = await rows.event(owner.tenant_id, ids.decode("src", source["id"]), alias_id=alias)
    delivery = await rows.delivery(owner.tenant_id, event, ids.decode("dst", destination["id"]))
    return {
        "source_id": source["id"],
        "secret_id": secrets[1]["id"],
        "destination_id": destination["id"],
        "event_id": ids.encode("evt", event),
        FOLLOWS_ALIASES: ids.encode("evt", alias),
        "delivery_id": ids.encode("dlv", delivery),
        "replay_id": (await http.post("/v1/replays", json={})).json()["id"],
        "key_id": (await http.post("/v1/api-keys", json=key)).json()["id"],
    }


async def snapshot(admin: Any, tenant_id: Any) -> dict[str, list[str]]:
    """Return all rows of a tenant, whatever the table, but for the trace of having asked."""
    found = {}
    for table in metadata.tables.values():
        column = table.info.get("tenant")
        if column is not None:
            query = f"SELECT * FROM {table.fullname} WHERE {column} = $1"  # noqa: S608 - our tables
            rows = await admin.fetch(query, tenant_id)
            found[table.name] = sorted(
                repr({name: value for name, value in row.items() if name != "last_used_at"})
                for row in rows
            )
    return found


async def call(caller: Any, method: str, path: str, handler: HTTPRouteHandler) -> Any:
    """Call a route with a body that is good, where it takes one."""
    body = BODIES.get(handler.handler_name.rsplit(".", 1)[-1], {})
    takes_body = "data" in handler.parsed_fn_signature.parameters
    return await caller.http.request(method, path, **({"json": body} if takes_body else {}))


async def test_a_strangers_every_call_is_404_and_changes_nothing(
    app: Litestar, owner: Any, stranger: Any, owned: dict[str, str], admin: Any
) -> None:
    before = await snapshot(admin, owner.tenant_id)
    assert {table for table, found in before.items() if found} >= {
        "api_keys",
        "attempts",
        "deliveries",
        "destinations",
        "event_aliases",
        "events",
        "replays",
        "sources",
        "tenants",
    }
    mine = await snapshot(admin, stranger.tenant_id)
    asked = 0
    for method, path, handler in handlers(app):
        if "{" not in path:
            continue
        for event_id in {owned["event_id"], owned[FOLLOWS_ALIASES]}:
            answer = await call(
                stranger, method, path.format(**{**owned, "event_id": event_id}), handler
            )
            assert answer.status_code == 404, (method, path, answer.text)
            assert answer.json()["type"] == "/problems/not-found"
            asked += 1
    assert asked > 40
    assert await snapshot(admin, owner.tenant_id) == before
    assert await snapshot(admin, stranger.tenant_id) == mine


async def test_a_stranger_cannot_tell_what_exists(
    app: Litestar, stranger: Any, owned: dict[str, str]
) -> None:
    kinds: dict[str, ids.Kind] = {
        "source_id": "src",
        "destination_id": "dst",
        "event_id": "evt",
        "delivery_id": "dlv",
        "replay_id": "rpl",
        "key_id": "key",
    }
    unknown = {name: ids.encode(kind, ids.new()) for name, kind in kinds.items()}
    unknown["secret_id"] = "nothing"
    for method, path, handler in handlers(app):
        if "{" in path:
            there = await call(stranger, method, path.format(**owned), handler)
            nowhere = await call(stranger, method, path.format(**unknown), handler)
            assert there.status_code == nowhere.status_code
            for answer in (there, nowhere):
                answer.problem = {**answer.json(), "instance": None}
            assert there.problem == nowhere.problem


async def test_ids_of_another_kind_or_of_no_kind_are_404(
    app: Litestar, owner: Any, owned: dict[str, str]
) -> None:
    for odd in (owned["source_id"].upper(), "usr_01h455vb4pex5vsknk084sn02q", "x", "src_", "%00"):
        for method, path, handler in handlers(app):
            names = re.findall(r"{(\w+)}", path)
            if names:
                answer = await call(
                    owner, method, path.format(**dict.fromkeys(names, odd)), handler
                )
                assert answer.status_code == 404, (method, path, odd, answer.text)


async def test_a_stranger_lists_nothing_of_the_owners(
    app: Litestar, stranger: Any, owned: dict[str, str]
) -> None:
    lists = [
        path
        for method, path, handler in handlers(app)
        if method == "GET" and "{" not in path and "limit" in handler.parsed_fn_signature.parameters
    ]
    assert len(lists) >= 7
    for path in lists:
        answer = await stranger.http.get(path)
        assert answer.status_code == 200
        assert not any(text in answer.text for text in owned.values()), path
    filters = {
        "/v1/events": ("source_id",),
        "/v1/deliveries": ("destination_id",),
        "/v1/dead-letters": ("destination_id",),
    }
    for path, names in filters.items():
        for name in names:
            answer = await stranger.http.get(path, params={name: owned[name]})
            assert answer.json() == {"items": [], "next_cursor": None}
    answer = await stranger.http.get("/v1/deliveries", params={"event_id": owned["event_id"]})
    assert answer.status_code == 404


async def test_a_replay_finds_nothing_of_another_tenants(
    stranger: Any, owned: dict[str, str]
) -> None:
    for name in ("source_id", "destination_id"):
        answer = await stranger.http.post("/v1/replays", json={name: owned[name]})
        assert answer.status_code in {201, 404, 422}
        if answer.status_code == 201:
            assert answer.json()["replayed"] == 0


async def test_the_owners_same_calls_are_no_404(
    app: Litestar, owner: Any, owned: dict[str, str]
) -> None:
    """Without this the tests above would pass on paths that lead nowhere for anyone."""
    ours = [item for item in handlers(app) if "{" in item[1]]
    ours.sort(key=lambda item: (item[0] == "DELETE", item[1].count("/") < 5, item[1]))
    for method, path, handler in ours:
        answer = await call(owner, method, path.format(**owned), handler)
        if path.startswith("/v1/dead-letters/") and answer.status_code == 404:
            continue  # replayed by one of these calls, so it is none any more
        assert answer.status_code not in {404, 405, 422, 500}, (method, path, answer.text)


def test_every_route_says_who_may(app: Litestar) -> None:
    """One that declares nothing is closed to all; it is also a mistake."""
    seen: set[str] = set()
    for method, path, handler in handlers(app):
        if handler.opt.get("public") is True:
            assert path.startswith("/health/"), (method, path)
            assert declared_permissions(handler) is None
            continue
        wanted = declared_permissions(handler)
        assert wanted, (method, path)
        assert wanted <= PERMISSIONS, (method, path)
        verb = "read" if method == "GET" else "write"
        assert all(name.endswith(f":{verb}") for name in wanted), (method, path)
        seen |= wanted
    assert seen == PERMISSIONS, "a permission that opens nothing"
    assert len(handlers(app)) >= 39
    assert len({controller.path for controller in CONTROLLERS}) == len(CONTROLLERS)


def test_the_document_is_for_any_key(app: Litestar) -> None:
    for route in app.routes:
        if route.path.startswith("/schema"):
            for handler in route.route_handlers:  # type: ignore[union-attr]
                assert declared_permissions(handler) == frozenset()
