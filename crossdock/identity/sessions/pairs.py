"""Pairs of tokens: the first of a session, and the next."""

from datetime import datetime

import msgspec

from crossdock import ids
from crossdock.config import IdentitySettings
from crossdock.identity.accounts import store as accounts
from crossdock.identity.accounts.model import Account
from crossdock.identity.accounts.store import Connection
from crossdock.identity.origin import Origin
from crossdock.identity.refresh import RefreshToken, Successors
from crossdock.identity.sessions import rules, store
from crossdock.identity.sessions.model import Session, TokenPair
from crossdock.identity.tokens import Claims, Issuer


class Pairs:
    """Makes them, in the caller's transaction, which holds the user's row.

    An access token's time is read from the shard's clock after that row was locked: so it is later
    than every revocation that its maker could not have seen, and earlier than all that follow.
    """

    def __init__(
        self,
        issuer: Issuer,
        successors: Successors,
        settings: IdentitySettings,
        *,
        environment: str,
    ) -> None:
        self._issuer = issuer
        self._successors = successors
        self._settings = settings
        self._environment = environment

    def parse(self, text: str) -> RefreshToken:
        """Return the refresh token behind its text.

        Raises:
            Unauthenticated: it is none, mistyped, or another environment's.
        """
        return RefreshToken.parse(text, self._environment)

    async def begin(self, conn: Connection, account: Account, origin: Origin) -> TokenPair:
        """Begin a session of an account whose row is locked."""
        now = await accounts.now(conn)
        idle_ends_at, ends_at = rules.ends(now, now, self._settings)
        session = Session(
            tenant_id=account.tenant_id,
            id=ids.new(),
            user_id=account.id,
            created_at=now,
            last_used_at=now,
            idle_ends_at=idle_ends_at,
            ends_at=ends_at,
            user_agent=origin.user_agent,
            address=origin.address,
        )
        token = RefreshToken.new(account.tenant_id, session.id)
        await store.add(conn, session)
        await store.add_token(conn, session, token.hash, None, now)
        return self._pair(account.roles, session, token, now)

    async def go_on(
        self,
        conn: Connection,
        account: Account,
        session: Session,
        used: RefreshToken,
        now: datetime,
    ) -> TokenPair:
        """Return the pair that follows a refresh token which was claimed at that moment."""
        idle_ends_at, _ = rules.ends(session.created_at, now, self._settings)
        token = self._successors.of(used)
        await store.add_token(conn, session, token.hash, used.hash, now)
        await store.go_on(conn, session, now, idle_ends_at)
        later = msgspec.structs.replace(session, last_used_at=now, idle_ends_at=idle_ends_at)
        return self._pair(account.roles, later, token, now)

    def repeat(
        self, account: Account, session: Session, used: RefreshToken, now: datetime
    ) -> TokenPair:
        """Return once more what followed a refresh token; nothing lasts longer for it."""
        return self._pair(account.roles, session, self._successors.of(used), now)

    def _pair(
        self, roles: tuple[str, ...], session: Session, token: RefreshToken, now: datetime
    ) -> TokenPair:
        life_s = rules.access_seconds(session.ends_at, now, self._settings)
        issued_at = now.timestamp()
        access = self._issuer.issue(
            Claims(
                tenant_id=session.tenant_id,
                user_id=session.user_id,
                session_id=session.id,
                roles=roles,
                issued_at=issued_at,
                expires_at=issued_at + life_s,
            )
        )
        return TokenPair(
            access_token=access,
            expires_in=int(life_s),
            refresh_token=token.format(self._environment),
            refresh_expires_at=min(session.idle_ends_at, session.ends_at),
            session_id=session.id,
        )
