"""A row to look at, and an answer as the inbox was told to give: for trying things out.

What it does wrong is what receivers do wrong, and is told as their failures are: by the status, a
connection that is cut, or no answer at all until the time is over.
"""

import asyncio
from collections.abc import Callable, Mapping

from crossdock import ids
from crossdock.db.database import Database
from crossdock.delivery.destinations.model import InboxSettings
from crossdock.delivery.dispatch.targets import Ready
from crossdock.delivery.exchange import CallFailed, Response
from crossdock.delivery.inbox import store
from crossdock.delivery.inbox.model import BODY_KEPT, InboxMessage
from crossdock.delivery.kinds.parcel import NONE, Parcel
from crossdock.delivery.model import Cargo

_GOOD = 200


class InboxCarrier:
    """Writes down what came, and answers."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def label(
        self, cargo: Cargo, ready: Ready, now: float, extra: Mapping[str, str] = NONE
    ) -> dict[str, str]:
        """Return what an endpoint would get, signature and all: it can be tried out on it."""
        return ready.headers(cargo, now, extra)

    async def carry(self, parcel: Parcel, ready: Ready, timeout_s: float) -> Response:
        """Keep it, and answer as the inbox is set to.

        Raises:
            CallFailed: it plays one who is cut off, or hangs.
            DatabaseUnavailable: it can't be kept just now.
        """
        settings = ready.target.settings
        if not isinstance(settings, InboxSettings):
            settings = InboxSettings()
        outcome = outcome_of(settings, parcel.leased.attempts)
        await self._keep(parcel, outcome)
        if outcome == "hang" or settings.delay_s >= timeout_s:
            await asyncio.sleep(timeout_s)
            raise CallFailed("timeout", "")
        await asyncio.sleep(settings.delay_s)
        if outcome == "reset":
            raise CallFailed("read", "the connection was reset")
        return Response(int(outcome), [], b"", None)

    async def _keep(self, parcel: Parcel, outcome: str) -> None:
        leased, cargo = parcel.leased, parcel.cargo
        message = InboxMessage(
            tenant_id=leased.tenant_id,
            destination_id=leased.destination_id,
            id=ids.new(self._clock()),
            event_id=leased.event_id,
            outcome=outcome,
            headers=list(parcel.headers.items()),
            body=b"" if cargo.data_key is not None else cargo.body[:BODY_KEPT],
        )
        async with self._database.batch("dispatch", {leased.tenant_id}) as conn:
            await store.add(conn, message)
            await store.trim(conn, leased.tenant_id, leased.destination_id)


def outcome_of(settings: InboxSettings, attempts: int) -> str:
    """Return what an attempt comes to: a status, `reset` or `hang`.

    Args:
        settings: How the inbox behaves.
        attempts: Of this delivery, made before.
    """
    if settings.fail_first is not None and attempts >= settings.fail_first:
        return str(_GOOD)
    return settings.failure if settings.failure != "none" else str(settings.status)
