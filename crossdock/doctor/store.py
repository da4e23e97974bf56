"""What PostgreSQL's catalogue says about our roles and tables."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from crossdock.config import DatabaseRole, DatabaseSettings
from crossdock.db import Database
from crossdock.db.roles import PREFIX
from crossdock.db.schema import SCHEMA
from crossdock.doctor.model import RoleFacts, TableFacts


@asynccontextmanager
async def session(
    settings: DatabaseSettings, role: DatabaseRole
) -> AsyncIterator[asyncpg.Connection]:
    """Connect as a role.

    Raises:
        DatabaseUnavailable: the server refuses it, has no such database, or is away.
    """
    database = await Database.open(settings, [])
    async with database.session(role) as connection:
        yield connection


async def server(connection: asyncpg.Connection) -> asyncpg.Record:
    """Return the server's version, whether it syncs, and its clock."""
    return await connection.fetchrow(
        "SELECT current_setting('server_version_num')::int AS version,"
        " current_setting('fsync')::bool AS fsync, clock_timestamp() AS now"
    )


async def revision(connection: asyncpg.Connection) -> str | None:
    """Return the schema's revision; `None` where it has none that this role may see."""
    table = f"{SCHEMA}.alembic_version"
    readable = "to_regclass($1) IS NOT NULL AND has_table_privilege(to_regclass($1), 'SELECT')"
    if not await connection.fetchval(f"SELECT {readable}", table):
        return None
    found: str | None = await connection.fetchval(f"SELECT version_num FROM {table}")  # noqa: S608
    return found


async def roles(connection: asyncpg.Connection) -> tuple[RoleFacts, ...]:
    """Return our roles and what they can do."""
    rows = await connection.fetch(
        "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb"
        " FROM pg_roles WHERE starts_with(rolname, $1) ORDER BY rolname",
        PREFIX,
    )
    return tuple(RoleFacts(*row) for row in rows)


async def tables(connection: asyncpg.Connection) -> tuple[TableFacts, ...]:
    """Return our tables and partitions, and who guards them."""
    rows = await connection.fetch(
        """
        SELECT c.relname,
               EXISTS (SELECT FROM pg_attribute a
                        WHERE a.attrelid = c.oid AND a.attname = 'tenant_id'),
               c.relispartition,
               c.relrowsecurity AND c.relforcerowsecurity,
               EXISTS (SELECT FROM aclexplode(c.relacl) g
                         JOIN pg_roles r ON r.oid = g.grantee WHERE r.rolname = $2)
          FROM pg_class c
         WHERE c.relnamespace = to_regnamespace($1) AND c.relkind IN ('r', 'p')
         ORDER BY c.relname
        """,
        SCHEMA,
        f"{PREFIX}app",
    )
    return tuple(TableFacts(*row) for row in rows)
