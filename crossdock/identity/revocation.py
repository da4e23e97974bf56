"""Revoking: what ends sessions and the access tokens that are about already.

Each is written with the word that it happened, in the caller's transaction; every gateway knows
within a second. Whoever calls holds the row in question: of a session `sessions.store.lock`, of a
user `accounts.store.lock`. Where both are wanted, the user's row is locked first: that order is
everybody's, so that nobody waits in a circle.
"""

from uuid import UUID

from crossdock.identity.accounts import store as accounts
from crossdock.identity.accounts.store import Connection
from crossdock.identity.sessions import store as sessions
from crossdock.identity.sessions.model import EndReason
from crossdock.outbox import store as outbox


async def end_session(
    conn: Connection, tenant_id: UUID, session_id: UUID, reason: EndReason
) -> bool:
    """End one session with its access tokens; tell whether it had not ended before."""
    ended = await sessions.end(conn, tenant_id, session_id, reason)
    if ended:
        await outbox.add(conn, tenant_id, "session", str(session_id))
    return ended


async def end_sessions(conn: Connection, tenant_id: UUID, user_id: UUID, reason: EndReason) -> int:
    """End all sessions of a user with their access tokens; return how many sessions it were."""
    ended = await sessions.end_all(conn, tenant_id, user_id, reason)
    await end_tokens(conn, tenant_id, user_id)
    return ended


async def end_tokens(conn: Connection, tenant_id: UUID, user_id: UUID) -> None:
    """End all access tokens of a user; sessions go on, and the next ones know the user as now."""
    await accounts.set_not_before(conn, tenant_id, user_id, await accounts.now(conn))
    await outbox.add(conn, tenant_id, "user", str(user_id))
