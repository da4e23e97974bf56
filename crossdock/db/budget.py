"""How tenants share a pool: so many connections each, and turns where they are short.

A tenant that asks for a thousand at once holds its few, and the others' requests pass it by: a free
connection goes to the tenant whose turn it is, not to whoever asked first.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal
from uuid import UUID

from crossdock.errors import PoolExhausted
from crossdock.telemetry import metrics

Tier = Literal["shared", "dedicated"]

MAX_WAITING: Final = 256
"""Of one tenant; what comes on top is refused at once, for it would wait in vain."""


class Budget:
    """Counts the connections of a pool by tenant. It belongs to one event loop.

    A tenant is in turn while it waits and holds less than it may; so a free connection and a tenant
    in turn never stand side by side.
    """

    def __init__(
        self, pool: str, *, total: int, each: int, timeout_s: float, tier: Tier = "shared"
    ) -> None:
        """Say how much there is.

        Args:
            pool: its name in the metrics.
            total: connections of the pool.
            each: of them, how many one tenant may hold at once.
            timeout_s: how long one waits before it is refused.
            tier: of the tenants that use it, for the metrics.
        """
        self._free = total
        self._each = each
        self._timeout_s = timeout_s
        self._held: dict[UUID, int] = {}
        self._waiting: dict[UUID, deque[asyncio.Future[None]]] = {}
        self._turns: OrderedDict[UUID, None] = OrderedDict()
        self._in_use = metrics.DATABASE_CONNECTIONS.labels(pool)
        self._queue = metrics.DATABASE_WAITING.labels(pool)
        self._seconds = metrics.DATABASE_WAIT_SECONDS.labels(tier)
        self._refused = metrics.DATABASE_REFUSED.labels(tier)

    @asynccontextmanager
    async def slot(self, tenant_id: UUID) -> AsyncIterator[None]:
        """Hold one connection's place for a tenant.

        Raises:
            PoolExhausted: none came free for this tenant in time.
        """
        if self._free and self._may_hold(tenant_id) and tenant_id not in self._waiting:
            self._take(tenant_id)
        else:
            await self._wait(tenant_id)
        try:
            yield
        finally:
            self._give_back(tenant_id)

    def _may_hold(self, tenant_id: UUID) -> bool:
        return self._held.get(tenant_id, 0) < self._each

    def _take(self, tenant_id: UUID) -> None:
        self._free -= 1
        self._held[tenant_id] = self._held.get(tenant_id, 0) + 1
        self._in_use.inc()

    def _give_back(self, tenant_id: UUID) -> None:
        self._free += 1
        self._in_use.dec()
        left = self._held.pop(tenant_id) - 1
        if left:
            self._held[tenant_id] = left
        self._line_up(tenant_id)
        self._grant()

    def _line_up(self, tenant_id: UUID) -> None:
        """Put a tenant at the end of the turns, unless it is there or has no business there."""
        if tenant_id in self._waiting and self._may_hold(tenant_id):
            self._turns.setdefault(tenant_id)

    def _grant(self) -> None:
        """Give what is free to those whose turn it is, one each."""
        while self._free and self._turns:
            tenant_id, _ = self._turns.popitem(last=False)
            waiting = self._waiting[tenant_id]
            future = waiting.popleft()
            if not waiting:
                del self._waiting[tenant_id]
            if not future.done():  # else it was cancelled, and has not heard of it yet
                self._take(tenant_id)
                future.set_result(None)
            self._line_up(tenant_id)

    async def _wait(self, tenant_id: UUID) -> None:
        """Wait for one; at the end of this the tenant holds it, or is refused."""
        loop = asyncio.get_running_loop()
        waiting = self._waiting.setdefault(tenant_id, deque())
        if len(waiting) >= MAX_WAITING:
            self._refused.inc()
            raise PoolExhausted
        future = loop.create_future()
        waiting.append(future)
        self._line_up(tenant_id)
        self._queue.inc()
        began = loop.time()
        try:
            async with asyncio.timeout(self._timeout_s):
                await future
        except BaseException as error:
            self._leave(tenant_id, future)
            if isinstance(error, TimeoutError):
                self._refused.inc()
                raise PoolExhausted from error
            raise
        finally:
            self._queue.dec()
            self._seconds.observe(loop.time() - began)

    def _leave(self, tenant_id: UUID, future: "asyncio.Future[None]") -> None:
        """Wait no longer; give back what was granted in the same moment."""
        if future.done() and not future.cancelled():
            self._give_back(tenant_id)
            return
        waiting = self._waiting.get(tenant_id)
        if waiting is not None and future in waiting:
            waiting.remove(future)
            if not waiting:
                del self._waiting[tenant_id]
                self._turns.pop(tenant_id, None)
