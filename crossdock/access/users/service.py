"""The use cases of those who look after a tenant's people."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec.structs import replace

from crossdock import ids, merge_patch
from crossdock.access import grants, trail
from crossdock.access import store as key_store
from crossdock.access.grants import Rights
from crossdock.access.invitations import store as invitation_store
from crossdock.access.model import Principal
from crossdock.access.permissions import OWNER
from crossdock.access.roles.store import lock_rights
from crossdock.access.store import Connection
from crossdock.access.users import store
from crossdock.access.users.model import User, UserEdit
from crossdock.audit import store as audit
from crossdock.db import Databases
from crossdock.errors import Conflict, NotFound, PreconditionFailed
from crossdock.identity import revocation
from crossdock.identity.sessions import store as session_store
from crossdock.identity.sessions.model import Session
from crossdock.outbox import store as outbox
from crossdock.paging import Slice, Window
from crossdock.tenancy.rules import PLATFORM, check_name
from crossdock.validation import convert

PLATFORM_ADMIN: Final = "platform-admin"
"""What an owner is to a tenant, to the platform's own."""

_DETAIL: Final = ("name", "roles", "state")


class Users:
    """Lists, changes and removes a tenant's users.

    All changes happen under the tenant's lock on rights. Nobody changes or removes somebody who
    holds more than they do; nobody at all the last owner.
    """

    def __init__(
        self,
        database: Databases,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._clock = clock

    async def page(self, tenant_id: UUID, window: Window) -> Slice[User]:
        """Return a page of users, newest first."""
        async with self._database.tenant(tenant_id) as conn:
            return Slice.cut(await store.page(conn, tenant_id, window), window)

    async def get(self, tenant_id: UUID, user_id: UUID) -> User:
        """Return one user.

        Raises:
            NotFound: this tenant has no such user.
        """
        async with self._database.tenant(tenant_id) as conn:
            return _found(await store.get(conn, tenant_id, user_id))

    async def patch(
        self,
        by: Principal,
        user_id: UUID,
        changes: Mapping[str, Any],
        versions: frozenset[int] | None,
        *,
        address: str | None = None,
    ) -> User:
        """Merge changes (RFC 7396) into a user's name, roles and state.

        Other roles end the user's access tokens, for those name the old ones; the sessions go on.
        Disabling ends the sessions, and the keys that the user made stop until it is undone.

        Raises:
            NotFound: this tenant has no such user.
            PreconditionFailed: it has another version by now.
            Invalid: the outcome would break a rule, or there is no such role.
            Forbidden: the user has, or would have, what the caller does not hold.
            Conflict: the tenant would be left without an active owner.
        """
        action = "user.update"
        async with self._changing(by, user_id, versions, action, address) as (conn, rights, before):
            patched = merge_patch.apply(msgspec.to_builtins(_editable(before)), changes)
            edit = convert(patched, UserEdit)
            check_name(edit.name)
            roles = tuple(dict.fromkeys(edit.roles))
            after = replace(before, name=edit.name, roles=roles, state=edit.state)
            if set(roles) != set(before.roles):
                rights.check_assignable(roles, "/roles")
                rights.check_may(roles)
            if after != before:
                await _check_owner_left(conn, before, after)
                after = replace(after, version=before.version + 1, updated_at=self._clock())
                await store.save(conn, after)
                if after.state == "disabled" != before.state:
                    await revocation.end_sessions(conn, by.tenant_id, user_id, "user-disabled")
                elif set(after.roles) != set(before.roles):
                    await revocation.end_tokens(conn, by.tenant_id, user_id)
                changed = {
                    name: getattr(after, name)
                    for name in _DETAIL
                    if getattr(after, name) != getattr(before, name)
                }
                await _record(conn, by, action, user_id, address, **changed)
        return after

    async def remove(
        self,
        by: Principal,
        user_id: UUID,
        versions: frozenset[int] | None,
        *,
        address: str | None = None,
    ) -> None:
        """Remove a user, with their sessions; their keys and open invitations are revoked.

        Where the user may sign in is forgotten after the user is gone: were it the other way and
        cut short, somebody would be there who can't get in. To repeat it finishes what was cut.

        Raises:
            NotFound: this tenant has no such user.
            PreconditionFailed: it has another version by now.
            Forbidden: the user holds what the caller does not.
            Conflict: it is the last active owner.
        """
        action = "user.remove"
        try:
            async with self._changing(by, user_id, versions, action, address) as (conn, _, user):
                await _check_owner_left(conn, user, None)
                now = self._clock()
                keys = await key_store.revoke_of_user(conn, by.tenant_id, user_id, now)
                await invitation_store.revoke_of_user(conn, by.tenant_id, user_id, now)
                await store.remove(conn, by.tenant_id, user_id)
                await outbox.add(conn, by.tenant_id, "user", str(user_id))
                await _record(conn, by, action, user_id, address, email=user.email, keys=keys)
        except NotFound:
            await self._forget_nobody(by.tenant_id, user_id)
            raise
        await self._forget_login(by.tenant_id, user_id)

    async def sessions(self, tenant_id: UUID, user_id: UUID, window: Window) -> Slice[Session]:
        """Return a page of a user's live sessions, newest first.

        Raises:
            NotFound: this tenant has no such user.
        """
        async with self._database.tenant(tenant_id) as conn:
            _found(await store.get(conn, tenant_id, user_id))
            rows = await session_store.page(conn, tenant_id, user_id, window)
        return Slice.cut(rows, window)

    async def end_sessions(
        self, by: Principal, user_id: UUID, *, address: str | None = None
    ) -> None:
        """End all sessions of a user: refused everywhere within a second.

        Raises:
            NotFound: this tenant has no such user.
            Forbidden: the user holds what the caller does not.
        """
        action = "user.end-sessions"
        async with self._changing(by, user_id, None, action, address) as (conn, _, _user):
            ended = await revocation.end_sessions(conn, by.tenant_id, user_id, "revoked")
            await _record(conn, by, action, user_id, address, sessions=ended)

    @asynccontextmanager
    async def _changing(
        self,
        by: Principal,
        user_id: UUID,
        versions: frozenset[int] | None,
        action: str,
        address: str | None,
    ) -> AsyncIterator[tuple[Connection, Rights, User]]:
        """Hold a tenant's rights and one user, whom the caller may change."""
        target = ids.encode("usr", user_id)
        async with (
            trail.refusals(self._database, by, action, target, address),
            self._database.tenant(by.tenant_id) as conn,
        ):
            rights = await grants.locked(conn, by)
            user = _found(await store.get(conn, by.tenant_id, user_id, lock=True))
            if versions is not None and user.version not in versions:
                raise PreconditionFailed
            rights.check_may(user.roles)
            yield conn, rights, user

    async def _forget_nobody(self, tenant_id: UUID, user_id: UUID) -> None:
        """Forget where a user signs in who is gone, and not one who is just coming."""
        async with self._database.tenant(tenant_id) as conn:
            await lock_rights(conn, tenant_id)
            if await store.get(conn, tenant_id, user_id) is None:
                await self._forget_login(tenant_id, user_id)

    async def _forget_login(self, tenant_id: UUID, user_id: UUID) -> None:
        async with self._database.control() as conn:
            await store.remove_login(conn, tenant_id, user_id)


async def _check_owner_left(conn: Connection, before: User, after: User | None) -> None:
    """Check that a tenant that had an active owner keeps one."""
    role = PLATFORM_ADMIN if before.tenant_id == PLATFORM else OWNER
    if not _is_active(before, role) or (after is not None and _is_active(after, role)):
        return
    if not await store.has_other_active(conn, before.tenant_id, role, before.id):
        raise Conflict(f"Nobody else who is active has the role {role}; somebody must.")


def _is_active(user: User, role: str) -> bool:
    return user.state == "active" and role in user.roles


def _found(user: User | None) -> User:
    if user is None:
        raise NotFound
    return user


async def _record(
    conn: Connection,
    by: Principal,
    action: str,
    user_id: UUID,
    address: str | None,
    **detail: Any,
) -> None:
    done = trail.entry(by, action, ids.encode("usr", user_id), address, **detail)
    await audit.add(conn, by.tenant_id, done)


def _editable(user: User) -> UserEdit:
    return UserEdit(name=user.name, roles=list(user.roles), state=user.state)
