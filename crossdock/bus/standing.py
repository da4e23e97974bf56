"""How far the workers of a shard have come with INGEST."""

import msgspec
from nats.js.api import ConsumerInfo
from nats.js.errors import NotFoundError

from crossdock.bus.connection import Bus, as_unavailable
from crossdock.errors import BrokerUnavailable
from proto import subjects


class Standing(msgspec.Struct, frozen=True):
    """Sequences of INGEST."""

    acked: int
    """At and below it, all that is for the shard has been acknowledged: it is in PostgreSQL, or
    poison."""
    last: int
    """The newest there is on the stream, whichever shard's."""


async def standing(bus: Bus, shard: int) -> Standing:
    """Return how far persisting has come, without a gap.

    Raises:
        BrokerUnavailable: the broker is away, or has no stream or consumer yet.
    """
    with as_unavailable():
        consumer = await _persisting(bus, shard)
        stream = await bus.jetstream().stream_info(subjects.INGEST_STREAM)
    floor = consumer.ack_floor
    return Standing(0 if floor is None else floor.stream_seq, stream.state.last_seq)


async def waiting(bus: Bus, shard: int) -> int:
    """Return how many messages of a shard nobody has acknowledged, handed out or not.

    The stream has some more: what is done with is cleared after a moment (`bus.clearing`).

    Raises:
        BrokerUnavailable: the broker is away, or has no stream or consumer yet.
    """
    with as_unavailable():
        found = await _persisting(bus, shard)
    return (found.num_pending or 0) + (found.num_ack_pending or 0)


async def _persisting(bus: Bus, shard: int) -> ConsumerInfo:
    try:
        found: ConsumerInfo = await bus.jetstream().consumer_info(
            subjects.INGEST_STREAM, subjects.persist_consumer(shard)
        )
    except NotFoundError as error:
        raise BrokerUnavailable("The broker has no such consumer.") from error
    return found
