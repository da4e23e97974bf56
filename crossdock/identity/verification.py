"""From the text of an access token to who is asking.

A signature is checked once a token and process. Whether the token still counts is asked every time:
of this process's memory while that is known to be current within the last second, otherwise of
PostgreSQL, and where that is away too nobody is let in. See `crossdock.directory`.
"""

import base64
import hashlib
from typing import Final, Protocol
from uuid import UUID

import msgspec
from msgspec.structs import replace

from crossdock.access.model import Actor, Principal
from crossdock.access.permissions import BUILT_IN, effective
from crossdock.access.roles import store as role_store
from crossdock.access.roles.rules import resolve
from crossdock.db import Databases
from crossdock.errors import NotFound, TenantSuspended, Unauthenticated
from crossdock.identity.accounts.rules import SUSPENDED
from crossdock.identity.accounts.store import Connection
from crossdock.identity.keys.service import SigningKeys
from crossdock.identity.sessions import rules, store
from crossdock.identity.sessions.model import Standing
from crossdock.identity.tokens import Claims, UnknownKey, Verifier
from crossdock.tenancy.model import TenantState
from crossdock.tenancy.rules import PLATFORM
from proto.settings import TenantSettings

CACHE_TOKENS: Final = 10_000
"""How many tokens a process remembers to have checked; the oldest goes first."""

PLATFORM_SHARD: Final = 0


class Memory(Protocol):
    """What this needs of `crossdock.directory.Directory`, and what it promises there."""

    def tenant(self, tenant_id: UUID) -> TenantSettings | None:
        """Return what is known of a tenant."""

    def is_current(self, shard: int) -> bool:
        """Tell whether what is known of a shard is not older than a second."""

    def is_revoked(
        self, tenant_id: UUID, user_id: UUID, session_id: UUID, issued_at: float
    ) -> bool:
        """Tell whether an access token was revoked."""


class _Header(msgspec.Struct, frozen=True):
    kid: str


class _Known(msgspec.Struct, frozen=True):
    """A token whose signature was checked, and who it was by the tenant's settings of then."""

    claims: Claims
    kid: str
    settings: TenantSettings | None = None
    principal: Principal | None = None


class TokenVerifier:
    """Verifies access tokens of users, and of operators inside a tenant."""

    def __init__(
        self, database: Databases, memory: Memory, verifier: Verifier, keys: SigningKeys
    ) -> None:
        self._database = database
        self._memory = memory
        self._verifier = verifier
        self._keys = keys
        self._known: dict[bytes, _Known] = {}

    def knows(self, text: str) -> bool:
        """Tell whether a token's signature and times were found good here."""
        return hashlib.sha256(text.encode()).digest() in self._known

    async def verify(self, text: str) -> Principal:
        """Return who presents a token.

        Raises:
            Unauthenticated: it is none of ours, another environment's, expired or revoked, or its
                tenant is gone. The answer is the same for all.
            TenantSuspended: its tenant is suspended.
            DatabaseUnavailable: neither memory nor PostgreSQL can say whether it still counts.
        """
        digest = hashlib.sha256(text.encode()).digest()
        known = self._known.get(digest)
        if known is None or self._is_over(known):
            self._known.pop(digest, None)
            known = _Known(await self._read(text), _kid(text))
            self._remember(digest, known)
        claims = known.claims
        settings = self._current(claims)
        if settings is None:
            return await self._by_database(claims)
        check_state(claims, settings.state)
        if self._memory.is_revoked(
            claims.tenant_id, claims.user_id, claims.session_id, claims.issued_at
        ):
            raise Unauthenticated
        if known.principal is not None and known.settings is settings:
            return known.principal
        principal = _principal(claims, settings.state, effective(claims.roles, settings.roles))
        self._known[digest] = replace(known, settings=settings, principal=principal)
        return principal

    def _current(self, claims: Claims) -> TenantSettings | None:
        """Return the tenant's settings, if memory can be asked about this token."""
        settings = self._memory.tenant(claims.tenant_id)
        if settings is None or not self._memory.is_current(settings.shard):
            return None
        # An operator is a user of the platform's tenant: that ends there, too.
        if claims.actor is not None and not self._memory.is_current(PLATFORM_SHARD):
            return None
        return settings

    async def _by_database(self, claims: Claims) -> Principal:
        """Ask PostgreSQL what memory can't be asked."""
        try:
            async with self._database.tenant(claims.tenant_id) as conn:
                standing = await _standing(conn, claims)
                custom = await _custom_roles(conn, claims)
            if standing is not None and claims.actor is not None:
                standing = await self._with_operator(standing, claims.actor, claims.session_id)
        except NotFound as error:
            raise Unauthenticated from error
        if standing is None:
            raise Unauthenticated
        check_state(claims, standing.tenant_state)
        if not rules.counts(standing, claims.user_id, claims.issued_at):
            raise Unauthenticated
        return _principal(claims, standing.tenant_state, effective(claims.roles, custom))

    async def _with_operator(
        self, standing: Standing, operator_id: UUID, support_id: UUID
    ) -> Standing:
        """Add what the platform's tenant says of an operator."""
        async with self._database.tenant(PLATFORM) as conn:
            found = await store.standing(conn, PLATFORM, operator_id, support_id)
        if found is None:
            raise Unauthenticated
        return replace(standing, user_state=found.user_state, user_not_before=found.user_not_before)

    async def _read(self, text: str) -> Claims:
        """Check a token's signature and times; its key may be newer than what is in memory."""
        try:
            return self._verifier.verify(text)
        except UnknownKey as error:
            if not await self._keys.seek(error.kid):
                raise
        return self._verifier.verify(text)

    def _is_over(self, known: _Known) -> bool:
        """Tell whether a token that was good has expired, or lost the key that vouched for it."""
        return self._verifier.is_over(known.claims) or self._keys.find(known.kid) is None

    def _remember(self, digest: bytes, known: _Known) -> None:
        # Nearly all live equally long, so the order of insertion is nearly that of expiry.
        while len(self._known) >= CACHE_TOKENS:
            del self._known[next(iter(self._known))]
        self._known[digest] = known


def check_state(claims: Claims, state: TenantState) -> None:
    """Check that a tenant's tokens are taken at all.

    Operators look into suspended tenants; that they only look is the guard's to see to, as it is
    for everybody in a tenant that is being terminated.

    Raises:
        TenantSuspended: it is suspended.
        Unauthenticated: it is not there yet, or not any more.
    """
    if state == "suspended" and claims.actor is None:
        raise TenantSuspended(SUSPENDED)
    if state not in {"active", "suspended", "terminating"}:
        raise Unauthenticated


async def _standing(conn: Connection, claims: Claims) -> Standing | None:
    ask = store.standing if claims.actor is None else store.support_standing
    return await ask(conn, claims.tenant_id, claims.user_id, claims.session_id)


async def _custom_roles(conn: Connection, claims: Claims) -> dict[str, frozenset[str]]:
    if BUILT_IN.keys() >= set(claims.roles):
        return {}
    roles = await role_store.everything(conn, claims.tenant_id)
    return resolve({role.name: role.definition for role in roles})


def _principal(claims: Claims, state: TenantState, permissions: frozenset[str]) -> Principal:
    return Principal(
        tenant_id=claims.tenant_id,
        tenant_state=state,
        actor=Actor("user" if claims.actor is None else "operator", claims.user_id),
        permissions=permissions,
        session_id=claims.session_id,
        roles=claims.roles,
    )


def _kid(text: str) -> str:
    """Return the name of the key of a token that was found good."""
    header = text.partition(".")[0]
    raw = base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))
    return msgspec.json.decode(raw, type=_Header).kid
