"""The roles of the database: made once, by an administrator; none of them is one.

Passwords never travel: the administrator's connection carries their SCRAM verifiers (RFC 5803), so
a server that logs its statements learns nothing.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal, get_args

import asyncpg

from crossdock.config import DatabaseRole, DatabaseSettings
from crossdock.db.failures import translating
from crossdock.errors import ConfigurationError

PREFIX: Final = "crossdock_"

SCRAM_ITERATIONS: Final = 4096
"""What PostgreSQL itself uses; passwords here are generated, not chosen."""

ADVISORY_LOCK: Final = 0x63726F7373646F63
"""Held while roles or the schema change, so that any number may start at once."""

_SETTINGS: Final = {
    "owner": {"idle_in_transaction_session_timeout": "5min"},
    "app": {"statement_timeout": "10s", "lock_timeout": "5s"},
    "ingest": {"statement_timeout": "30s", "lock_timeout": "10s"},
    "dispatch": {
        "statement_timeout": "30s",
        "lock_timeout": "5s",
        # All it asks for lies in an index, in order. Statistics see the average destination, and
        # not the one with a million deliveries due, which must not be read to be sorted.
        "enable_sort": "off",
        "enable_seqscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
    },
    "maintenance": {"statement_timeout": "15min", "lock_timeout": "5s"},
    "directory": {"statement_timeout": "10s", "lock_timeout": "5s"},
    "control": {"statement_timeout": "10s", "lock_timeout": "5s"},
    "operator": {"statement_timeout": "60s", "lock_timeout": "5s"},
}
"""Set on the role, not by the client: PgBouncer refuses most startup parameters."""

_REACHING: Final = {
    "pg_terminate_backend": "pg_signal_backend",
    "pg_cancel_backend": "pg_signal_backend",
    "pg_stat_get_activity": "pg_monitor",
    "pg_stat_get_backend_activity": "pg_monitor",
    "lo_creat": None,
    "lo_create": None,
    "lo_from_bytea": None,
}
"""Functions by which a role reaches past its rows, and who keeps them. A tenant's own role belongs
to `crossdock_app`, so it could read the statements of all others' sessions and end those; and large
objects know neither rows nor retention."""


def role_name(role: DatabaseRole) -> str:
    """Return the name that a role has in the database."""
    return f"{PREFIX}{role}"


async def ensure_roles(admin_url: str, settings: DatabaseSettings) -> None:
    """Create what is missing of the roles, and set their passwords and limits.

    Args:
        admin_url: a connection to the product's database as a superuser, or as its owner with
            CREATEROLE.
        settings: where the passwords come from; a role without one gets none.

    Raises:
        ConfigurationError: the administrator lacks the right to do it.
        DatabaseUnavailable: the database is away.
    """
    async with administering(admin_url) as connection, connection.transaction():
        for role in get_args(DatabaseRole):
            await ensure_login(
                connection,
                role_name(role),
                settings.password(role),
                inherit="NOINHERIT",
                limits=limits_of(role),
            )
        await _ensure_database(connection)


@asynccontextmanager
async def administering(admin_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect as an administrator, alone at changing roles.

    Raises:
        ConfigurationError: the administrator lacks the right to do what is tried.
        DatabaseUnavailable: the database is away.
    """
    with translating():
        connection = await asyncpg.connect(admin_url)
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", ADVISORY_LOCK)
            yield connection
        except asyncpg.InsufficientPrivilegeError as error:
            raise ConfigurationError(
                f"The administrator of the database may not prepare its roles: {error}"
            ) from error
        finally:
            await connection.close()


def limits_of(role: DatabaseRole) -> dict[str, str]:
    """Return the settings that a role's sessions begin with."""
    return {"jit": "off", "idle_in_transaction_session_timeout": "60s", **_SETTINGS[role]}


async def missing_roles(connection: asyncpg.Connection) -> list[str]:
    """Return the names of roles that do not exist yet."""
    names = [role_name(role) for role in get_args(DatabaseRole)]
    rows = await connection.fetch("SELECT rolname FROM pg_roles WHERE rolname = ANY ($1)", names)
    return sorted(set(names) - {row["rolname"] for row in rows})


async def ensure_login(
    connection: asyncpg.Connection,
    name: str,
    password: str | None,
    *,
    inherit: Literal["INHERIT", "NOINHERIT"],
    limits: dict[str, str],
) -> None:
    """Create a role that may log in and do nothing by itself, or set its password and limits."""
    if not await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", name):
        await connection.execute(f"CREATE ROLE {name} NOLOGIN")
    rights = f"LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS {inherit}"
    await connection.execute(f"ALTER ROLE {name} {rights}")
    if password is not None:
        await connection.execute(f"ALTER ROLE {name} PASSWORD '{scram_verifier(password)}'")
    for setting, value in limits.items():
        await connection.execute(f"ALTER ROLE {name} SET {setting} = '{value}'")


async def _ensure_database(connection: asyncpg.Connection) -> None:
    """Close the database to everybody else, and let the owner create its schema."""
    database = await connection.fetchval("SELECT quote_ident(current_database())")
    everybody = ", ".join(role_name(role) for role in get_args(DatabaseRole))
    await connection.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
    await connection.execute(f"GRANT CONNECT ON DATABASE {database} TO {everybody}")
    await connection.execute(f"GRANT CREATE ON DATABASE {database} TO {role_name('owner')}")
    if await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        await _close_functions(connection)


async def _close_functions(connection: asyncpg.Connection) -> None:
    """Take from everybody the functions of `_REACHING`; they are the superuser's to close."""
    rows = await connection.fetch(
        "SELECT proname, oid::regprocedure::text AS signature FROM pg_proc"
        " WHERE pronamespace = 'pg_catalog'::regnamespace AND proname = ANY ($1)",
        list(_REACHING),
    )
    for row in rows:
        await connection.execute(f"REVOKE EXECUTE ON FUNCTION {row['signature']} FROM PUBLIC")
        keeper = _REACHING[row["proname"]]
        if keeper is not None:
            await connection.execute(f"GRANT EXECUTE ON FUNCTION {row['signature']} TO {keeper}")


def scram_verifier(password: str, salt: bytes | None = None) -> str:
    """Return what PostgreSQL stores of a password: it proves a login and cannot make one."""
    salt = secrets.token_bytes(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, SCRAM_ITERATIONS)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (
        base64.b64encode(part).decode() for part in (salt, stored_key, server_key)
    )
    return f"SCRAM-SHA-256${SCRAM_ITERATIONS}:{salt64}${stored64}:{server64}"
