"""The roles of the database: made once, by an administrator; none of them is one.

Passwords never travel: the administrator's connection carries their SCRAM verifiers (RFC 5803), so
a server that logs its statements learns nothing.
"""

import base64
import hashlib
import hmac
import secrets
from typing import Final, get_args

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
}
"""Set on the role, not by the client: PgBouncer refuses most startup parameters."""


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
    with translating():
        connection = await asyncpg.connect(admin_url)
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", ADVISORY_LOCK)
            for role in get_args(DatabaseRole):
                await _ensure_role(connection, role, settings.password(role))
            await _ensure_database(connection)
        except asyncpg.InsufficientPrivilegeError as error:
            raise ConfigurationError(
                f"The administrator of the database may not prepare its roles: {error}"
            ) from error
        finally:
            await connection.close()


async def missing_roles(connection: asyncpg.Connection) -> list[str]:
    """Return the names of roles that do not exist yet."""
    names = [role_name(role) for role in get_args(DatabaseRole)]
    rows = await connection.fetch("SELECT rolname FROM pg_roles WHERE rolname = ANY ($1)", names)
    return sorted(set(names) - {row["rolname"] for row in rows})


async def _ensure_role(
    connection: asyncpg.Connection, role: DatabaseRole, password: str | None
) -> None:
    name = role_name(role)
    if not await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", name):
        await connection.execute(f"CREATE ROLE {name} NOLOGIN")
    rights = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS NOINHERIT"
    await connection.execute(f"ALTER ROLE {name} {rights}")
    if password is not None:
        await connection.execute(f"ALTER ROLE {name} PASSWORD '{scram_verifier(password)}'")
    limits = {"jit": "off", "idle_in_transaction_session_timeout": "60s", **_SETTINGS[role]}
    for setting, value in limits.items():
        await connection.execute(f"ALTER ROLE {name} SET {setting} = '{value}'")


async def _ensure_database(connection: asyncpg.Connection) -> None:
    """Close the database to everybody else, and let the owner create its schema."""
    database = await connection.fetchval("SELECT quote_ident(current_database())")
    everybody = ", ".join(role_name(role) for role in get_args(DatabaseRole))
    await connection.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
    await connection.execute(f"GRANT CONNECT ON DATABASE {database} TO {everybody}")
    await connection.execute(f"GRANT CREATE ON DATABASE {database} TO {role_name('owner')}")


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
