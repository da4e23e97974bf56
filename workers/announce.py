"""New events for internal consumers, on EVENTS: CloudEvents 1.0 in NATS' binary mode.

The body is the provider's bytes; what describes it stands in `ce-` headers
(https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/nats-protocol-binding.md).
At least once: after a crash an event is announced again under the same `ce-id`.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from crossdock import ids, native
from crossdock.bus.publisher import Publisher
from crossdock.inbound.persist import Arrival
from proto import subjects

UNTYPED: Final = "untyped"
"""`ce-type` where the provider names none: the attribute must not be empty."""


def cloud_event(arrival: Arrival) -> native.Message:
    """Return the message that announces an event."""
    message = arrival.message
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
        ("content-type", message.content_type or "application/octet-stream"),
        ("traceparent", message.traceparent),
    ]
    subject = subjects.event(tenant, source, message.event_type)
    return native.Message(subject, message.body, headers)


async def announce(publisher: Publisher, arrivals: Sequence[Arrival]) -> None:
    """Publish all of them, and wait until the broker has them.

    Raises:
        BrokerUnavailable: it has not taken all; to announce all of them again does no harm.
    """
    await asyncio.gather(*[publisher.publish(cloud_event(arrival)) for arrival in arrivals])
