"""The bodies that a batch's messages claim: fetched a few at a time, handed on by the budget."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

import msgspec
import structlog
from msgspec.structs import replace

from crossdock.bus.consumer import Pulled
from crossdock.errors import BrokerUnavailable
from crossdock.inbound.bodies import Bodies, BodyGone
from crossdock.inbound.persist import Arrival
from workers.errors import patiently

AT_ONCE: Final = 4
"""Bodies on their way at a time."""

PART_BYTES: Final = 16 * 1024 * 1024
"""As soon as so much is here it is stored and forgotten. What a batch holds of bodies is this, and
`AT_ONCE` of the largest there are."""

log = structlog.get_logger(__name__)


class Fetched(msgspec.Struct, frozen=True):
    """A message with the body that it claims."""

    pulled: Pulled
    arrival: Arrival
    is_gone: bool = False
    """There is no such object: the message was handled before, or nobody can."""


class Claims:
    """Fetches what gateways put into the object store, and removes it in the end."""

    def __init__(
        self, bodies: Bodies, *, at_once: int = AT_ONCE, part_bytes: int = PART_BYTES
    ) -> None:
        self._bodies = bodies
        self._at_once = at_once
        self._part_bytes = part_bytes

    async def parts(
        self,
        claimed: Sequence[tuple[Pulled, Arrival]],
        meanwhile: Callable[[], Awaitable[None]],
    ) -> AsyncIterator[list[Fetched]]:
        """Yield messages with their bodies, in their order, as many at a time as memory allows.

        Args:
            claimed: messages whose bodies are elsewhere.
            meanwhile: called now and then: the broker has to be told that somebody is at it.
        """
        part: list[Fetched] = []
        held = 0
        for at in range(0, len(claimed), self._at_once):
            await meanwhile()
            few = claimed[at : at + self._at_once]
            for fetched in await asyncio.gather(*(self._fetch(*one, meanwhile) for one in few)):
                part.append(fetched)
                held += len(fetched.arrival.message.body)
            if held >= self._part_bytes:
                yield part
                part, held = [], 0
        if part:
            yield part

    async def forget(self, arrivals: Sequence[Arrival]) -> None:
        """Remove what was claimed; what can't be removed now is left for the sweep."""
        claims = [arrival.message.claim for arrival in arrivals]
        if not claims:
            return
        try:
            await self._bodies.delete(claims)
        except BrokerUnavailable as error:
            log.warning("bodies_left", count=len(claims), reason=str(error))

    async def _fetch(
        self, pulled: Pulled, arrival: Arrival, meanwhile: Callable[[], Awaitable[None]]
    ) -> Fetched:
        message = arrival.message
        try:
            body = await patiently(
                "bodies", lambda: self._bodies.fetch(message.claim), meanwhile=meanwhile
            )
        except BodyGone:
            return Fetched(pulled, arrival, is_gone=True)
        return Fetched(pulled, replace(arrival, message=replace(message, body=body)))
