"""Durable consumers on EVENTS: made for internal consumers, who have no right to make any."""

from typing import Final

from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo, DeliverPolicy
from nats.js.errors import BadRequestError, NotFoundError, ServerError

from crossdock.bus.connection import Bus, as_unavailable
from crossdock.consumers.model import Reader
from crossdock.errors import ConfigurationError
from proto import subjects

ACK_WAIT_S: Final = 30.0
MAX_ACK_PENDING: Final = 1_000
LOOK_AGAIN_S: Final = 1.0
"""How soon the oldest event is shown again to who looked at it."""

MARK: Final = {"crossdock": "reader"}


async def ensure_reader(bus: Bus, name: str, filters: tuple[str, ...], *, from_now: bool) -> None:
    """Make a reader's two consumers; those that exist keep their place.

    The second shows the oldest event that is still kept: it hands out one at a time and is never
    told that it was read, so it moves on only when the stream forgets.

    Args:
        bus: a connection that may.
        name: the durable consumer's.
        filters: subjects, none covering another.
        from_now: begin with the next event, not with the oldest one there is.

    Raises:
        ConfigurationError: NATS refuses it, or there is another consumer of that name.
        BrokerUnavailable: the server did not answer.
    """
    start = DeliverPolicy.NEW if from_now else DeliverPolicy.ALL
    first = ConsumerConfig(
        durable_name=name,
        deliver_policy=start,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT_S,
        max_ack_pending=MAX_ACK_PENDING,
        max_deliver=-1,
        filter_subjects=list(filters),
        metadata=MARK,
    )
    second = first.evolve(
        durable_name=subjects.oldest_of(name),
        deliver_policy=DeliverPolicy.ALL,
        ack_wait=LOOK_AGAIN_S,
        max_ack_pending=1,
        headers_only=True,
        metadata=None,
    )
    jetstream = bus.jetstream()
    with as_unavailable():
        for wanted in (first, second):
            try:
                await jetstream.add_consumer(subjects.EVENTS_STREAM, wanted)
            except (BadRequestError, ServerError) as error:
                raise ConfigurationError(
                    f"NATS refuses the consumer {wanted.durable_name}: {error.description}."
                ) from error


async def drop_reader(bus: Bus, name: str) -> bool:
    """Delete a reader's consumers, and tell whether there were any.

    Raises:
        BrokerUnavailable: the server did not answer.
    """
    found = False
    jetstream = bus.jetstream()
    with as_unavailable():
        for one in (name, subjects.oldest_of(name)):
            try:
                await jetstream.delete_consumer(subjects.EVENTS_STREAM, one)
                found = True
            except NotFoundError:
                continue
    return found


async def readers(bus: Bus) -> list[Reader]:
    """Return all readers, by name.

    Raises:
        BrokerUnavailable: the server did not answer.
    """
    jetstream = bus.jetstream()
    found: list[ConsumerInfo] = []
    with as_unavailable():
        while page := await jetstream.consumers_info(subjects.EVENTS_STREAM, offset=len(found)):
            found += page
    return sorted((_reader(info) for info in found if _is_marked(info)), key=lambda one: one.name)


def _is_marked(info: ConsumerInfo) -> bool:
    return MARK.items() <= (info.config.metadata or {}).items()


def _reader(info: ConsumerInfo) -> Reader:
    config = info.config
    filters = config.filter_subjects or [config.filter_subject or subjects.EVENTS_SUBJECTS]
    return Reader(
        name=info.name,
        subjects=tuple(filters),
        waiting=info.num_pending or 0,
        unacknowledged=info.num_ack_pending or 0,
    )
