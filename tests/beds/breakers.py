"""Breakers as several processes have them, each with a connection and clocks of its own."""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any, Final

from crossdock import ids
from crossdock.breakers.model import Policy, Scope, Ticket, scope
from crossdock.breakers.service import Breakers
from crossdock.breakers.sharing import Sharing
from crossdock.bus import connect
from crossdock.config import NatsSettings
from tests.beds.delivery import until

QUICK: Final = Policy(first_rest_s=0.2, longest_rest_s=2.0, jitter=0.0)
PERMIT_S: Final = 2.0


def somebody(host: str = "example.com:443") -> Scope:
    """Return a destination that nobody knows yet."""
    return scope("destination", ids.new(), ids.new(), host)


class Member:
    """One process's breakers; its wall clock may be wrong."""

    def __init__(self, breakers: Breakers, sharing: Sharing) -> None:
        self.breakers = breakers
        self.sharing = sharing
        self.skew_s = 0.0

    def fail(self, whom: Scope, times: int = 5) -> None:
        """Call somebody in vain."""
        for _ in range(times):
            ticket = self.breakers.enter(whom)
            assert ticket is not None
            self.breakers.report(ticket, "bad")

    def state(self, whom: Scope) -> str:
        """Return what somebody's breaker is, as it is known here."""
        return self.breakers.view(whom).state

    async def is_(self, whom: Scope, state: str) -> None:
        """Wait until a breaker is known to be so."""
        await until(lambda: self.state(whom) == state)

    async def probe(self, whom: Scope, for_s: float = PERMIT_S) -> Ticket | None:
        """Ask to probe."""
        return await self.breakers.probe(whom, for_s)


class Crowd:
    """Whoever shares one bucket."""

    def __init__(self, stack: AsyncExitStack, nats: NatsSettings, bucket: str) -> None:
        self._stack = stack
        self.nats = nats
        self.bucket = bucket

    async def member(self, policy: Policy = QUICK, *, is_run: bool = True) -> Member:
        """Start another process's breakers, and wait until it hears the others.

        Args:
            policy: by what it judges.
            is_run: false for one that somebody else runs.
        """
        bus = await connect(self.nats, name="breakers")
        self._stack.push_async_callback(bus.close)
        sharing = Sharing(bus, self.bucket)
        found: list[Member] = []
        breakers = Breakers(
            policy,
            sharing,
            clock=lambda: time.time() + (found[0].skew_s if found else 0.0),
        )
        found.append(Member(breakers, sharing))
        if not is_run:
            return found[0]
        running = asyncio.create_task(breakers.run())
        self._stack.push_async_callback(_end, running)
        await until(lambda: sharing.is_heard)
        return found[0]

    async def members(self, count: int, policy: Policy = QUICK) -> list[Member]:
        """Start several."""
        return [await self.member(policy) for _ in range(count)]


async def _end(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await asyncio.wait([task])
