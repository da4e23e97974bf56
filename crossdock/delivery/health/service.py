"""The use case: a destination's health, from what workers tell each other of its breaker."""

from datetime import UTC, datetime
from typing import Final, Protocol
from uuid import UUID

from crossdock.breakers.model import Scope, View
from crossdock.db import Databases
from crossdock.delivery.destinations import store as destinations
from crossdock.delivery.destinations.model import Destination
from crossdock.delivery.health.model import DestinationHealth, Standing
from crossdock.delivery.scopes import scope_of
from crossdock.delivery.stats import store as stats
from crossdock.errors import NotFound
from proto.subjects import breakers_bucket

MOST_WAITING: Final = 10_000
"""Deliveries that are counted; more are told to be more."""


class Outlook(Protocol):
    """Where breakers can be seen from afar: `crossdock.breakers.reader.Readers`."""

    async def view(self, bucket: str, scope: Scope) -> View | None:
        """Return a breaker of a bucket's, or `None` while it can't be seen."""


class DestinationsHealth:
    """Tells whether destinations are called."""

    def __init__(self, database: Databases, outlook: Outlook | None = None) -> None:
        """Say where.

        Args:
            database: opened for the role `app`.
            outlook: sees breakers; without it their state is unknown.
        """
        self._database = database
        self._outlook = outlook

    async def of(self, tenant_id: UUID, destination_id: UUID) -> DestinationHealth:
        """Return a destination's health.

        Raises:
            NotFound: this tenant has no such destination.
        """
        async with self._database.tenant(tenant_id) as conn:
            found = await destinations.get(conn, tenant_id, destination_id)
            if found is None:
                raise NotFound
            backlog = await stats.backlog(conn, tenant_id, destination_id, MOST_WAITING)
        view = await self._view(found)
        standing = _standing(found, view)
        is_judged = standing in {"closed", "open", "half-open"} and view is not None
        seen = view or View("closed", None, None, 0, 0, None)
        return DestinationHealth(
            destination_id=destination_id,
            breaker=standing,
            since=_moment(seen.since) if is_judged else None,
            until=_moment(seen.until) if is_judged else None,
            calls=seen.calls if is_judged else 0,
            failed=seen.failed if is_judged else 0,
            paused_until=_moment(seen.paused_until),
            waiting=backlog.pending,
            is_capped=backlog.is_capped,
        )

    async def _view(self, destination: Destination) -> View | None:
        if self._outlook is None:
            return None
        shard = await self._database.shard_of(destination.tenant_id)
        return await self._outlook.view(breakers_bucket(shard.number), scope_of(destination))


def _standing(destination: Destination, view: View | None) -> Standing:
    if destination.breaker == "open":
        return "forced-open"
    if destination.breaker == "off":
        return "off"
    return "unknown" if view is None else view.state


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
