"""The use cases of sessions that are there: listed, and ended."""

from uuid import UUID

from crossdock import ids
from crossdock.access.model import Principal
from crossdock.audit import store as audit
from crossdock.db import Databases
from crossdock.errors import Forbidden, NotFound
from crossdock.identity import revocation, trail
from crossdock.identity.origin import Origin
from crossdock.identity.sessions import store
from crossdock.identity.sessions.model import EndReason, Session
from crossdock.paging import Slice, Window


class Sessions:
    """Lists and ends sessions. Ending takes the same lock as going on, so neither outruns it."""

    def __init__(self, database: Databases) -> None:
        self._database = database

    async def page(self, tenant_id: UUID, user_id: UUID, window: Window) -> Slice[Session]:
        """Return a page of a user's live sessions, newest first."""
        async with self._database.tenant(tenant_id) as conn:
            return Slice.cut(await store.page(conn, tenant_id, user_id, window), window)

    async def logout(self, caller: Principal, origin: Origin) -> None:
        """End the session that a caller's token is of. Ending it again changes nothing.

        Raises:
            Forbidden: the caller has no session.
        """
        if caller.session_id is None or caller.actor.kind != "user":
            raise Forbidden
        await self._end(caller, caller.session_id, "logout", origin)

    async def end(self, caller: Principal, session_id: UUID, origin: Origin) -> None:
        """End one of a caller's own sessions. Ending it again changes nothing.

        Raises:
            NotFound: it is not theirs, or there is none.
        """
        await self._end(caller, session_id, "revoked", origin)

    async def _end(
        self, caller: Principal, session_id: UUID, reason: EndReason, origin: Origin
    ) -> None:
        tenant_id = caller.tenant_id
        async with self._database.tenant(tenant_id) as conn:
            locked = await store.lock(conn, tenant_id, session_id)
            if locked is None or locked.session.user_id != caller.actor.id:
                raise NotFound
            if await revocation.end_session(conn, tenant_id, session_id, reason):
                action = "user.logout" if reason == "logout" else "session.end"
                target = ids.encode("ses", session_id)
                await audit.add(conn, tenant_id, trail.done_by(caller, action, target, origin))
