"""Who holds what by now, read where it is about to be handed on.

What a token or a remembered key says may be a second old. Whoever grants rights or takes them does
it under the tenant's lock on rights, by what is in the database then: two owners who demote each
other at once leave one.
"""

from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

import msgspec

from crossdock.access import rules as keys
from crossdock.access import store as key_store
from crossdock.access.model import Principal
from crossdock.access.permissions import PLATFORM_ROLES, TENANT_ROLES, Role, effective
from crossdock.access.roles import rules
from crossdock.access.roles import store as role_store
from crossdock.access.roles.model import CustomRole
from crossdock.access.roles.rules import check_held
from crossdock.access.store import Connection
from crossdock.errors import Forbidden, Invalid, Violation
from crossdock.identity.sessions import store as sessions
from crossdock.tenancy.rules import PLATFORM


class Rights(msgspec.Struct, frozen=True):
    """A tenant's roles, and what one caller holds."""

    tenant_id: UUID
    roles: tuple[CustomRole, ...]
    permits: dict[str, frozenset[str]]
    """All permissions of each custom role."""
    held: frozenset[str]

    def of(self, names: Iterable[str]) -> frozenset[str]:
        """Return all that roles of these names permit."""
        return effective(names, self.permits)

    def check_assignable(self, names: Collection[str], pointer: str) -> None:
        """Check that there are such roles for people of this tenant.

        Raises:
            Invalid: there are not; operators' roles are for the platform's tenant only.
        """
        check_built_in(self.tenant_id, names, pointer, besides=self.permits)

    def check_may(self, *names: Collection[str]) -> None:
        """Check that the caller may give or take roles of these names.

        Raises:
            Forbidden: they permit what the caller does not hold.
        """
        for some in names:
            check_held(self.of(some), self.held)


def check_built_in(
    tenant_id: UUID, names: Collection[str], pointer: str, *, besides: Collection[str] = ()
) -> None:
    """Check that there are such roles for people of a tenant.

    Args:
        tenant_id: The platform's own has operators' roles, and others have none of those.
        names: Of the roles.
        pointer: Where they are in the request.
        besides: The tenant's own roles.

    Raises:
        Invalid: there is no such role.
    """
    found = [
        Violation(f"{pointer}/{index}", f"There is no role {name!r}.")
        for index, name in enumerate(names)
        if name not in built_in_roles(tenant_id) and name not in besides
    ]
    if found:
        raise Invalid(None, *found)


def built_in_roles(tenant_id: UUID) -> Mapping[str, Role]:
    """Return the roles that come with Crossdock and that people of a tenant can have."""
    return PLATFORM_ROLES if tenant_id == PLATFORM else TENANT_ROLES


async def locked(conn: Connection, by: Principal) -> Rights:
    """Lock a tenant's rights and return what a caller of it holds.

    Raises:
        Forbidden: the caller is an operator inside, or is gone, disabled, revoked by now.
    """
    await role_store.lock_rights(conn, by.tenant_id)
    return await current(conn, by)


async def current(conn: Connection, by: Principal) -> Rights:
    """Return what a caller holds, without a lock.

    Raises:
        Forbidden: the caller is an operator inside, or is gone, disabled, revoked by now.
    """
    roles = tuple(await role_store.everything(conn, by.tenant_id))
    permits = rules.resolve({role.name: role.definition for role in roles})
    held = await _held(conn, by, permits)
    if held is None:
        raise Forbidden("These credentials have just ended.")
    return Rights(by.tenant_id, roles, permits, held)


async def _held(
    conn: Connection, by: Principal, permits: dict[str, frozenset[str]]
) -> frozenset[str] | None:
    if by.actor.kind == "operator":
        return None
    if by.actor.kind == "user":
        session = by.session_id
        if session is not None and not await sessions.goes_on(
            conn, by.tenant_id, by.actor.id, session
        ):
            return None
        roles = await key_store.roles_of_active(conn, by.tenant_id, by.actor.id)
        return None if roles is None else effective(roles, permits)
    stored = await key_store.for_verification(conn, by.tenant_id, by.actor.id)
    if stored is None or stored.revoked_at is not None:
        return None
    return keys.permits(stored, permits)
