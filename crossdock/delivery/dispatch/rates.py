"""How often each destination may be called: counted in a table that a machine's processes share.

The table is that of the gateways' limits (`crossdock.limits`); a destination with a rate owns a
slot in it. A permit is taken when a call starts, never before: none is lost, none is taken twice.
"""

from functools import lru_cache
from typing import Final
from uuid import UUID

from crossdock.delivery.destinations.model import Rate
from crossdock.delivery.model import Target
from crossdock.native import Limit, LimitTable

NAME: Final = "destination"
PLENTY: Final = 2**31
"""Permits of a destination without a rate."""

_BURST_S: Final = 0.05
"""Calls of so long may go at once, so that not each of them costs a claim."""
_SHORTEST_WAIT_S: Final = 0.025
_KNOWN: Final = 5_000


class Rates:
    """The rates of the destinations that this process calls."""

    def __init__(self, table: LimitTable) -> None:
        self._table = table

    def room(self, target: Target) -> int:
        """Return how many calls of a destination may start right now."""
        if target.rate is None:
            return PLENTY
        return self._table.peek((_limit(target.tenant_id, target.id, target.rate),)).remaining

    def take(self, target: Target) -> bool:
        """Count a call that starts now; false, and nothing counted, if it may not."""
        if target.rate is None:
            return True
        limit = _limit(target.tenant_id, target.id, target.rate)
        return self._table.take((limit,)).admitted

    def wait_s(self, target: Target) -> float:
        """Return the seconds until a call may start, of a destination that has no permit left."""
        if target.rate is None:
            return 0.0
        limit = _limit(target.tenant_id, target.id, target.rate)
        # The table tells whole seconds; one permit comes back in an interval, at the latest.
        told = self._table.peek((limit,)).retry_after_s
        return max(_SHORTEST_WAIT_S, min(limit.window_s / limit.quota, float(told)))


@lru_cache(_KNOWN)
def _limit(tenant_id: UUID, destination_id: UUID, rate: Rate) -> Limit:
    """Return a limit that admits no more than a rate says in any span of its length.

    What may go at once is taken off what comes back in that span.
    """
    burst = max(1, int(rate.count / rate.per_s * _BURST_S))
    quota = rate.count - burst + 1
    return Limit(NAME, tenant_id.bytes + destination_id.bytes, quota, rate.per_s, burst)
