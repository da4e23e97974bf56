"""The use cases of support access: opened by an operator, ended by either side."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from msgspec.structs import replace

from crossdock import ids
from crossdock.access.model import Actor, Principal
from crossdock.access.permissions import OWNER, SUPPORT, effective
from crossdock.access.support import rules, store
from crossdock.access.support.model import SupportAccess, SupportToken
from crossdock.access.support.store import RawConnection
from crossdock.access.users import store as user_store
from crossdock.audit import store as audit
from crossdock.audit.model import Entry
from crossdock.db import Databases
from crossdock.errors import Conflict, Forbidden, Invalid, NotFound, Violation
from crossdock.identity.accounts import store as accounts
from crossdock.identity.sessions import store as sessions
from crossdock.identity.tokens import Claims, Issuer
from crossdock.mail.letters import Letters
from crossdock.mail.service import Postbox
from crossdock.outbox import store as outbox
from crossdock.paging import Slice, Window
from crossdock.tenancy import store as tenancy
from crossdock.tenancy.model import Tenant
from crossdock.tenancy.rules import PLATFORM, check_ordinary, check_reason
from crossdock.versions import check

ROLES: Final = (SUPPORT,)
OPEN: Final = "support:open"


class OperatorSupport:
    """Opens and ends accesses for operators; needs the role `operator`.

    An access is a person's: who opened it gets its tokens, and nobody else. All that happens is in
    the tenant's audit, with that person's id.
    """

    def __init__(
        self,
        database: Databases,
        postbox: Postbox,
        letters: Letters,
        issuer: Issuer,
        *,
        token_s: float = rules.TOKEN_S,
    ) -> None:
        self._database = database
        self._postbox = postbox
        self._letters = letters
        self._issuer = issuer
        self._token_s = token_s

    async def open(
        self,
        by: Principal,
        tenant_id: UUID,
        reason: str,
        minutes: int,
        *,
        address: str | None = None,
    ) -> SupportToken:
        """Open a tenant for looking, tell its owners, and return the first token.

        Raises:
            Invalid: the reason says nothing, or that is too short or too long.
            Forbidden: the caller is a key: somebody must answer for it.
            NotFound: there is no such tenant.
            Conflict: it is the platform's own, or it is not open to anybody.
        """
        check_reason(reason)
        if not rules.MIN_MINUTES <= minutes <= rules.MAX_MINUTES:
            limit = f"Support access is for {rules.MIN_MINUTES} to {rules.MAX_MINUTES} minutes."
            raise Invalid(None, Violation("/minutes", limit))
        check_ordinary(tenant_id)
        operator, at = await self._person(by)
        async with self._database.operator(tenant_id) as conn:
            tenant = await _open_tenant(conn, tenant_id)
            now = await store.now(conn)
            access = SupportAccess(
                tenant_id=tenant_id,
                id=ids.new(),
                operator_id=by.actor.id,
                operator=operator,
                reason=reason,
                created_at=now,
                ends_at=now + timedelta(minutes=minutes),
            )
            await store.add(conn, access)
            opened = _entry(by, "support.open", access, address, reason=reason, minutes=minutes)
            await audit.add_raw(conn, tenant_id, opened)
            for owner in await user_store.active_with_role(conn, tenant_id, OWNER):
                letter = self._letters.support_opened(
                    owner,
                    tenant=tenant.name,
                    operator=operator,
                    reason=reason,
                    ends_at=access.ends_at,
                )
                await self._postbox.put_raw(conn, tenant_id, letter)
            return await self._token(conn, by, access, min(now, at), address)

    async def token(
        self, by: Principal, tenant_id: UUID, support_id: UUID, *, address: str | None = None
    ) -> SupportToken:
        """Return another token of an access that lasts.

        Raises:
            NotFound: there is no such access.
            Forbidden: somebody else opened it.
            Conflict: it has ended.
        """
        async with self._held(by, tenant_id, support_id) as (conn, access, at):
            await _open_tenant(conn, tenant_id)
            now = await store.now(conn)
            if not rules.is_open(access, now):
                raise Conflict("That access has ended; open another one.")
            return await self._token(conn, by, access, min(now, at), address)

    async def end(
        self, by: Principal, tenant_id: UUID, support_id: UUID, *, address: str | None = None
    ) -> None:
        """End an access before its time, within a second. To repeat it changes nothing.

        Raises:
            NotFound: there is no such access.
            Forbidden: somebody else opened it.
        """
        async with self._held(by, tenant_id, support_id) as (conn, access, _):
            now = await store.now(conn)
            if rules.is_open(access, now):
                await store.end(conn, access, ids.encode("usr", by.actor.id), now)
                await outbox.add_change(conn, tenant_id, "session", str(support_id))
                ended = _entry(by, "support.end", access, address)
                await audit.add_raw(conn, tenant_id, ended)

    @asynccontextmanager
    async def _held(
        self, by: Principal, tenant_id: UUID, support_id: UUID
    ) -> AsyncIterator[tuple[RawConnection, SupportAccess, datetime]]:
        _, at = await self._person(by)
        async with self._database.operator(tenant_id) as conn:
            access = await store.hold(conn, tenant_id, support_id)
            if access is None:
                raise NotFound
            if access.operator_id != by.actor.id:
                raise Forbidden("Somebody else opened that access; open one of your own.")
            yield conn, access, at

    async def _person(self, by: Principal) -> tuple[str, datetime]:
        """Return the address of the operator behind a caller, and a moment when they were one.

        What ends an operator's tokens ends those that were made before it, by the clock of the
        platform's shard. So that moment is read while their row is held: whoever is disabled or
        loses the role from then on loses the token that is made with it, too.
        """
        if by.actor.kind != "user" or by.tenant_id != PLATFORM:
            raise Forbidden("Support access is opened by a person who is signed in, not by a key.")
        async with self._database.tenant(PLATFORM) as conn:
            user = await user_store.get(conn, PLATFORM, by.actor.id, lock=True)
            is_signed_in = await sessions.goes_on(conn, PLATFORM, by.actor.id, by.session_id)
            at = await accounts.now(conn)
        if user is None or user.state != "active" or not is_signed_in:
            raise Forbidden("These credentials have just ended.")
        if OPEN not in effective(user.roles, {}):
            raise Forbidden
        return user.email, at

    async def _token(
        self,
        conn: RawConnection,
        by: Principal,
        access: SupportAccess,
        now: datetime,
        address: str | None,
    ) -> SupportToken:
        life_s = rules.token_seconds(access, now, self._token_s)
        issued_at = now.timestamp()
        token = self._issuer.issue(
            Claims(
                tenant_id=access.tenant_id,
                user_id=by.actor.id,
                session_id=access.id,
                roles=ROLES,
                issued_at=issued_at,
                expires_at=issued_at + life_s,
                actor=by.actor.id,
            )
        )
        given = _entry(by, "support.token", access, address, seconds=int(life_s))
        await audit.add_raw(conn, access.tenant_id, given)
        return SupportToken(access, token, int(life_s))


class SupportAccesses:
    """What a tenant sees of operators inside it, and how it sends them away."""

    def __init__(
        self,
        database: Databases,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._clock = clock

    async def page(self, tenant_id: UUID, window: Window) -> Slice[SupportAccess]:
        """Return a page of accesses, newest first."""
        async with self._database.tenant(tenant_id) as conn:
            return Slice.cut(await store.page(conn, tenant_id, window), window)

    async def get(self, tenant_id: UUID, support_id: UUID) -> SupportAccess:
        """Return one access.

        Raises:
            NotFound: there was no such access to this tenant.
        """
        async with self._database.tenant(tenant_id) as conn:
            found = await store.get(conn, tenant_id, support_id)
        if found is None:
            raise NotFound
        return found

    async def end(
        self,
        by: Principal,
        support_id: UUID,
        versions: frozenset[int] | None = None,
        *,
        address: str | None = None,
    ) -> None:
        """End an access before its time, within a second. To repeat it changes nothing.

        Raises:
            NotFound: there was no such access to this tenant.
            PreconditionFailed: it has another version by now.
        """
        tenant_id = by.tenant_id
        async with self._database.tenant(tenant_id) as conn:
            access = await store.get(conn, tenant_id, support_id, lock=True)
            if access is None:
                raise NotFound
            check(access.version, versions)
            now = self._clock()
            if rules.is_open(access, now):
                await store.end_own(conn, access, _wire(by.actor), now)
                await outbox.add(conn, tenant_id, "session", str(support_id))
                entry = replace(
                    _entry(by, "support.end", access, address), actor_kind=by.actor.kind
                )
                await audit.add(conn, tenant_id, entry)


async def _open_tenant(conn: RawConnection, tenant_id: UUID) -> Tenant:
    """Return a tenant that there is something to see of.

    Raises:
        NotFound: there is no such tenant.
        Conflict: it is being made, or is no more.
    """
    tenant = await tenancy.get(conn, tenant_id)
    if tenant is None:
        raise NotFound
    if tenant.state in {"provisioning", "terminated"}:
        raise Conflict(f"That tenant is {tenant.state}.")
    return tenant


def _entry(
    by: Principal, action: str, access: SupportAccess, address: str | None, **detail: Any
) -> Entry:
    """Return an entry of the tenant's audit; the operator is its actor, under their own id."""
    return Entry(
        action=action,
        actor_kind="operator",
        actor_id=by.actor.id,
        target=ids.encode("sup", access.id),
        address=address or None,
        detail={"operator": access.operator, **detail},
    )


def _wire(actor: Actor) -> str:
    return ids.encode("key" if actor.kind == "key" else "usr", actor.id)
