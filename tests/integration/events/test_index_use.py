"""Lists of events use their indexes as the role `app` sees them: under row-level security.

With generic plans too, for that is what a prepared statement has from its sixth use on.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from crossdock import ids, native
from crossdock.db import Databases
from crossdock.inbound.events import store as events_store
from crossdock.inbound.model import EventFilter, FieldFilter
from crossdock.paging import Window
from crossdock.tenancy.service import Tenants

ROWS: Final = 40_000
SOURCE: Final = UUID(int=7)
NOW: Final = datetime.now(UTC)

FILTERS: Final = {
    "nothing": EventFilter(),
    "source": EventFilter(source_id=SOURCE),
    "type": EventFilter(event_type="type.3"),
    "status": EventFilter(status="quarantined"),
    "matched": EventFilter(matched="none"),
    "time": EventFilter(
        received_after=NOW - timedelta(hours=6), received_before=NOW + timedelta(hours=1)
    ),
    "field": EventFilter(payload=(FieldFilter("/n", "3"),)),
    "two-fields": EventFilter(payload=(FieldFilter("/n", "3"), FieldFilter("/m", "1"))),
    "all": EventFilter(
        source_id=SOURCE,
        event_type="type.3",
        received_after=NOW - timedelta(hours=6),
        payload=(FieldFilter("/n", "3"),),
    ),
}
WINDOWS: Final = {"first": Window(limit=50), "next": Window(after=ids.floor(NOW), limit=50)}
EMPTY: Final = re.compile(r"Seq Scan on \S+( \S+)?  \(cost=0\.00\.\.0\.\d\d rows=1 ")
USED: Final = {
    "source": "source_id_id_idx",
    "type": "event_type_id_idx",
    "status": "status_id_idx",
    "matched": "tenant_id_id_idx",
    "field": "event_fields",
    "two-fields": "event_fields",
    "all": "event_fields",
}
"""What the scan that drives the list is of."""


@pytest.fixture(scope="module")
async def tenant(world: Any, own_databases: Databases) -> UUID:
    """A tenant with many events, and another with as many."""
    tenants = Tenants(own_databases)
    made = [(await tenants.create(f"Tenant {ids.new().hex}")).id for _ in range(2)]
    floor = ids.floor(NOW - timedelta(hours=5)).int >> 80
    for tenant_id in made:
        await world.admin.execute(
            "INSERT INTO crossdock.events (tenant_id, id, source_id, stream_seq, event_type,"
            " content_type, traceparent, headers, body, status, matched)"
            " SELECT $1, (lpad(to_hex($3::bigint + n * 400), 12, '0') || '7000'"
            "  || '8000' || lpad(to_hex(n::bigint), 12, '0'))::uuid,"
            " CASE WHEN n % 3 < 2 THEN $2::uuid ELSE gen_random_uuid() END, n,"
            " 'type.' || n % 10, 'application/json', '', '[]', '{}',"
            " CASE WHEN n % 100 = 0 THEN 'quarantined' ELSE 'accepted' END,"
            " CASE WHEN n % 100 = 1 THEN 0 ELSE 2 END"
            " FROM generate_series(1, $4) AS n",
            tenant_id,
            SOURCE,
            floor,
            ROWS,
        )
        for pointer, count in (("/n", 10), ("/m", 3)):
            keys = [native.field_key(pointer, str(number)) for number in range(count)]
            await world.admin.execute(
                "INSERT INTO crossdock.event_fields (tenant_id, key, id)"
                " SELECT tenant_id, ($2::bytea[])[1 + stream_seq % $3], id"
                " FROM crossdock.events WHERE tenant_id = $1",
                tenant_id,
                keys,
                count,
            )
    await world.admin.execute("ANALYZE crossdock.events, crossdock.event_fields")
    return made[0]


async def explained(own_databases: Databases, tenant: UUID, query: Any, mode: str) -> str:
    """Return how the role `app` would carry out a query inside a tenant."""
    dialect = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
    compiled = query.compile(dialect=dialect)
    values = [compiled.params[name] for name in compiled.positiontup]
    kinds = ", ".join("bytea" if isinstance(one, bytes) else _kind(one) for one in values)
    given = ", ".join(_written(one) for one in values)
    async with own_databases.tenant(tenant) as conn:
        await conn.execute(text(f"SET LOCAL plan_cache_mode = {mode}"))
        await events_store.walk(conn)
        raw: Any = (await conn.get_raw_connection()).driver_connection
        await raw.execute(f"PREPARE list_of_events ({kinds}) AS {compiled}")
        rows = await raw.fetch(f"EXPLAIN EXECUTE list_of_events ({given})")
        await raw.execute("DEALLOCATE list_of_events")
    return "\n".join(row[0] for row in rows)


def _kind(value: Any) -> str:
    return {UUID: "uuid", str: "text", int: "bigint"}[type(value)]


def _written(value: Any) -> str:
    return f"'\\x{value.hex()}'" if isinstance(value, bytes) else f"'{value}'"


@pytest.mark.parametrize("window", list(WINDOWS))
@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
@pytest.mark.parametrize("wanted", list(FILTERS))
async def test_a_list_walks_an_index(
    own_databases: Databases, tenant: UUID, wanted: str, mode: str, window: str
) -> None:
    query = events_store.newest(tenant, WINDOWS[window], FILTERS[wanted])
    plan = await explained(own_databases, tenant, query, mode)
    assert "Index Scan" in plan or "Index Only Scan" in plan, plan
    # The limit ends the walk: nothing reads all there is before the first row. A partition without
    # a row is read as it likes.
    plan = EMPTY.sub("", plan)
    for word in ("Seq Scan", "Bitmap", "Sort  (", "Hash", "Merge Join"):
        assert word not in plan, plan
    assert USED.get(wanted, "") in plan, plan


async def test_what_it_finds_is_the_tenants(own_databases: Databases, tenant: UUID) -> None:
    for name, wanted in FILTERS.items():
        async with own_databases.tenant(tenant) as conn:
            found = await events_store.page_events(conn, tenant, Window(limit=5), wanted)
        assert len(found) == 6, name
        assert [one.id for one in found] == sorted((one.id for one in found), reverse=True)
