"""`/v1/auth/sessions`: where one is signed in."""

from datetime import datetime
from uuid import UUID

import msgspec
from litestar import Controller, delete, get
from litestar.di import NamedDependency

from crossdock import ids
from crossdock.identity.sessions.model import Session
from crossdock.identity.sessions.service import Sessions
from gateway.declarations import Atomic
from gateway.request import ApiRequest
from gateway.wire import DEFAULT_LIMIT, Cursor, Id, Limit


class SessionOut(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in that has not ended."""

    id: str
    current: bool
    """Whether it is the one that asks."""
    created_at: datetime
    last_used_at: datetime
    """When it was last gone on with, or began."""
    expires_at: datetime
    """When it ends unless it is gone on with before."""
    address: str
    user_agent: str


class SessionPage(msgspec.Struct, frozen=True):
    """A page of sessions."""

    items: list[SessionOut]
    next_cursor: str | None


class SessionController(Controller):
    """One's own sessions."""

    path = "/v1/auth/sessions"
    tags = ("Auth",)

    @get("/", user=True)
    async def list_sessions(
        self,
        request: ApiRequest,
        sessions: NamedDependency[Sessions],
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> SessionPage:
        """List one's own live sessions, newest first."""
        caller = request.auth
        filters = {"user": str(caller.actor.id)}
        window = request.window("own-sessions", limit, cursor, filters)
        found = await sessions.page(caller.tenant_id, caller.actor.id, window)
        return SessionPage(
            [shown(session, caller.session_id) for session in found.items],
            request.next_cursor("own-sessions", found, filters),
        )

    @delete("/{session_id:str}", user=True, idempotency=Atomic())
    async def end_session(
        self, request: ApiRequest, sessions: NamedDependency[Sessions], session_id: Id
    ) -> None:
        """End one of one's own sessions: refused everywhere within a second."""
        await sessions.end(request.auth, ids.decode("ses", session_id), request.origin)


def shown(session: Session, current: UUID | None) -> SessionOut:
    """Return a session as it is answered."""
    return SessionOut(
        id=ids.encode("ses", session.id),
        current=session.id == current,
        created_at=session.created_at,
        last_used_at=session.last_used_at,
        expires_at=min(session.idle_ends_at, session.ends_at),
        address=session.address,
        user_agent=session.user_agent,
    )
