"""Signing in with a password and, where it is set up, a second factor.

Whoever lacks the password learns nothing: not whether there is such an account, nor whether it is
disabled, has a second factor, or belongs to a suspended tenant. Whatever is wrong, the same is
answered after the same work: tries are counted, the address is looked up, a user is read, one
password is hashed, one entry is written. Where there is no account, the platform's own tenant
stands in for it: in it a user is looked for that nobody is, and in it the refusal is written down.

The hash is what takes time, and its line is bounded: where that is full, everybody is told to come
again. While a shard is away its accounts can't be told from wrong ones, so they answer 503.
"""

from typing import Final
from uuid import UUID

import msgspec

from crossdock import ids
from crossdock.audit import store as audit
from crossdock.audit.model import Entry
from crossdock.db import Databases
from crossdock.errors import Busy, NotFound, SecondFactorRequired, Unauthenticated
from crossdock.identity import emails, trail
from crossdock.identity.accounts import store as accounts
from crossdock.identity.accounts.model import Account, Whereabouts
from crossdock.identity.accounts.rules import barred
from crossdock.identity.accounts.store import Connection
from crossdock.identity.factor.check import CodeCheck
from crossdock.identity.hashing import PasswordHasher
from crossdock.identity.limits import Limits
from crossdock.identity.origin import Origin
from crossdock.identity.refusal import Refusal
from crossdock.identity.sessions.model import TokenPair
from crossdock.identity.sessions.pairs import Pairs
from crossdock.identity.throttle import site_of
from crossdock.tenancy.rules import PLATFORM

WRONG: Final = (
    "The address, the password or the code is wrong. If the address belongs to several tenants,"
    " name the one you mean."
)
ACTION: Final = "user.login"
TRIES: Final = 3
"""How often a password is compared again because the stored one changed meanwhile."""

_NOWHERE: Final = Whereabouts(PLATFORM, UUID(int=0))
"""Where those are looked for who are nowhere."""


class _Attempt(msgspec.Struct, frozen=True):
    password: str
    code: str | None
    origin: Origin


class Login:
    """Signs people in."""

    def __init__(
        self,
        database: Databases,
        hasher: PasswordHasher,
        pairs: Pairs,
        codes: CodeCheck,
        limits: Limits,
    ) -> None:
        self._database = database
        self._hasher = hasher
        self._pairs = pairs
        self._codes = codes
        self._limits = limits

    async def login(
        self, *, email: str, password: str, slug: str | None, code: str | None, origin: Origin
    ) -> TokenPair:
        """Begin a session.

        Args:
            email: an address, however it is spelt.
            password: its account's.
            slug: the tenant's; without it the address must belong to one tenant only.
            code: of the second factor, or a recovery code; not looked at where none is set up.
            origin: where the request came from.

        Raises:
            Invalid: that is no e-mail address.
            Unauthenticated: something of it is wrong.
            SecondFactorRequired: all was right, but a code is wanted, too.
            TenantSuspended: the password was right, but nobody gets into this tenant.
            TooManyRequests: there were too many tries.
            Busy: too many passwords wait to be compared.
            DatabaseUnavailable: nobody can say.
        """
        digest = emails.hash_of(address := emails.normalise(email))
        self._hasher.check_room()
        await self._limits.login(digest, origin)
        attempt = _Attempt(password, code, origin)
        with self._hasher.asking(site_of(origin.address)):
            where = await self._where(digest, slug)
            return await self._login(where, address, attempt)

    async def _login(self, where: Whereabouts, address: str, attempt: _Attempt) -> TokenPair:
        for _ in range(TRIES):
            outcome = await self._try(where, address, attempt)
            if isinstance(outcome, TokenPair):
                await self._limits.logged_in(emails.hash_of(address))
                return outcome
            if outcome is not None:
                await self._write_down(where, outcome.entry)
                raise outcome.error
        raise Busy

    async def _where(self, digest: bytes, slug: str | None) -> Whereabouts:
        async with self._database.control() as conn:
            found = await accounts.candidates(conn, digest, slug, 2)
        return found[0] if len(found) == 1 else _NOWHERE

    async def _try(
        self, where: Whereabouts, address: str, attempt: _Attempt
    ) -> TokenPair | Refusal | None:
        """Return how a try ended; `None` where the password was changed in the middle of it."""
        account = await self._read(where, address)
        if account is None or account.password_hash is None:
            await self._hasher.dummy()
            user_id = None if account is None else account.id
            return _refusal(user_id, attempt.origin, "unknown" if account is None else "password")
        if not await self._hasher.verify(account.password_hash, attempt.password):
            return _refusal(account.id, attempt.origin, "password")
        # From here on it is somebody who knows the password.
        if account.has_second_factor and attempt.code is not None:
            await self._limits.code(account.id)
        fresh = await self._rehashed(account.password_hash, attempt.password)
        async with self._database.tenant(where.tenant_id) as conn:
            outcome = await self._enter(conn, account, fresh, attempt)
        if isinstance(outcome, TokenPair) and account.has_second_factor:
            await self._limits.code_was_right(account.id)
        return outcome

    async def _read(self, where: Whereabouts, address: str) -> Account | None:
        try:
            async with self._database.tenant(where.tenant_id) as conn:
                account = await accounts.find(conn, where.tenant_id, where.user_id)
        except NotFound:  # erased, and the way to it not yet
            return None
        return account if account is not None and account.email == address else None

    async def _rehashed(self, stored: str, password: str) -> str:
        """Return the hash to keep: another one where today's are costlier, if there is time."""
        if not self._hasher.needs_rehash(stored):
            return stored
        try:
            return await self._hasher.hash(password)
        except Busy:
            return stored

    async def _enter(
        self, conn: Connection, known: Account, fresh: str, attempt: _Attempt
    ) -> TokenPair | Refusal | None:
        account = await accounts.lock(conn, known.tenant_id, known.id)
        if account is None or account.password_hash != known.password_hash:
            return None
        if (error := barred(account)) is not None:
            refused, reason = error
            if isinstance(refused, Unauthenticated):
                return _refusal(account.id, attempt.origin, reason)
            return Refusal(refused, trail.refused(ACTION, account.id, attempt.origin, reason))
        if account.has_second_factor:
            if attempt.code is None:
                entry = trail.refused(ACTION, account.id, attempt.origin, "code-wanted")
                return Refusal(SecondFactorRequired(), entry)
            now = await accounts.now(conn)
            if not await self._codes.use(conn, account, attempt.code, now):
                return _refusal(account.id, attempt.origin, "code")
        pair = await self._pairs.begin(conn, account, attempt.origin)
        await accounts.note_login(conn, account, fresh)
        session = ids.encode("ses", pair.session_id)
        entry = trail.done(ACTION, account.id, attempt.origin, session=session)
        await audit.add(conn, account.tenant_id, entry)
        return pair

    async def _write_down(self, where: Whereabouts, entry: Entry | None) -> None:
        if entry is None:
            return
        tenant_id = PLATFORM if entry.target is None else where.tenant_id
        async with self._database.tenant(tenant_id) as conn:
            await audit.add(conn, tenant_id, entry)


def _refusal(user_id: UUID | None, origin: Origin, reason: str) -> Refusal:
    """Return the one refusal that all get who are not who they say."""
    return Refusal(Unauthenticated(WRONG), trail.refused(ACTION, user_id, origin, reason))
