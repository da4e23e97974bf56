"""The use cases of custom roles."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec.structs import replace

from crossdock import ids, merge_patch
from crossdock.access import grants, trail
from crossdock.access.grants import Rights
from crossdock.access.model import Principal
from crossdock.access.permissions import Role
from crossdock.access.roles import rules, store
from crossdock.access.roles.model import (
    CustomRole,
    Definition,
    ListedRole,
    RoleEdit,
    ShownRole,
)
from crossdock.access.store import Connection
from crossdock.audit import store as audit
from crossdock.db import Databases
from crossdock.errors import Conflict, NotFound, PreconditionFailed, QuotaReached
from crossdock.outbox import store as outbox
from crossdock.paging import Slice, Window
from crossdock.validation import convert

_LAST: Final = 2**128 - 1
"""No id is as high: those that are made begin with the time."""


class Roles:
    """Makes and changes a tenant's own roles.

    All of it happens under the tenant's lock on rights. Gateways hold resolved roles in memory;
    they have a change within a second.
    """

    def __init__(
        self,
        database: Databases,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._clock = clock

    async def page(self, tenant_id: UUID, window: Window) -> Slice[ListedRole]:
        """Return a page of roles: those that come with Crossdock, then the tenant's own.

        The latter newest first; the former as if made after all of them.
        """
        rows: list[ListedRole] = [
            ListedRole(UUID(int=_LAST - place), role)
            for place, role in enumerate(self.built_in(tenant_id))
        ]
        rows += [ListedRole(shown.role.id, shown) for shown in await self.all(tenant_id)]
        after = window.after
        wanted = [row for row in rows if after is None or row.id < after]
        return Slice.cut(wanted[: window.fetch], window)

    async def all(self, tenant_id: UUID) -> Sequence[ShownRole]:
        """Return all of a tenant's own roles, newest first; their number is bounded."""
        async with self._database.tenant(tenant_id) as conn:
            roles = await store.everything(conn, tenant_id)
        permits = rules.resolve({role.name: role.definition for role in roles})
        return [ShownRole(role, permits[role.name]) for role in roles]

    @staticmethod
    def built_in(tenant_id: UUID) -> Sequence[Role]:
        """Return the roles that come with Crossdock and that people of a tenant can have."""
        return tuple(grants.built_in_roles(tenant_id).values())

    async def get(self, tenant_id: UUID, role_id: UUID) -> ShownRole:
        """Return one role.

        Raises:
            NotFound: this tenant has no such role.
        """
        for shown in await self.all(tenant_id):
            if shown.role.id == role_id:
                return shown
        raise NotFound

    async def create(
        self, by: Principal, name: str, edit: RoleEdit, *, address: str | None = None
    ) -> ShownRole:
        """Make a role of what its maker holds.

        Raises:
            Invalid: the name is taken by Crossdock's own roles, or a part breaks a rule.
            Forbidden: it would permit what its maker may not do.
            Conflict: another role has that name.
            QuotaReached: there are as many as there may be.
        """
        async with self._changing(by, "role.create", None, address) as (conn, rights):
            rules.check_name(name)
            if any(role.name == name for role in rights.roles):
                raise Conflict("Another role has that name.")
            if len(rights.roles) >= rules.MAX_ROLES:
                raise QuotaReached(f"A tenant has {rules.MAX_ROLES} roles of its own at most.")
            now = self._clock()
            role = CustomRole(
                tenant_id=by.tenant_id,
                id=ids.new(now.timestamp()),
                name=name,
                description=edit.description,
                permissions=tuple(sorted(set(edit.permissions))),
                inherits=tuple(dict.fromkeys(edit.inherits)),
                version=1,
                created_at=now,
                updated_at=now,
            )
            shown = _checked(rights, role)
            await store.add(conn, role)
            await _record(conn, by, "role.create", shown, address)
        return shown

    async def patch(
        self,
        by: Principal,
        role_id: UUID,
        changes: Mapping[str, Any],
        versions: frozenset[int] | None,
        *,
        address: str | None = None,
    ) -> ShownRole:
        """Merge changes (RFC 7396) into what is editable of a role.

        Args:
            by: Who changes it; they must hold all that it permits, before and after.
            role_id: Which.
            changes: A merge patch of `RoleEdit`.
            versions: Those of which one must be current, or `None` for any.
            address: Where the caller is.

        Raises:
            NotFound: this tenant has no such role.
            PreconditionFailed: it has another version by now.
            Invalid: the outcome would break a rule.
            Forbidden: it permits, or would, what the caller may not do.
        """
        shown_id = ids.encode("rol", role_id)
        async with self._changing(by, "role.update", shown_id, address) as (conn, rights):
            before = _found(rights, role_id, versions)
            rights.check_may([before.name])
            patched = merge_patch.apply(msgspec.to_builtins(_editable(before)), changes)
            edit = convert(patched, RoleEdit)
            after = replace(
                before,
                description=edit.description,
                permissions=tuple(sorted(set(edit.permissions))),
                inherits=tuple(dict.fromkeys(edit.inherits)),
            )
            shown = _checked(rights, after)
            if after != before:
                after = replace(after, version=before.version + 1, updated_at=self._clock())
                shown = ShownRole(after, shown.effective)
                await store.save(conn, after)
                await _record(conn, by, "role.update", shown, address)
        return shown

    async def delete(
        self,
        by: Principal,
        role_id: UUID,
        versions: frozenset[int] | None,
        *,
        address: str | None = None,
    ) -> None:
        """Delete a role that nobody has and nothing builds on.

        Raises:
            NotFound: this tenant has no such role.
            PreconditionFailed: it has another version by now.
            Conflict: somebody has it, was invited to it, or another role builds on it.
            Forbidden: it permits what the caller may not do.
        """
        shown_id = ids.encode("rol", role_id)
        async with self._changing(by, "role.delete", shown_id, address) as (conn, rights):
            role = _found(rights, role_id, versions)
            rights.check_may([role.name])
            heirs = sorted(other.name for other in rights.roles if role.name in other.inherits)
            if heirs:
                raise Conflict(f"Other roles build on it: {', '.join(heirs)}.")
            if await store.is_held(conn, by.tenant_id, role.name):
                raise Conflict("Somebody has that role.")
            if await store.is_offered(conn, by.tenant_id, role.name):
                raise Conflict("Somebody was invited to that role.")
            await store.remove(conn, by.tenant_id, role_id)
            shown = ShownRole(role, rights.permits[role.name])
            await _record(conn, by, "role.delete", shown, address)

    @asynccontextmanager
    async def _changing(
        self, by: Principal, action: str, target: str | None, address: str | None
    ) -> AsyncIterator[tuple[Connection, Rights]]:
        async with (
            trail.refusals(self._database, by, action, target, address),
            self._database.tenant(by.tenant_id) as conn,
        ):
            yield conn, await grants.locked(conn, by)


def _found(rights: Rights, role_id: UUID, versions: frozenset[int] | None) -> CustomRole:
    role = next((role for role in rights.roles if role.id == role_id), None)
    if role is None:
        raise NotFound
    if versions is not None and role.version not in versions:
        raise PreconditionFailed
    return role


def _checked(rights: Rights, role: CustomRole) -> ShownRole:
    """Return a role as it would be among the others, if it may be."""
    custom: dict[str, Definition] = {one.name: one.definition for one in rights.roles}
    custom[role.name] = role.definition
    rules.check(role.name, custom)
    permitted = rules.resolve(custom)[role.name]
    rules.check_held(permitted, rights.held)
    return ShownRole(role, permitted)


async def _record(
    conn: Connection, by: Principal, action: str, shown: ShownRole, address: str | None
) -> None:
    """Tell gateways and the audit, in the transaction of the change."""
    role = shown.role
    await outbox.add(conn, by.tenant_id, "tenant", str(by.tenant_id))
    done = trail.entry(
        by,
        action,
        ids.encode("rol", role.id),
        address,
        name=role.name,
        permissions=list(role.permissions),
        inherits=list(role.inherits),
    )
    await audit.add(conn, by.tenant_id, done)


def _editable(role: CustomRole) -> RoleEdit:
    return RoleEdit(
        description=role.description,
        permissions=list(role.permissions),
        inherits=list(role.inherits),
    )
