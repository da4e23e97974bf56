"""Becoming a user: the one thing that an invitation's token opens.

The user's id is the invitation's. So where somebody may sign in, which is written to the control
database just before the user's own transaction commits, is the same row however often accepting is
cut short and begun again; a row without its user opens nothing.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from crossdock import ids
from crossdock.access import grants
from crossdock.access import store as key_store
from crossdock.access.invitations import rules, store
from crossdock.access.invitations.model import Invitation, Joined
from crossdock.access.invitations.rules import InvitationToken
from crossdock.access.permissions import effective
from crossdock.access.roles import store as role_store
from crossdock.access.roles.rules import resolve
from crossdock.access.store import Connection
from crossdock.access.users import store as user_store
from crossdock.access.users.model import NewUser
from crossdock.audit import store as audit
from crossdock.audit.model import Entry
from crossdock.db import Databases
from crossdock.errors import Conflict, NotFound, TenantSuspended
from crossdock.identity import emails
from crossdock.identity.passwords import PasswordPolicy
from crossdock.tenancy import quotas
from crossdock.tenancy import store as tenancy
from crossdock.tenancy.model import Tenant
from crossdock.tenancy.rules import check_name


class Hasher(Protocol):
    """Turns a password into what is stored of it."""

    async def hash(self, password: str) -> str:
        """Return the hash.

        Raises:
            Busy: too many are being made.
        """


class Acceptance:
    """Takes invitations' tokens."""

    def __init__(
        self,
        database: Databases,
        hasher: Hasher,
        policy: PasswordPolicy,
        *,
        environment: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._hasher = hasher
        self._policy = policy
        self._environment = environment
        self._clock = clock

    async def accept(
        self, text: str, *, name: str, password: str, address: str | None = None
    ) -> Joined:
        """Make the invited one a user, in the roles of the invitation.

        Whoever invited must still be there and hold what they gave; so what somebody hands on
        who loses their rights in the meantime is not accepted.

        Raises:
            Invalid: the token is none that opens anything; or the name or the password won't do.
            Conflict: the address is a user's by now, or whoever invited may not any more.
            QuotaReached: the tenant has as many users as it may.
            TenantSuspended: the tenant is not active.
            Busy: too many passwords are being hashed.
        """
        check_name(name)
        token = rules.parse(text, self._environment)
        try:
            async with self._database.tenant(token.tenant_id) as conn:
                invitation, tenant = await self._open(conn, token)
                await _check_standing(conn, invitation)
        except NotFound as error:  # there is no such tenant
            raise rules.no_good() from error
        good = self._policy.check(
            password, email=invitation.email, names=(tenant.name, tenant.slug, name)
        )
        hashed = await self._hasher.hash(good)
        return await self._join(token, name, hashed, address)

    async def _join(
        self, token: InvitationToken, name: str, password_hash: str, address: str | None
    ) -> Joined:
        tenant_id = token.tenant_id
        async with self._database.tenant(tenant_id) as conn:
            await role_store.lock_rights(conn, tenant_id)
            invitation, tenant = await self._open(conn, token)
            await _check_standing(conn, invitation)
            user = NewUser(
                tenant_id=tenant_id,
                id=invitation.id,
                email=invitation.email,
                name=name,
                roles=invitation.roles,
                password_hash=password_hash,
            )
            now = self._clock()
            await store.accept(conn, tenant_id, invitation.id, now)
            await quotas.take(conn, tenant_id, "users")
            await user_store.add(conn, user, now)
            await audit.add(conn, tenant_id, _entry(user, address))
            async with self._database.control() as control:
                email_hash = emails.hash_of(user.email)
                await user_store.add_login(control, tenant_id, user.id, email_hash)
        return Joined(tenant, user)

    async def _open(self, conn: Connection, token: InvitationToken) -> tuple[Invitation, Tenant]:
        """Return a token's invitation, if it is open, and its tenant, if it is active.

        Raises:
            Invalid: it is not open, or there is none.
            TenantSuspended: the tenant is not active.
        """
        found = await store.lock(conn, token.tenant_id, token.id)
        tenant = await tenancy.own(conn, token.tenant_id)
        if found is None or tenant is None:
            raise rules.no_good()
        invitation, token_hash = found
        if not token.matches(token_hash) or not rules.is_open(invitation, self._clock()):
            raise rules.no_good()
        if tenant.state != "active":
            raise TenantSuspended
        return invitation, tenant


async def _check_standing(conn: Connection, invitation: Invitation) -> None:
    """Check that what was offered is there and may still be given.

    Raises:
        Conflict: a role is gone, whoever invited does not hold it, or the address is a user's.
    """
    tenant_id = invitation.tenant_id
    if await user_store.is_known(conn, tenant_id, invitation.email):
        raise Conflict("That address is a user's already; sign in instead.")
    roles = await role_store.everything(conn, tenant_id)
    custom = resolve({role.name: role.definition for role in roles})
    built_in = grants.built_in_roles(tenant_id)
    if any(name not in built_in and name not in custom for name in invitation.roles):
        raise Conflict("A role of this invitation is gone; ask for another invitation.")
    if invitation.invited_by is None:
        return
    held = await key_store.roles_of_active(conn, tenant_id, invitation.invited_by)
    offered = effective(invitation.roles, custom)
    if held is None or not offered <= effective(held, custom):
        raise Conflict("Whoever invited you may not any more; ask for another invitation.")


def _entry(user: NewUser, address: str | None) -> Entry:
    return Entry(
        action="invitation.accept",
        actor_kind="user",
        actor_id=user.id,
        target=ids.encode("usr", user.id),
        address=address or None,
        detail={"email": user.email, "roles": list(user.roles)},
    )
