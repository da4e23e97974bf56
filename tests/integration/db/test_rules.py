"""The schema keeps its own rules: walked in the catalogue and in the metadata, no list by hand."""

from typing import Any, Final, get_args

import asyncpg
import pytest
from sqlalchemy import ForeignKeyConstraint, PrimaryKeyConstraint, Table, UniqueConstraint

from crossdock.config import DatabaseRole
from crossdock.db.roles import role_name
from crossdock.schema import metadata
from tests.beds.world import World

TABLES: Final = list(metadata.sorted_tables)
TENANT_TABLES: Final = [table for table in TABLES if "tenant" in table.info]
PLAIN: Final = {"home", "alembic_version"}
"""Tables that hold nothing of any tenant."""
SHARED: Final = {"order_floor"}
"""Tables of nobody's rows that tenants may look at: a number, and no more."""


async def rows(world: World, query: str, *arguments: Any) -> list[asyncpg.Record]:
    """Return what the catalogue says."""
    found: list[asyncpg.Record] = await world.admin.fetch(query, *arguments)
    return found


async def test_every_table_with_a_tenant_forces_row_security(world: World) -> None:
    found = await rows(
        world,
        "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class"
        " WHERE relnamespace = 'crossdock'::regnamespace AND relkind IN ('r', 'p')",
    )
    assert {row["relname"] for row in found} > {table.name for table in TABLES}
    for row in found:
        forced = row["relrowsecurity"] and row["relforcerowsecurity"]
        assert forced == (row["relname"] not in PLAIN), row["relname"]


async def test_whoever_may_touch_a_table_is_held_by_a_policy_for_it(world: World) -> None:
    granted = await rows(
        world,
        "SELECT DISTINCT c.relname AS table, r.rolname AS role, p.privilege"
        " FROM pg_class AS c CROSS JOIN pg_roles AS r"
        " CROSS JOIN unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[])"
        " AS p (privilege)"
        " WHERE c.relnamespace = 'crossdock'::regnamespace AND c.relkind IN ('r', 'p')"
        " AND r.rolname LIKE 'crossdock\\_%' AND r.rolname <> 'crossdock_owner'"
        " AND (has_table_privilege(r.oid, c.oid, p.privilege)"
        "   OR (p.privilege IN ('SELECT', 'INSERT', 'UPDATE')"
        "     AND has_any_column_privilege(r.oid, c.oid, p.privilege)))",
    )
    policies = {
        (row["tablename"], role, row["cmd"])
        for row in await rows(world, "SELECT * FROM pg_policies WHERE schemaname = 'crossdock'")
        for role in row["roles"]
    }
    assert len(granted) > 30
    for row in granted:
        assert row["privilege"] not in {"TRUNCATE", "REFERENCES", "TRIGGER"}, row
        if row["table"] not in PLAIN:
            assert (row["table"], row["role"], row["privilege"]) in policies, row
        else:
            assert row["privilege"] == "SELECT"


async def test_nobody_may_touch_a_partition_itself(world: World) -> None:
    found = await rows(
        world,
        "SELECT c.relname, c.relacl, pg_get_userbyid(c.relowner) AS owner FROM pg_class AS c"
        " WHERE c.relispartition AND c.relkind = 'r'"
        " AND c.relnamespace = 'crossdock'::regnamespace",
    )
    assert len(found) > 20
    for row in found:
        assert row["owner"] == "crossdock_owner"
        grantees = {entry.split("=")[0] for entry in row["relacl"] or []}
        assert grantees <= {"crossdock_owner"}, row["relname"]


async def test_no_policy_for_a_tenant_looks_beyond_it(world: World) -> None:
    for row in await rows(world, "SELECT * FROM pg_policies WHERE schemaname = 'crossdock'"):
        assert row["permissive"] == "PERMISSIVE"
        assert len(row["roles"]) == 1
        if row["roles"] == ["crossdock_app"] and row["tablename"] not in SHARED:
            for words in (row["qual"], row["with_check"]):
                assert words is None or "crossdock.tenant_id" in words
                assert words is None or "( SELECT\n        CASE" in words, "once a query"


async def test_roles_have_no_power_of_their_own(world: World) -> None:
    names = [role_name(role) for role in get_args(DatabaseRole)]
    found = await rows(world, "SELECT * FROM pg_roles WHERE rolname = ANY ($1)", names)
    assert len(found) == len(names)
    for row in found:
        assert row["rolcanlogin"]
        for power in ("super", "bypassrls", "createrole", "createdb", "replication", "inherit"):
            assert not row[f"rol{power}"], (row["rolname"], power)
    members = await rows(
        world,
        "SELECT 1 FROM pg_auth_members WHERE member IN"
        " (SELECT oid FROM pg_roles WHERE rolname = ANY ($1))",
        names,
    )
    assert members == []


async def test_nobody_may_call_what_is_not_theirs(world: World) -> None:
    found = await rows(
        world,
        "SELECT p.oid::regprocedure::text AS name, p.prosecdef, p.proconfig, p.proacl,"
        " has_function_privilege('crossdock_app', p.oid, 'EXECUTE') AS by_app,"
        " has_function_privilege('crossdock_ingest', p.oid, 'EXECUTE') AS by_ingest"
        " FROM pg_proc AS p WHERE p.pronamespace = 'crossdock'::regnamespace",
    )
    for row in found:
        assert row["proacl"] is not None
        assert not any(entry.startswith("=") for entry in row["proacl"]), "granted to all"
        if row["prosecdef"]:
            assert row["proconfig"] == ["search_path=pg_catalog, pg_temp"]
            assert not row["by_app"], row["name"]
            assert not row["by_ingest"], row["name"]


async def test_the_public_has_nothing(world: World) -> None:
    database = await world.admin.fetchval("SELECT current_database()")
    await world.admin.execute("DROP ROLE IF EXISTS somebody_else; CREATE ROLE somebody_else")
    try:
        for privilege in ("CONNECT", "TEMP", "CREATE"):
            assert not await world.admin.fetchval(
                "SELECT has_database_privilege('somebody_else', $1, $2)", database, privilege
            )
        assert not await world.admin.fetchval(
            "SELECT has_schema_privilege('somebody_else', 'crossdock', 'USAGE')"
        )
    finally:
        await world.admin.execute("DROP ROLE somebody_else")


@pytest.mark.parametrize("table", TENANT_TABLES, ids=lambda table: table.name)
def test_keys_lead_with_the_tenant(table: Table) -> None:
    column = table.info["tenant"]
    exempt = set(table.info.get("global_unique", {}))
    for constraint in table.constraints:
        if isinstance(constraint, PrimaryKeyConstraint | UniqueConstraint):
            first = next(iter(constraint.columns)).name
            name = str(constraint.name)
            assert first == column or name in exempt, name
        if isinstance(constraint, ForeignKeyConstraint) and (
            "tenant" in constraint.referred_table.info
        ):
            assert constraint.column_keys[0] == column
    for index in table.indexes:
        if index.unique:
            assert next(iter(index.columns)).name == column


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_says_whether_it_is_audited(table: Table) -> None:
    audit = table.info["audit"]
    assert audit == "full" or (audit.startswith("none: ") and len(audit) > 10)


def test_partitioned_tables_have_no_foreign_keys() -> None:
    partitioned = {table.name for table in TABLES if table.info.get("partitioned")}
    assert partitioned == {"events", "event_fields", "deliveries", "attempts"}
    for table in TABLES:
        for constraint in table.foreign_key_constraints:
            assert table.name not in partitioned
            assert constraint.referred_table.name not in partitioned


def test_every_table_with_a_tenant_column_says_so() -> None:
    for table in TABLES:
        assert ("tenant_id" in table.c) == (table.info.get("tenant") == "tenant_id")
