"""Statements on custom roles, each inside one tenant's transaction."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, delete, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.access.roles.model import CustomRole
from crossdock.access.tables import invitations, roles
from crossdock.identity.tables import users


async def lock_rights(conn: AsyncConnection, tenant_id: UUID) -> None:
    """Wait for everybody else who changes who may do what in this tenant, and keep others waiting.

    A statement of its own, so that those after it see what the others have committed.
    """
    key = func.hashtextextended(f"rights:{tenant_id}", 0)
    await conn.execute(select(func.pg_advisory_xact_lock(key)))


async def everything(conn: AsyncConnection, tenant_id: UUID) -> Sequence[CustomRole]:
    """Return all roles of a tenant, newest first."""
    query = select(roles).where(roles.c.tenant_id == tenant_id).order_by(roles.c.id.desc())
    return [_role(row) for row in (await conn.execute(query)).mappings()]


async def add(conn: AsyncConnection, role: CustomRole) -> None:
    """Insert a role; the lock on rights keeps its name free until then."""
    await conn.execute(insert(roles).values(_columns(role)))


async def save(conn: AsyncConnection, role: CustomRole) -> None:
    """Write what can change of a role."""
    columns = {"description", "permissions", "inherits", "version", "updated_at"}
    await conn.execute(
        update(roles)
        .where(roles.c.tenant_id == role.tenant_id, roles.c.id == role.id)
        .values({name: value for name, value in _columns(role).items() if name in columns})
    )


async def remove(conn: AsyncConnection, tenant_id: UUID, role_id: UUID) -> None:
    """Delete a role."""
    await conn.execute(delete(roles).where(roles.c.tenant_id == tenant_id, roles.c.id == role_id))


async def is_held(conn: AsyncConnection, tenant_id: UUID, name: str) -> bool:
    """Tell whether a user has a role."""
    query = select(exists().where(users.c.tenant_id == tenant_id, users.c.roles.contains([name])))
    return bool((await conn.execute(query)).scalar_one())


async def is_offered(conn: AsyncConnection, tenant_id: UUID, name: str) -> bool:
    """Tell whether an invitation that can still be accepted names a role."""
    query = select(
        exists().where(
            invitations.c.tenant_id == tenant_id,
            invitations.c.roles.contains([name]),
            invitations.c.accepted_at.is_(None),
            invitations.c.revoked_at.is_(None),
            invitations.c.expires_at > func.now(),
        )
    )
    return bool((await conn.execute(query)).scalar_one())


def _role(row: RowMapping) -> CustomRole:
    lists = {"permissions": tuple(row["permissions"]), "inherits": tuple(row["inherits"])}
    return CustomRole(**{**row, **lists})


def _columns(role: CustomRole) -> dict[str, Any]:
    return {column.name: _plain(getattr(role, column.name)) for column in roles.c}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
