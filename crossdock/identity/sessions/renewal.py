"""Going on with a session: a refresh token is used once, and its answer has the next.

The account's row is held first and the session's second, then the token is claimed in one
statement. So of any number that come at once one wins, and nobody goes on with what was ended.
A token that was used before is either a question asked again or a theft; see `rules.repeats`.
RFC 9700, 4.14.2.
"""

from typing import Final
from uuid import UUID

from crossdock import ids
from crossdock.audit import store as audit
from crossdock.audit.model import Entry
from crossdock.config import IdentitySettings
from crossdock.db import Databases
from crossdock.errors import NotFound, Refused, Unauthenticated
from crossdock.identity import letters, revocation, trail
from crossdock.identity.accounts import store as accounts
from crossdock.identity.accounts.model import Account
from crossdock.identity.accounts.rules import barred
from crossdock.identity.accounts.store import Connection
from crossdock.identity.limits import Limits
from crossdock.identity.origin import Origin
from crossdock.identity.refresh import RefreshToken
from crossdock.identity.refusal import Refusal
from crossdock.identity.sessions import rules, store
from crossdock.identity.sessions.model import Locked, Session, TokenPair
from crossdock.identity.sessions.pairs import Pairs
from crossdock.mail.service import Postbox

ACTION: Final = "session.refresh"
REUSE: Final = "session.reuse"


class Renewals:
    """Takes refresh tokens and gives the next pair."""

    def __init__(
        self,
        database: Databases,
        pairs: Pairs,
        postbox: Postbox,
        limits: Limits,
        settings: IdentitySettings,
    ) -> None:
        self._database = database
        self._pairs = pairs
        self._postbox = postbox
        self._limits = limits
        self._grace_s = settings.refresh_grace_s

    async def renew(self, text: str, origin: Origin) -> TokenPair:
        """Return the pair that follows a refresh token.

        Raises:
            Unauthenticated: it is no refresh token of a live session, or it was used before; then
                the whole session has ended with it.
            TenantSuspended: it would be good, but its tenant is suspended.
            DatabaseUnavailable: nobody can say.
        """
        token = self._pairs.parse(text)
        try:
            async with self._database.tenant(token.tenant_id) as conn:
                outcome = await self._renew(conn, token, origin)
        except NotFound as error:
            raise Unauthenticated from error
        if isinstance(outcome, TokenPair):
            return outcome
        if outcome.entry is not None:
            await self._write_down(token, outcome.entry)
        raise outcome.error

    async def _renew(
        self, conn: Connection, token: RefreshToken, origin: Origin
    ) -> TokenPair | Refusal:
        account = await accounts.share_by_session(conn, token.tenant_id, token.id)
        if account is None:
            return Refusal(Unauthenticated())
        locked = await store.lock(conn, token.tenant_id, token.id)
        if locked is None:
            return Refusal(Unauthenticated())
        claimed_at = None
        if _ended(account, locked) is None:
            claimed_at = await store.claim(conn, locked.session, token.hash)
        if claimed_at is not None:
            return await self._pairs.go_on(conn, account, locked.session, token, claimed_at)
        return await self._not_claimed(conn, account, locked, token, origin)

    async def _not_claimed(
        self,
        conn: Connection,
        account: Account,
        locked: Locked,
        token: RefreshToken,
        origin: Origin,
    ) -> TokenPair | Refusal:
        """Return what becomes of a token that is unknown, used, or of a session that is over."""
        session = locked.session
        step = await store.step(conn, session, token.hash)
        if step is None:  # made up, by somebody who knows no more than the session's id
            return Refusal(Unauthenticated())
        if (bar := _ended(account, locked)) is not None:
            return _refusal(account, session, bar, origin)
        if rules.repeats(step, locked.at, self._grace_s) == "answer":
            return self._pairs.repeat(account, session, token, locked.at)
        return await self._end_family(conn, account, session.id, origin)

    async def _end_family(
        self, conn: Connection, account: Account, session_id: UUID, origin: Origin
    ) -> Refusal:
        """End a session that two go on with: one of them has stolen its tokens."""
        tenant_id = account.tenant_id
        await revocation.end_session(conn, tenant_id, session_id, "reuse")
        target = ids.encode("ses", session_id)
        entry = trail.refused(REUSE, account.id, origin, "used-before", session=target)
        await audit.add(conn, tenant_id, entry)
        letter = letters.session_stolen(account.email, account.tenant_slug, origin)
        await self._postbox.put(conn, tenant_id, letter)
        return Refusal(Unauthenticated())

    async def _write_down(self, token: RefreshToken, entry: Entry) -> None:
        """Write a refusal down, unless this session has had many of them."""
        if await self._limits.is_news("refresh", token.id):
            async with self._database.tenant(token.tenant_id) as conn:
                await audit.add(conn, token.tenant_id, entry)


def _refusal(
    account: Account, session: Session, bar: tuple[Refused, str], origin: Origin
) -> Refusal:
    """Refuse what would have been good but for this."""
    error, reason = bar
    target = ids.encode("ses", session.id)
    return Refusal(error, trail.refused(ACTION, account.id, origin, reason, session=target))


def _ended(account: Account, locked: Locked) -> tuple[Refused, str] | None:
    """Return why nobody goes on with a session, if that is so."""
    if not rules.is_live(locked.session, locked.at):
        is_over = locked.session.revoked_at is None
        return Unauthenticated(), "expired" if is_over else "ended"
    return barred(account)
