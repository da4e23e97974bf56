"""Another password for those who have lost theirs and read their mail.

A request is answered before anything is looked up: whether there is such an account shows neither
in the answer nor in its time. What follows is done afterwards, by a bounded number of tasks; it is
lost with the process, and then a letter does not come and is asked for again.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from crossdock.access.tokentext import Token, TokenForm
from crossdock.audit import store as audit
from crossdock.config import IdentitySettings
from crossdock.db import Databases
from crossdock.errors import NotFound, Unauthenticated
from crossdock.identity import emails, letters, revocation, trail
from crossdock.identity.accounts import store as accounts
from crossdock.identity.accounts.model import Account, Whereabouts
from crossdock.identity.accounts.rules import barred
from crossdock.identity.accounts.store import Connection
from crossdock.identity.afterwards import Afterwards
from crossdock.identity.credentials import store
from crossdock.identity.hashing import PasswordHasher
from crossdock.identity.limits import Limits
from crossdock.identity.origin import Origin
from crossdock.identity.passwords import PasswordPolicy
from crossdock.mail.service import Postbox

REQUEST: Final = "user.password-reset-request"
ACTION: Final = "user.password-reset"
MOST: Final = 10
"""To how many tenants of one address a request without a tenant's name sends a letter."""


log = structlog.get_logger(__name__)


class ResetToken(Token, frozen=True):
    """A reset's token as its holder has it; its id is the user's."""

    FORM = TokenForm("cdp")


class PasswordResets:
    """Mails tokens that are good once, and sets passwords with them."""

    def __init__(
        self,
        database: Databases,
        *,
        hasher: PasswordHasher,
        policy: PasswordPolicy,
        postbox: Postbox,
        limits: Limits,
        afterwards: Afterwards,
        settings: IdentitySettings,
        environment: str,
        public_url: str,
    ) -> None:
        self._database = database
        self._hasher = hasher
        self._policy = policy
        self._postbox = postbox
        self._limits = limits
        self._afterwards = afterwards
        self._life = timedelta(seconds=settings.reset_ttl_s)
        self._environment = environment
        self._public_url = public_url

    async def request(self, *, email: str, slug: str | None, origin: Origin) -> None:
        """Have a token mailed to each account of an address, soon; nobody is told whether.

        Raises:
            Invalid: that is no e-mail address.
            TooManyRequests: there were too many requests.
            Busy: too many letters wait to be written.
        """
        address = emails.normalise(email)
        await self._limits.reset(emails.hash_of(address), origin)
        self._afterwards.put("password_reset", lambda: self._send_all(address, slug, origin))

    async def confirm(self, text: str, *, new: str, origin: Origin) -> None:
        """Set a password with a token: it is used up, and all sessions of the account end.

        Raises:
            Unauthenticated: the token is none, used, or too old.
            Invalid: the password is not good enough; the token stays good.
            TenantSuspended: the tenant is suspended; the token stays good.
            TooManyRequests: there were too many tries.
            Busy: too many passwords wait to be hashed.
        """
        await self._limits.reset_token(origin)
        token = ResetToken.parse(text, self._environment)
        account = await self._read(token.tenant_id, token.id, token.hash, origin)
        password = self._policy.check(
            new, email=account.email, names=(account.tenant_slug,), pointer="/new_password"
        )
        fresh = await self._hasher.hash(password)
        async with self._database.tenant(token.tenant_id) as conn:
            was_set = await self._set(conn, account, token.hash, fresh, origin)
        if not was_set:
            await self._refuse(account, origin)
        await self._limits.logged_in(emails.hash_of(account.email))

    async def _send_all(self, address: str, slug: str | None, origin: Origin) -> None:
        async with self._database.control() as conn:
            found = await accounts.candidates(conn, emails.hash_of(address), slug, MOST)
        for where in found:
            await self._send(where, address, origin)

    async def _send(self, where: Whereabouts, address: str, origin: Origin) -> None:
        tenant_id = where.tenant_id
        token = ResetToken.new(tenant_id, where.user_id)
        async with self._database.tenant(tenant_id) as conn:
            account = await accounts.find(conn, tenant_id, where.user_id)
            if account is None or account.email != address or barred(account) is not None:
                log.info("password_reset_not_sent", tenant=str(tenant_id))
                return
            ends = await store.add(conn, tenant_id, account.id, token.hash, self._life)
            letter = letters.password_reset(
                address,
                account.tenant_slug,
                token.format(self._environment),
                ends,
                self._public_url,
            )
            await self._postbox.put(conn, tenant_id, letter)
            entry = trail.asked(REQUEST, account.id, origin)
            await audit.add(conn, tenant_id, entry)

    async def _read(self, tenant_id: UUID, user_id: UUID, digest: bytes, origin: Origin) -> Account:
        """Return the account of a token that is good, before a password is hashed for it."""
        try:
            async with self._database.tenant(tenant_id) as conn:
                account = await accounts.find(conn, tenant_id, user_id)
                owner = await store.user_of(conn, tenant_id, digest)
        except NotFound as error:
            raise Unauthenticated from error
        if account is None:
            raise Unauthenticated
        if owner != user_id:
            await self._refuse(account, origin)
        if (bar := barred(account)) is not None:
            raise bar[0]
        return account

    async def _set(
        self, conn: Connection, known: Account, digest: bytes, fresh: str, origin: Origin
    ) -> bool:
        account = await accounts.lock(conn, known.tenant_id, known.id)
        if account is None or barred(account) is not None:
            return False
        if not await store.use(conn, account.tenant_id, account.id, digest):
            return False
        await accounts.set_password(conn, account, fresh)
        await revocation.end_sessions(conn, account.tenant_id, account.id, "password-reset")
        await store.use_all(conn, account.tenant_id, account.id)
        await audit.add(conn, account.tenant_id, trail.done(ACTION, account.id, origin))
        letter = letters.password_changed(account.email, account.tenant_slug, origin)
        await self._postbox.put(conn, account.tenant_id, letter)
        return True

    async def _refuse(self, account: Account, origin: Origin) -> None:
        """Write down that a token was no good, and say no more than that.

        Raises:
            Unauthenticated: always.
        """
        if await self._limits.is_news(ACTION, account.id):
            entry = trail.refused(ACTION, account.id, origin, "token")
            async with self._database.tenant(account.tenant_id) as conn:
                await audit.add(conn, account.tenant_id, entry)
        raise Unauthenticated
