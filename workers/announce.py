"""New events for internal consumers, on EVENTS: CloudEvents 1.0 in NATS' binary mode.

The body is the provider's bytes; what describes it stands in `ce-` headers, the media type too, as
the working draft of the NATS binding has it. `content-type` says the same for everybody else,
unless it would make the message look like one in structured mode. At least once: after a crash an
event is announced again under the same `ce-id`.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from crossdock import ids, native
from crossdock.bus.publisher import Publisher
from crossdock.errors import TooLarge
from crossdock.inbound.persist import Arrival
from proto import subjects

UNTYPED: Final = "untyped"
"""`ce-type` where the provider names none: the attribute must not be empty."""

STRUCTURED: Final = "application/cloudevents"
"""How the media type begins of an event that is wholly in its body."""

log = structlog.get_logger(__name__)


def cloud_event(arrival: Arrival) -> native.Message:
    """Return the message that announces an event."""
    message = arrival.message
    content_type = message.content_type or "application/octet-stream"
    tenant = ids.encode("ten", arrival.tenant_id)
    source = ids.encode("src", arrival.source_id)
    event = ids.encode("evt", arrival.event_id)
    headers = [
        ("Nats-Msg-Id", event),
        ("ce-specversion", "1.0"),
        ("ce-id", event),
        ("ce-source", f"/tenants/{tenant}/sources/{source}"),
        ("ce-type", message.event_type or UNTYPED),
        ("ce-time", ids.time_of(arrival.event_id).isoformat().replace("+00:00", "Z")),
        ("ce-sequence", str(arrival.stream_seq)),
        ("ce-datacontenttype", content_type),
        ("traceparent", message.traceparent),
    ]
    if not content_type.lower().startswith(STRUCTURED):
        headers.append(("content-type", content_type))
    subject = subjects.event(tenant, source, message.event_type)
    return native.Message(subject, message.body, headers)


async def announce(publisher: Publisher, arrivals: Sequence[Arrival]) -> None:
    """Publish all of them, and wait until the broker has them.

    One that no message can carry is left out, and the log says so: it is stored and delivered all
    the same.

    Raises:
        BrokerUnavailable: it has not taken all; to announce all of them again does no harm.
    """
    announced = []
    for arrival in arrivals:
        try:
            announced.append(publisher.publish(cloud_event(arrival)))
        except (ValueError, TooLarge) as error:
            log.error("event_not_announced", event_id=arrival.event_id, reason=str(error))
    await asyncio.gather(*announced)
