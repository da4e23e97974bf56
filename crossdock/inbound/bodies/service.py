"""What workers do with large bodies: fetch, delete, and find what a crash left behind."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

import structlog

from crossdock.bus.connection import Bus
from crossdock.bus.objects import Objects
from proto.subjects import BODIES_BUCKET, INGEST_STREAM

MARGIN_S: Final = 600.0
"""Far longer than from a body's first byte in the bucket to its message in the stream."""

log = structlog.get_logger(__name__)


class Bodies:
    """The bucket of bodies, as a worker uses it."""

    def __init__(self, bus: Bus) -> None:
        self._objects = Objects(bus, BODIES_BUCKET)

    async def fetch(self, claim: str) -> bytes:
        """Return the body that a message's claim names.

        Raises:
            BodyGone: it is not there: this message was handled before, or it is no good.
            BrokerUnavailable: the broker did not answer.
        """
        return await self._objects.get(claim)

    async def delete(self, claims: Iterable[str]) -> None:
        """Remove bodies whose messages are acknowledged; what is gone already is no error.

        Raises:
            BrokerUnavailable: the broker did not answer; a sweep removes what is left.
        """
        await self._objects.delete(claims)

    async def sweep(self, margin_s: float = MARGIN_S) -> int:
        """Remove bodies whose message is gone or never came; return how many.

        A message is stored after its body, and soon or never. So a body that is older than the
        oldest message there is, by the margin, has none: all times are the broker's. Where there is
        no message at all, it is one that is older than the margin.

        Raises:
            BrokerUnavailable: the broker did not answer; some may be removed.
        """
        ingest = await self._objects.span(INGEST_STREAM)
        bound = (ingest.oldest or ingest.now) - timedelta(seconds=margin_s)
        orphans = await self._objects.older_than(bound)
        await self._objects.delete(orphans)
        if orphans:
            log.info("bodies_swept", count=len(orphans))
        return len(orphans)
