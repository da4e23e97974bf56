"""Test sends: a signed sample, through the application that takes every webhook."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from crossdock.inbound.model import Source
from crossdock.simulations.arrivals import Arrivals
from gateway import inside
from gateway.asgi import Application
from gateway.inside import Reply

SPREADING: Final = timedelta(seconds=5)
"""So long after a change, a gateway may not know of it yet."""
PATIENCE_S: Final = 3.0
AGAIN_S: Final = 0.25
_UNKNOWN: Final = frozenset({401, 404})
"""What a gateway says that knows a source, or its newest secret, not yet."""
_CLOSED: Final = 403


class TestSends:
    """Sends samples to sources of this installation."""

    __test__ = False

    def __init__(
        self,
        arrivals: Arrivals,
        ingest: Application,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Say how.

        Args:
            arrivals: Makes what is sent.
            ingest: The application below `/in/`, in this process.
            clock: Tells whether a source has changed just now.
        """
        self._arrivals = arrivals
        self._ingest = ingest
        self._clock = clock

    async def send(
        self,
        tenant_id: UUID,
        source_id: UUID,
        *,
        sample: str | None,
        event_type: str | None,
        address: str,
    ) -> Reply:
        """Send a sample to a source, and return what its sender would be answered.

        Settings travel for a moment: a source that was made, changed or rotated just now is given
        some seconds to be known before a refusal counts.

        Args:
            tenant_id: Whose source.
            source_id: Which.
            sample: By its name in the preset.
            event_type: Or the first one of this type.
            address: Who asks for it: a refusal is charged to them.

        Raises:
            NotFound: this tenant has no such source.
            Invalid: its preset has no such sample.
            Conflict: nobody here can sign for it, or it has no door.
        """
        source, webhook = await self._arrivals.compose(tenant_id, source_id, sample, event_type)
        loop = asyncio.get_running_loop()
        ends = loop.time() + PATIENCE_S
        while True:
            url, headers = webhook.url, webhook.headers
            reply = await inside.post(self._ingest, url, headers, webhook.body, address)
            if loop.time() > ends or not self._is_early(source, reply):
                return reply
            await asyncio.sleep(AGAIN_S)

    def _is_early(self, source: Source, reply: Reply) -> bool:
        """Tell whether a refusal may come of settings of before."""
        stale = {*_UNKNOWN, _CLOSED} if source.state == "active" else _UNKNOWN
        return reply.status in stale and self._clock() - source.updated_at < SPREADING
