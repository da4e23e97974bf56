"""No endpoint runs more statements as its lists grow."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from itertools import count as counting
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import msgspec
import pytest
from litestar import Litestar

from crossdock import ids
from crossdock.config import Settings
from crossdock.db.migrate import migrate
from crossdock.embedded import EmbeddedPostgres
from gateway.openapi import assemble
from tests.beds.crowd import Crowd, Member
from tests.beds.routes import ENDLESS
from tests.beds.statements import TUNING, Statements
from tests.conftest import QUICK

MANY = 150
_numbers = counting(1)

CLONED = {
    "alerts": {"subject": "'s' || i"},
    "api_keys": {"name": "'k' || i"},
    "attempts": {"number": "i + 1"},
    "audit": {"action": "'a' || i"},
    "deliveries": {"last_status": "i"},
    "destinations": {"name": "'d' || i"},
    "event_type_versions": {"number": "i + 1"},
    "event_types": {"name": "'t' || i"},
    "events": {"event_type": "'t' || i"},
    "inbox_messages": {"outcome": "'200'"},
    "invitations": {"email": "i || '@example.com'", "token_hash": "'\\x' || md5(i::text)"},
    "refusals": {"detail": "'d' || i"},
    "replays": {"matched": "i"},
    "retention_drops": {"events": "i"},
    "roles": {"name": "'r' || i"},
    "sessions": {"address": "'127.0.0.1'"},
    "support_accesses": {"reason": "'w' || i"},
    "users": {"email": "'u' || i || '@example.com'"},
}
"""What differs between the rows of one table, besides their ids, where they have any."""

FIRST = {
    "alerts": "kind, subject, level) VALUES ($1, $2, 'quota_near', 's', 80)",
    "audit": "actor_kind, action) VALUES ($1, $2, 'system', 'a')",
    "replays": "filter) VALUES ($1, $2, '{}')",
    "retention_drops": "begins, ends, events, bytes, kept) VALUES ($1, $2, now(), now(), 1, 1, 0)",
    "support_accesses": "operator_id, operator, reason, ends_at)"
    " VALUES ($1, $2, uuidv7(), 'o@example.com', 'why', now() + interval '1 hour')",
}
"""Rows that no call of the API leaves behind at once."""

REFUSED = (
    "INSERT INTO crossdock.refusals (tenant_id, source_id, id, reason, detail, method, address,"
    " headers, size) VALUES ($1, $2, $3, 'malformed', 'd', 'POST', '127.0.0.1', '[]', 1)"
)
"""And one that is of another."""

SHOWN = (
    "INSERT INTO crossdock.inbox_messages (tenant_id, destination_id, id, event_id, outcome,"
    " headers, body) VALUES ($1, $2, $3, uuidv7(), '200', '[]', '')"
)
"""One that is in a destination's inbox."""

CHANGES: tuple[tuple[str, str, Any], ...] = (
    ("post", "/v1/events/{event_id}/replay", None),
    ("post", "/v1/destinations/{destination_id}/disable", None),
    ("post", "/v1/destinations/{destination_id}/enable", None),
    ("post", "/v1/sources/{source_id}/pause", None),
    ("patch", "/v1/sources/{source_id}", {"max_body_bytes": "number"}),
    ("patch", "/v1/destinations/{destination_id}", {"name": "text"}),
    ("patch", "/v1/roles/{role_id}", {"description": "text"}),
    ("patch", "/v1/users/{user_id}", {"name": "text"}),
    ("patch", "/v1/tenant", {"name": "text"}),
    ("post", "/v1/sources", {"name": "text", "scheme": "stripe"}),
    ("post", "/v1/destinations", {"name": "text", "url": "https://example.com/"}),
    ("post", "/v1/api-keys", {"name": "text", "permissions": ["events:read"]}),
    ("post", "/v1/admin/tenants", {"name": "text"}),
)
"""Changes that can be made again and again, and with what body."""

WITHOUT = {
    *ENDLESS,
    "/v1/admin/shards",  # shards are databases; each is asked by itself how it is
    # in no table:
    "/v1/retention",
    "/v1/source-presets",
    "/v1/source-presets/{preset_name}",
}
"""What is read otherwise."""


class Household(msgspec.Struct):
    """A tenant with one of everything, and who may look at it."""

    tenant_id: UUID
    api: httpx.AsyncClient
    person: httpx.AsyncClient
    operator: httpx.AsyncClient
    ids: dict[str, str]
    """By the names of paths' parameters."""

    def caller(self, path: str) -> httpx.AsyncClient:
        """Return who may read a path."""
        if path.startswith("/v1/admin"):
            return self.operator
        return self.person if path.startswith("/v1/auth") else self.api


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """A server of this module's own, which counts."""
    with (
        tempfile.TemporaryDirectory(prefix="crossdock-test-") as folder,
        EmbeddedPostgres(Path(folder), tuning=QUICK | TUNING) as found,
    ):
        found.ensure_database()
        yield found


@pytest.fixture(scope="module")
async def settings(settings: Settings, server: EmbeddedPostgres) -> Settings:
    """Settings of that server."""
    database = server.settings()
    await migrate(server.admin_url(), database)
    return msgspec.structs.replace(settings, database=database)


@pytest.fixture(scope="module")
async def admin(settings: Settings, server: EmbeddedPostgres) -> AsyncIterator[asyncpg.Connection]:
    """A superuser of that server."""
    connection = await asyncpg.connect(server.admin_url())
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
async def house(
    new_tenant: Any, admin: asyncpg.Connection, crowd: Crowd, rows: Any, connect: Any
) -> Household:
    """Make one of everything."""
    caller = await new_tenant()
    await admin.execute("UPDATE crossdock.tenants SET plan = 'unlimited'")
    person: Member = await crowd.user(caller.tenant_id, "owner")
    operator = await crowd.operator()

    async def made(path: str, **body: object) -> str:
        answer = await caller.http.post(path, json=body)
        assert answer.status_code == 201, answer.text
        found: str = answer.json()["id"]
        return found

    source = await made("/v1/sources", name="s", scheme="stripe")
    destination = await made("/v1/destinations", name="d", kind="inbox")
    event = await rows.event(caller.tenant_id, ids.decode("src", source))
    delivery = await rows.delivery(caller.tenant_id, event, ids.decode("dst", destination))
    named = {
        "tenant_id": ids.encode("ten", caller.tenant_id),
        "source_id": source,
        "destination_id": destination,
        "event_id": ids.encode("evt", event),
        "delivery_id": ids.encode("dlv", delivery),
        "user_id": person.wire_id,
        "key_id": await made("/v1/api-keys", name="k", permissions=["events:read"]),
        "event_type_id": await made("/v1/event-types", name="t", schema={}),
        "number": "1",
        "preset_name": "stripe",
        "role_id": await made("/v1/roles", name="r", permissions=["events:read"]),
        "invitation_id": await made("/v1/invitations", email="i@example.com", roles=["viewer"]),
    }
    await admin.execute(REFUSED, caller.tenant_id, ids.decode("src", source), ids.new())
    await admin.execute(SHOWN, caller.tenant_id, ids.decode("dst", destination), ids.new())
    first = {table: await _first(admin, caller.tenant_id, table) for table in FIRST}
    named["replay_id"] = ids.encode("rpl", first["replays"])
    named["support_id"] = ids.encode("sup", first["support_accesses"])
    named["alert_id"] = ids.encode("alt", first["alerts"])
    return Household(
        caller.tenant_id, caller.http, connect(person.token), connect(operator.token), named
    )


async def _first(admin: asyncpg.Connection, tenant_id: UUID, table: str) -> UUID:
    one = ids.new()
    statement = f"INSERT INTO crossdock.{table} (tenant_id, id, {FIRST[table]}"
    await admin.execute(statement, tenant_id, one)
    return one


async def _multiply(admin: asyncpg.Connection, house: Household) -> None:
    """Make many of everything there is one of, and many tenants."""
    for table, other in CLONED.items():
        key = "event_type_id" if table == "event_type_versions" else "id"
        pairs = ", ".join(f"'{column}', {value}" for column, value in other.items())
        await admin.execute(
            f"INSERT INTO crossdock.{table} SELECT (jsonb_populate_record(one,"  # noqa: S608
            f" jsonb_build_object('id', uuidv7(), {pairs}))).*"
            f" FROM crossdock.{table} AS one, generate_series(1, {MANY - 1}) AS i"
            f" WHERE (tenant_id, {key}) ="
            f" (SELECT tenant_id, {key} FROM crossdock.{table} WHERE tenant_id = $1 LIMIT 1)",
            house.tenant_id,
        )
    for table, own in (("tenants", "id"), ("placements", "tenant_id")):
        await admin.execute(
            f"INSERT INTO crossdock.{table}"  # noqa: S608 - names are written above
            f" SELECT (jsonb_populate_record(one, jsonb_build_object("
            f"'{own}', md5('t' || i)::uuid, 'slug', 't-' || i))).*"
            f" FROM crossdock.{table} AS one, generate_series(1, {MANY - 1}) AS i"
            f" WHERE {own} = $1",
            house.tenant_id,
        )
    for number in range(MANY - 1):  # their URLs are sealed, each by itself
        body = {"name": f"s {number}", "scheme": "stripe"}
        assert (await house.api.post("/v1/sources", json=body)).status_code == 201


def _paths(app: Litestar) -> list[str]:
    """Return what can be read, lists with as long pages as there are."""
    found = []
    for path, item in assemble(app)["paths"].items():
        if not path.startswith("/v1/") or "get" not in item or path in WITHOUT:
            continue
        names = {one["name"] for one in item["get"].get("parameters", ())}
        found.append(f"{path}?limit=200" if "limit" in names else path)
    return found


class Counted(msgspec.Struct):
    """What a call runs, with one row of everything and with many."""

    few: dict[str, int]
    many: dict[str, int]
    items: tuple[int, ...]
    """How many a list had."""


@pytest.fixture(scope="module")
async def counted(app: Litestar, admin: asyncpg.Connection, house: Household) -> dict[str, Counted]:
    """Count the statements of every call, before and after there are many rows."""
    statements = Statements(admin)
    await statements.prepare()
    items: dict[str, list[int]] = {}

    async def count(method: str, path: str, body: Any) -> dict[str, int]:
        async def call() -> None:
            fresh = {"text": ids.new().hex, "number": 1000 + next(_numbers)}
            sent = None if body is None else {k: fresh.get(str(v), v) for k, v in body.items()}
            answer = await house.caller(path).request(method, path.format_map(house.ids), json=sent)
            assert answer.is_success, (method, path, answer.text)
            if answer.content and "items" in answer.json():
                items.setdefault(f"{method} {path}", []).append(len(answer.json()["items"]))

        return await statements.of(call)

    calls = [*(("get", path, None) for path in _paths(app)), *CHANGES]
    few = [await count(*one) for one in calls]
    await _multiply(admin, house)
    many = [await count(*one) for one in calls]
    names = [f"{method} {path}" for method, path, _ in calls]
    return {
        name: Counted(one, other, tuple(items.get(name, ())))
        for name, one, other in zip(names, few, many, strict=True)
    }


def test_a_longer_list_takes_no_more_statements(counted: dict[str, Counted]) -> None:
    reads = {name: found for name, found in counted.items() if name.startswith("get ")}
    assert len(reads) > 30
    for name, found in reads.items():
        assert found.few, f"{name} was not counted"
        assert found.many == found.few, name


def test_the_lists_were_longer(counted: dict[str, Counted]) -> None:
    lists = {name: found.items for name, found in counted.items() if "limit=" in name}
    assert len(lists) > 12
    for name, items in lists.items():
        assert min(items) < MANY <= max(items), name


def test_a_change_among_many_takes_no_more_statements(counted: dict[str, Counted]) -> None:
    for method, path, _ in CHANGES:
        found = counted[f"{method} {path}"]
        assert found.few, f"{path} was not counted"
        assert sum(found.many.values()) == sum(found.few.values()), (path, found)


def test_an_event_is_replayed_to_many_at_once(counted: dict[str, Counted]) -> None:
    items = counted["post /v1/events/{event_id}/replay"].items
    assert min(items) == 1
    assert max(items) >= MANY
