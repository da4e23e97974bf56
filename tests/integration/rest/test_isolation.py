"""One tenant's ids mean nothing in another's hands: for every route there is, and will be.

The routes come from the application, the tables from the schema: a new one of either is in these
tests without anyone adding it. A new kind of id in a path needs a sample, or they fail.
"""

import re
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Controller, Litestar
from litestar.handlers import HTTPRouteHandler

from crossdock import ids
from crossdock.access.permissions import PERMISSIONS, PLATFORM_PERMISSIONS, SUPPORT, resolved
from crossdock.schema import metadata
from gateway import controllers
from gateway.auth import SAFE, access_of
from gateway.controllers import CONTROLLERS
from tests.beds.filling import fill
from tests.beds.routes import ENDLESS, NOBODYS, PAGES, PUBLIC, handlers, name_of, takes_body

URL = "https://example.com/hooks"
REASON = {"reason": "somebody asked for it"}
BODIES: dict[str, dict[str, Any]] = {
    "create_source": {"name": "new", "scheme": "none"},
    "create_destination": {"name": "new", "url": URL},
    "create_api_key": {"name": "new", "permissions": ["events:read"]},
    "create_invitation": {"email": "new@example.com", "roles": ["viewer"]},
    "create_event_type": {"name": "new"},
    "check_event_type": {"schema": {}},
    "validate_payload": {"payload": 1},
    "create_role": {"name": "new", "permissions": ["events:read"]},
    "open_support": {**REASON, "minutes": 5},
    "suspend_tenant": REASON,
    "terminate_tenant": REASON,
}
"""Where an empty object would not do."""

FOLLOWS_ALIASES = "alias"
NOT_ITS_OWN = {"number", "preset_name"}
"""Parts of paths that say nothing of whose it is."""
TRACES = {"last_used_at"}
"""What only says that somebody asked."""

KINDS: dict[str, ids.Kind] = {
    "source_id": "src",
    "destination_id": "dst",
    "event_id": "evt",
    "event_type_id": "ety",
    "delivery_id": "dlv",
    "replay_id": "rpl",
    "key_id": "key",
    "user_id": "usr",
    "session_id": "ses",
    "invitation_id": "inv",
    "role_id": "rol",
    "support_id": "sup",
    "alert_id": "alt",
    "tenant_id": "ten",
}


class Stranger(msgspec.Struct):
    """One who has some right somewhere else."""

    kind: str
    http: httpx.AsyncClient


class Estate(msgspec.Struct):
    """A tenant that has one of everything, and everybody who might ask for it."""

    owner: Any
    stranger: Any
    ids: dict[str, str]
    """Of the owner's things, by the name of the path parameter that means them."""
    callers: dict[str, httpx.AsyncClient]
    """Who may, by what a handler declares."""
    strangers: list[Stranger]
    """Everybody of another tenant who could ask: a key, its owner, and support inside it."""


@pytest.fixture(scope="module")
async def stranger(new_tenant: Any, crowd: Any, connect: Any) -> dict[str, Any]:
    """Another tenant, and its owner."""
    caller = await new_tenant()
    member = await crowd.user(caller.tenant_id, "owner")
    return {"caller": caller, "http": connect(member.token)}


@pytest.fixture(scope="module")
async def estate(
    owner: dict[str, Any], stranger: dict[str, Any], operator: Any, connect: Any, admin: Any
) -> Estate:
    """All of it, and a row in each of the tables that nobody wrote to."""
    caller, owned = owner["caller"], owner["owned"]
    owned["support_id"] = (await open_support(operator, caller.tenant_id))["support_id"]
    await fill(admin, caller.tenant_id)
    await admin.execute(
        "INSERT INTO crossdock.signups (tenant_id, user_id, email, name, tenant_name, slug,"
        " password_hash, token_hash, expires_at) VALUES ($1, $2, 'x', 'x', 'x', 'x', 'x', $3, $4)",
        caller.tenant_id,
        ids.new(),
        ids.new().bytes,
        datetime.now(UTC),
    )
    inside = await open_support(operator, stranger["caller"].tenant_id)
    return Estate(
        owner=caller,
        stranger=stranger["caller"],
        ids=owned,
        callers={"permissions": caller.http, "user": owner["http"], "operator": operator},
        strangers=[
            Stranger("key", stranger["caller"].http),
            Stranger("user", stranger["http"]),
            Stranger("support", connect(inside["access_token"])),
        ],
    )


async def open_support(operator: Any, tenant_id: Any) -> Any:
    path = f"/v1/admin/tenants/{ids.encode('ten', tenant_id)}/support"
    answer = await operator.post(path, json=BODIES["open_support"])
    assert answer.status_code == 201, answer.text
    return answer.json()


async def snapshot(admin: Any, tenant_id: Any) -> dict[str, list[str]]:
    """Return all rows of a tenant, whatever the table, but for the trace of having asked."""
    found = {}
    for table in metadata.tables.values():
        column = table.info.get("tenant")
        if column is not None:
            query = f"SELECT * FROM {table.fullname} WHERE {column} = $1"  # noqa: S608 - our tables
            rows = await admin.fetch(query, tenant_id)
            found[table.name] = sorted(
                repr({name: value for name, value in row.items() if name not in TRACES})
                for row in rows
            )
    return found


async def call(http: Any, method: str, path: str, handler: HTTPRouteHandler) -> Any:
    """Call a route with a body that is good, where it takes one."""
    body = BODIES.get(name_of(handler), {})
    return await http.request(method, path, **({"json": body} if takes_body(handler) else {}))


def refusal(kind: str, method: str, handler: HTTPRouteHandler) -> int:
    """Return how a stranger of that kind is refused: 403 where no id would have helped."""
    access = access_of(handler)
    assert access is not None
    if access.kind == "operator" or (access.kind == "user" and kind != "user"):
        return 403
    looks = method in SAFE and access.permissions <= resolved(SUPPORT)
    return 404 if kind != "support" or looks else 403


def test_every_id_in_a_path_has_a_sample(app: Litestar, estate: Estate) -> None:
    paths = {path for _, path, _ in handlers(app)} - NOBODYS
    named = {name for path in paths for name in re.findall(r"{(\w+)}", path)}
    assert named <= estate.ids.keys()
    assert named - {"secret_id", "number"} <= KINDS.keys()


async def test_a_strangers_every_call_is_refused_and_changes_nothing(
    app: Litestar, estate: Estate, admin: Any
) -> None:
    owned = estate.ids
    before = await snapshot(admin, estate.owner.tenant_id)
    assert not [table for table, found in before.items() if not found]
    mine = await snapshot(admin, estate.stranger.tenant_id)
    asked = 0
    for method, path, handler in handlers(app):
        if "{" not in path or path in NOBODYS:
            continue
        for one in estate.strangers:
            for event_id in {owned["event_id"], owned[FOLLOWS_ALIASES]}:
                answer = await call(
                    one.http, method, path.format(**{**owned, "event_id": event_id}), handler
                )
                status = refusal(one.kind, method, handler)
                assert answer.status_code == status, (one.kind, method, path, answer.text)
                name = {404: "not-found", 403: "forbidden"}[status]
                assert answer.json()["type"] == f"/problems/{name}"
                asked += 1
    assert asked > 200
    assert await snapshot(admin, estate.owner.tenant_id) == before
    assert await snapshot(admin, estate.stranger.tenant_id) == mine


async def test_a_stranger_cannot_tell_what_exists(app: Litestar, estate: Estate) -> None:
    owned = estate.ids
    unknown = {name: ids.encode(kind, ids.new()) for name, kind in KINDS.items()}
    unknown |= {"secret_id": "nothing", "number": "7"}
    for method, path, handler in handlers(app):
        if "{" not in path or path in NOBODYS:
            continue
        for one in estate.strangers:
            there = await call(one.http, method, path.format(**owned), handler)
            nowhere = await call(one.http, method, path.format(**unknown), handler)
            assert there.status_code == nowhere.status_code
            for answer in (there, nowhere):
                answer.problem = {**answer.json(), "instance": None}
            assert there.problem == nowhere.problem


async def test_operators_routes_are_closed_to_all_of_a_tenant(
    app: Litestar, estate: Estate
) -> None:
    """Also to those whose id it is, and where there is no id."""
    owned = estate.ids
    everybody = [estate.callers[kind] for kind in ("permissions", "user")]
    everybody += [one.http for one in estate.strangers]
    routes = [
        (method, path, handler)
        for method, path, handler in handlers(app)
        if (access := access_of(handler)) is not None and access.kind == "operator"
    ]
    assert len(routes) >= 12
    for method, path, handler in routes:
        assert path.startswith("/v1/admin/"), path
        for http in everybody:
            answer = await call(http, method, path.format(**owned), handler)
            assert answer.status_code == 403, (method, path, answer.text)


async def test_ids_of_another_kind_or_of_no_kind_are_404(app: Litestar, estate: Estate) -> None:
    owned = estate.ids
    for odd in (owned["source_id"].upper(), "att_01h455vb4pex5vsknk084sn02q", "x", "src_", "%00"):
        for method, path, handler in handlers(app):
            access = access_of(handler)
            names = re.findall(r"{(\w+)}", path)
            if names and access is not None:
                http = estate.callers[access.kind]
                answer = await call(http, method, path.format(**dict.fromkeys(names, odd)), handler)
                assert answer.status_code == 404, (method, path, odd, answer.text)


async def test_a_stranger_lists_nothing_of_the_owners(app: Litestar, estate: Estate) -> None:
    owned, stranger = estate.ids, estate.stranger
    lists = [
        (path, handler)
        for method, path, handler in handlers(app)
        if method == "GET"
        and "{" not in path
        and (method, path) not in PUBLIC
        and path not in ENDLESS
    ]
    assert len(lists) >= 15
    shown = 0
    for path, handler in lists:
        for one in estate.strangers:
            answer = await one.http.get(path)
            own_path = access_of(handler)
            assert own_path is not None
            assert answer.status_code in {200, 403}, path
            shown += answer.status_code == 200
            owners = (text for name, text in owned.items() if name not in NOT_ITS_OWN)
            assert not any(text in answer.text for text in owners), path
    assert shown >= 30
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


async def test_a_replay_finds_nothing_of_another_tenants(estate: Estate) -> None:
    owned, stranger = estate.ids, estate.stranger
    for name in ("source_id", "destination_id"):
        answer = await stranger.http.post(
            "/v1/replays", json={name: owned[name]}, headers={"Idempotency-Key": name}
        )
        assert answer.status_code in {201, 404, 422}
        if answer.status_code == 201:
            assert answer.json()["replayed"] == 0


async def test_the_owners_same_calls_are_no_404(app: Litestar, estate: Estate) -> None:
    """Without this the tests above would pass on paths that lead nowhere for anyone."""
    order = ["permissions", "user", "operator"]
    ours = [
        (order.index(access.kind), method, path, handler)
        for method, path, handler in handlers(app)
        if "{" in path and path not in NOBODYS and (access := access_of(handler)) is not None
    ]
    ours.sort(key=lambda item: (item[0], item[1] == "DELETE", -item[2].count("/"), item[2]))
    for _, method, path, handler in ours:
        access = access_of(handler)
        assert access is not None
        answer = await call(estate.callers[access.kind], method, path.format(**estate.ids), handler)
        if path.startswith("/v1/dead-letters/") and answer.status_code == 404:
            continue  # replayed by one of these calls, so it is none any more
        assert answer.status_code not in {401, 403, 404, 405, 422, 500}, (
            method,
            path,
            answer.text,
        )


ASKING = {"/v1/routing/dry-run"}
"""Posts that change nothing: what they ask is too long for a query."""


def test_every_route_says_who_may(app: Litestar) -> None:
    """One that declares nothing, or two things, is closed to all; it is also a mistake."""
    public: set[tuple[str, str]] = set()
    tenants: set[str] = set()
    operators: set[str] = set()
    for method, path, handler in handlers(app):
        declared = handler.opt.keys() & {"public", "user", "permissions", "operator"}
        assert len(declared) == 1, (method, path, declared)
        access = access_of(handler)
        assert access is not None, (method, path)
        verb = "read" if method == "GET" or path in ASKING else "write"
        match access.kind:
            case "public":
                public.add((method, path))
            case "user":
                assert path.startswith("/v1/auth/"), path
            case "operator":
                operators |= access.permissions
                assert access.permissions <= PLATFORM_PERMISSIONS, path
                verbs = {name.split(":")[1] for name in access.permissions}
                assert verbs in ({verb}, {"open"}), (method, path)
            case _:
                tenants |= access.permissions
                assert access.permissions <= PERMISSIONS, path
                assert access.permissions or path == "/v1/auth/me", path
                every = all if verb == "read" else any  # who changes may have to read as well
                fits = every(name.endswith(f":{verb}") for name in access.permissions)
                assert fits or not access.permissions, path
    assert public == PUBLIC
    assert tenants == PERMISSIONS, "a permission that opens nothing"
    assert operators | tenants >= PLATFORM_PERMISSIONS, "one of operators' that opens nothing"
    assert len(set(CONTROLLERS)) == len(CONTROLLERS), "one that is there twice"
    homes = {(controller.path, home_of(controller)) for controller in CONTROLLERS}
    assert len({path for path, _ in homes}) == len(homes), "a resource of two modules"


def home_of(controller: type[Controller]) -> str:
    """Return the module of a controller, or the package where its resource has one of its own."""
    package, _, _ = controller.__module__.rpartition(".")
    return controller.__module__ if package == controllers.__name__ else package


def test_pages_are_open_and_only_read(app: Litestar) -> None:
    for route in app.routes:
        if route.path.startswith(PAGES):
            for handler in route.route_handlers:  # type: ignore[union-attr]
                access = access_of(handler)
                assert access is not None, route.path
                if handler.http_methods != {"OPTIONS"}:
                    assert access.kind == "public", route.path
                    assert handler.http_methods <= SAFE, route.path
