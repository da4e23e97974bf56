"""Is this process alive, ready, and what of its surroundings is there?

Answers are public, so they say little, and they are remembered for a second: asking in a loop asks
PostgreSQL and NATS no more often than that.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec
import structlog

_log: Final = structlog.get_logger(__name__)

PROBE_TIMEOUT_S: Final = 2.0
FRESH_S: Final = 1.0

Probe = Callable[[], Awaitable[None]]
"""Returns when a component answers as it should; raises otherwise."""


def of_shard(component: str, shard: int) -> str:
    """Return the name of a component that each shard has; the first one's is the plain word."""
    return f"{component}.{shard}" if shard else component


class Component(msgspec.Struct, frozen=True):
    """Something that this process leans on."""

    state: Literal["up", "down"]
    latency_ms: float | None
    """How long it took to answer; `null` while it doesn't."""
    since: datetime
    """When it was first seen in this state."""


class Health:
    """Asks the components, and remembers since when they are as they are.

    What there is to ask may change with time: then `probes` is a function that returns it.
    """

    def __init__(
        self,
        probes: Mapping[str, Probe] | Callable[[], Mapping[str, Probe]],
        *,
        required: frozenset[str],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._probes: Mapping[str, Probe] = {}
        self._look = probes if callable(probes) else lambda: probes
        self._required = required
        self._clock = clock
        self._monotonic = monotonic
        self._known: dict[str, Component] = {}
        self._asked = float("-inf")
        self._asking = asyncio.Lock()
        self._draining = False

    def drain(self) -> None:
        """Say from now on that this process wants no new work."""
        self._draining = True

    async def components(self) -> dict[str, Component]:
        """Return the state of every component, at most a second old."""
        async with self._asking:
            if self._monotonic() - self._asked >= FRESH_S:
                self._probes = self._look()
                found = await asyncio.gather(*map(self._ask, self._probes))
                self._known = dict(zip(self._probes, found, strict=True))
                self._asked = self._monotonic()
        return self._known

    async def is_ready(self) -> bool:
        """Tell whether this process can do its work."""
        if self._draining:
            return False
        components = await self.components()
        return all(components[name].state == "up" for name in self._required)

    async def _ask(self, name: str) -> Component:
        began = self._monotonic()
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await self._probes[name]()
        except Exception as error:  # noqa: BLE001 - whatever it is, the component is not there
            if self._was(name) != "down":
                _log.warning("component_down", component=name, error=str(error))
            return self._component(name, "down", None)
        latency_ms = round((self._monotonic() - began) * 1000, 3)
        if self._was(name) == "down":
            _log.info("component_up", component=name)
        return self._component(name, "up", latency_ms)

    def _was(self, name: str) -> str | None:
        return self._known[name].state if name in self._known else None

    def _component(
        self, name: str, state: Literal["up", "down"], latency_ms: float | None
    ) -> Component:
        known = self._known.get(name)
        since = known.since if known is not None and known.state == state else self._clock()
        return Component(state, latency_ms, since)
