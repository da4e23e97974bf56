"""The use cases of those who invite."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from uuid import UUID

from crossdock import ids
from crossdock.access import grants, trail
from crossdock.access import store as key_store
from crossdock.access.grants import Rights
from crossdock.access.invitations import rules, store
from crossdock.access.invitations.model import Invitation
from crossdock.access.invitations.rules import InvitationToken
from crossdock.access.model import Principal
from crossdock.access.store import Connection
from crossdock.access.users import store as user_store
from crossdock.audit import store as audit
from crossdock.db import Databases
from crossdock.errors import Conflict, NotFound
from crossdock.identity import emails
from crossdock.identity.throttle import Throttle
from crossdock.mail.letters import Letters
from crossdock.mail.model import Mail
from crossdock.mail.service import Postbox
from crossdock.paging import Slice, Window
from crossdock.tenancy import quotas
from crossdock.tenancy import store as tenancy
from crossdock.versions import check


class Invitations:
    """Makes, lists and takes back invitations."""

    def __init__(
        self,
        database: Databases,
        postbox: Postbox,
        letters: Letters,
        throttle: Throttle,
        *,
        environment: str,
        ttl_s: float,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._postbox = postbox
        self._letters = letters
        self._throttle = throttle
        self._environment = environment
        self._ttl = timedelta(seconds=ttl_s)
        self._clock = clock

    async def invite(
        self, by: Principal, email: str, roles: Collection[str], *, address: str | None = None
    ) -> Invitation:
        """Invite somebody; the token is in a letter to them and nowhere else.

        Raises:
            Invalid: it is no address, or there is no such role.
            Forbidden: the roles permit what the caller does not hold.
            Conflict: the address is a user's, or was invited already.
            QuotaReached: the tenant has as many users and open invitations as it may.
            TooManyRequests: it has sent many letters of late, or that address was sent many.
        """
        email = emails.normalise(email)
        async with trail.refusals(self._database, by, "invitation.create", None, address):
            await self._throttle.take("invitations", str(by.tenant_id), rules.LETTERS)
            async with self._database.tenant(by.tenant_id) as conn:
                rights = await grants.locked(conn, by)
                made, token = await self._make(conn, rights, by, email, roles)
                # Only what would be sent counts: to be refused costs nobody a letter.
                await self._throttle.take("invitation", f"{by.tenant_id} {email}", rules.REPEATS)
                await self._throttle.take("invited", email, rules.RECEIVED)
                await store.add(conn, made, token.hash)
                await self._send(conn, by, made, token)
                done = trail.entry(
                    by,
                    "invitation.create",
                    ids.encode("inv", made.id),
                    address,
                    email=email,
                    roles=list(made.roles),
                )
                await audit.add(conn, by.tenant_id, done)
        return made

    async def invite_by_hand(
        self, tenant_id: UUID, email: str, roles: Collection[str]
    ) -> tuple[Invitation, str]:
        """Invite somebody from the command line; needs the role `operator`.

        Besides the letter there is the token itself, for whoever has no mail set up yet.

        Raises:
            Invalid: it is no address, or there is no such role that comes with Crossdock.
            NotFound: there is no such tenant.
        """
        email = emails.normalise(email)
        grants.check_built_in(tenant_id, roles, "/roles")
        now = self._clock()
        token = InvitationToken.new(tenant_id, ids.new(now.timestamp()))
        made = Invitation(
            tenant_id=tenant_id,
            id=token.id,
            email=email,
            roles=tuple(dict.fromkeys(roles)),
            invited_by=None,
            created_at=now,
            expires_at=now + self._ttl,
        )
        async with self._database.operator(tenant_id) as conn:
            tenant = await tenancy.get(conn, tenant_id)
            if tenant is None:
                raise NotFound
            await store.add_raw(conn, made, token.hash)
            letter = self._letter(made, token, tenant.name, "Whoever runs this installation")
            await self._postbox.put_raw(conn, tenant_id, letter)
            target = ids.encode("inv", made.id)
            done = trail.entry(
                None, "invitation.create", target, None, email=email, roles=list(made.roles)
            )
            await audit.add_raw(conn, tenant_id, done)
        return made, token.format(self._environment)

    async def page(self, tenant_id: UUID, window: Window) -> Slice[Invitation]:
        """Return a page of invitations, newest first; ended ones stay listed for a month."""
        async with self._database.tenant(tenant_id) as conn:
            return Slice.cut(await store.page(conn, tenant_id, window), window)

    async def get(self, tenant_id: UUID, invitation_id: UUID) -> Invitation:
        """Return one invitation.

        Raises:
            NotFound: this tenant has no such invitation.
        """
        async with self._database.tenant(tenant_id) as conn:
            found = await store.get(conn, tenant_id, invitation_id)
        if found is None:
            raise NotFound
        return found

    async def revoke(
        self,
        by: Principal,
        invitation_id: UUID,
        versions: frozenset[int] | None = None,
        *,
        address: str | None = None,
    ) -> None:
        """Take an invitation back. To repeat it, or to do it too late, changes nothing.

        Raises:
            NotFound: this tenant has no such invitation.
            PreconditionFailed: it has another version by now.
        """
        async with self._database.tenant(by.tenant_id) as conn:
            found = await store.lock(conn, by.tenant_id, invitation_id)
            if found is None:
                raise NotFound
            invitation, _ = found
            check(invitation.version, versions)
            if invitation.accepted_at is None and invitation.revoked_at is None:
                await store.revoke(conn, by.tenant_id, invitation_id, self._clock())
                target = ids.encode("inv", invitation_id)
                done = trail.entry(by, "invitation.revoke", target, address, email=invitation.email)
                await audit.add(conn, by.tenant_id, done)

    async def _make(
        self, conn: Connection, rights: Rights, by: Principal, email: str, roles: Collection[str]
    ) -> tuple[Invitation, InvitationToken]:
        """Return an invitation that may be made, and its token."""
        names = tuple(dict.fromkeys(roles))
        rights.check_assignable(names, "/roles")
        rights.check_may(names)
        now = self._clock()
        if await user_store.is_known(conn, by.tenant_id, email):
            raise Conflict("That address is a user's already.")
        if await store.is_invited(conn, by.tenant_id, email, now):
            raise Conflict("That address was invited already; take that invitation back first.")
        await quotas.take(conn, by.tenant_id, "users")
        token = InvitationToken.new(by.tenant_id, ids.new(now.timestamp()))
        made = Invitation(
            tenant_id=by.tenant_id,
            id=token.id,
            email=email,
            roles=names,
            invited_by=await _person(conn, by),
            created_at=now,
            expires_at=now + self._ttl,
        )
        return made, token

    async def _send(
        self, conn: Connection, by: Principal, made: Invitation, token: InvitationToken
    ) -> None:
        tenant = await tenancy.own(conn, made.tenant_id)
        if tenant is None:
            raise NotFound
        person = None
        if by.actor.kind == "user":
            person = await user_store.get(conn, made.tenant_id, by.actor.id)
        inviter = "Somebody" if person is None else f"{person.name} ({person.email})"
        letter = self._letter(made, token, tenant.name, inviter)
        await self._postbox.put(conn, made.tenant_id, letter)

    def _letter(self, made: Invitation, token: InvitationToken, tenant: str, inviter: str) -> Mail:
        return self._letters.invitation(
            made.email,
            inviter=inviter,
            tenant=tenant,
            roles=made.roles,
            token=token.format(self._environment),
            expires_at=made.expires_at,
        )


async def _person(conn: Connection, by: Principal) -> UUID | None:
    """Return who stands behind what a caller does: themselves, or who made the key."""
    if by.actor.kind == "user":
        return by.actor.id
    key = await key_store.get(conn, by.tenant_id, by.actor.id)
    return None if key is None else key.created_by
