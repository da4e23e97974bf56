"""New events for internal consumers, on EVENTS; `crossdock.inbound.cloud_events` says how.

At least once: after a crash an event is announced again under the same `ce-id`. A payload that is
sealed, or too large, stays in the database, and the message says where (`ce-dataref`).
"""

import asyncio
from collections.abc import Iterable
from typing import Final

import structlog
from msgspec.structs import replace

from crossdock.bus.publisher import Publisher
from crossdock.errors import TooLarge
from crossdock.inbound.cloud_events import Announced, carried, cloud_event
from crossdock.inbound.persist import Arrival

MOST_BYTES: Final = 512 * 1024
"""Of a body that goes along, where the settings say nothing else."""

log = structlog.get_logger(__name__)


class Announcer:
    """Tells internal consumers of events."""

    def __init__(self, publisher: Publisher, *, most_bytes: int = MOST_BYTES) -> None:
        """Say by what.

        Args:
            publisher: to EVENTS.
            most_bytes: of a body that goes along, `gateway.inline_body_bytes`.
        """
        self._publisher = publisher
        self._most_bytes = most_bytes

    async def arrived(self, arrivals: Iterable[Arrival]) -> None:
        """Announce what was persisted; see `announce`."""
        await self.announce(announced(arrival, most=self._most_bytes) for arrival in arrivals)

    async def announce(self, events: Iterable[Announced]) -> None:
        """Publish all of them, and wait until the broker has them.

        One that no message can carry is left out, and the log says so: it is stored and delivered
        all the same.

        Raises:
            BrokerUnavailable: it has not taken all; to announce all of them again does no harm.
        """
        published = []
        for event in events:
            try:
                published.append(self._publish(event))
            except (ValueError, TooLarge) as error:
                log.error("event_not_announced", event_id=event.event_id, reason=str(error))
        await asyncio.gather(*published)

    def _publish(self, event: Announced) -> asyncio.Future[None]:
        try:
            return self._publisher.publish(cloud_event(event))
        except TooLarge:
            if event.body is None:
                raise
        return self._publisher.publish(cloud_event(replace(event, body=None)))


def announced(arrival: Arrival, *, most: int) -> Announced:
    """Return what is announced of a webhook that was persisted just now."""
    message = arrival.message
    return Announced(
        tenant_id=arrival.tenant_id,
        source_id=arrival.source_id,
        event_id=arrival.event_id,
        stream_seq=arrival.stream_seq,
        event_type=message.event_type,
        content_type=message.content_type,
        traceparent=message.traceparent,
        body=carried(message.body, is_sealed=arrival.data_key is not None, most=most),
        provider_id=message.provider_id,
        status=message.status or "accepted",
        schema_version=message.schema_version,
    )
