"""The streams as they must be: declared in one place, created or mended by whoever starts first."""

import asyncio
import re
import time
from collections.abc import Awaitable
from typing import Any, Final

import structlog
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError, BadRequestError, NotFoundError, ServerError

from crossdock.bus import objects
from crossdock.bus.connection import Bus, as_unavailable
from crossdock.bus.kv import Bucket
from crossdock.config import NatsSettings
from crossdock.errors import BrokerUnavailable, ConfigurationError
from proto import subjects

OLDEST_SERVER: Final = (2, 12, 3)
"""Atomic batches came with 2.12.0, and 2.12.3 mended them."""

DUPLICATE_WINDOW_S: Final = 120.0
"""How long the broker knows a message's id; the ledger in PostgreSQL knows it for good."""

ACK_WAIT_S: Final = 20.0
"""Far longer than a batch takes to persist; a worker that died is noticed after this."""

MAX_ACK_PENDING: Final = 20_000

POISON_MAX_BYTES: Final = 256 * 1024**2
POISON_MAX_AGE_S: Final = 30 * 24 * 3600.0

_FIXED: Final = ("retention", "storage")
"""What the broker can't change on a stream that exists."""

_RETRY_S: Final = 0.5

_SEQUENCES_A_MS: Final = 1000
"""Far more than are accepted; and no sequence needs more digits than JSON's numbers have."""

_IN_USE: Final = 10058
"""The broker's word for: there is a stream of that name, made otherwise."""

_UNSAID: Final = (None, False, -1, 0)
"""Values of a declaration that leave the field to the broker."""

log = structlog.get_logger(__name__)


def declared(settings: NatsSettings) -> tuple[StreamConfig, ...]:
    """Return every stream, as this release needs it."""
    return (
        # Not a work queue: that one syncs each removal apart (`bus.clearing`).
        StreamConfig(
            name=subjects.INGEST_STREAM,
            subjects=[subjects.INGEST_SUBJECTS],
            retention=RetentionPolicy.LIMITS,
            discard=DiscardPolicy.NEW,
            storage=StorageType.FILE,
            max_bytes=settings.ingest_max_bytes,
            num_replicas=settings.replicas,
            duplicate_window=DUPLICATE_WINDOW_S,
            allow_atomic=True,
        ),
        StreamConfig(
            name=subjects.EVENTS_STREAM,
            subjects=[subjects.EVENTS_SUBJECTS],
            retention=RetentionPolicy.LIMITS,
            discard=DiscardPolicy.OLD,
            storage=StorageType.FILE,
            max_bytes=settings.events_max_bytes,
            num_replicas=settings.replicas,
            duplicate_window=DUPLICATE_WINDOW_S,
            allow_atomic=True,
            allow_direct=True,
        ),
        StreamConfig(
            name=subjects.OUT_STREAM,
            subjects=[subjects.OUT_SUBJECTS],
            retention=RetentionPolicy.LIMITS,
            discard=DiscardPolicy.OLD,
            storage=StorageType.FILE,
            max_bytes=settings.out_max_bytes,
            num_replicas=settings.replicas,
            duplicate_window=DUPLICATE_WINDOW_S,
            allow_direct=True,
        ),
        StreamConfig(
            name=subjects.POISON_STREAM,
            subjects=[subjects.POISON_SUBJECTS],
            retention=RetentionPolicy.LIMITS,
            discard=DiscardPolicy.OLD,
            storage=StorageType.FILE,
            max_bytes=POISON_MAX_BYTES,
            max_age=POISON_MAX_AGE_S,
            num_replicas=settings.replicas,
            duplicate_window=DUPLICATE_WINDOW_S,
            allow_direct=True,
        ),
        # As NATS' own object stores, but for `allow_direct`: a replica that lags would say of a
        # body that it is gone. Full, it refuses.
        StreamConfig(
            name=objects.stream(subjects.BODIES_BUCKET),
            subjects=objects.subjects(subjects.BODIES_BUCKET),
            retention=RetentionPolicy.LIMITS,
            discard=DiscardPolicy.NEW,
            storage=StorageType.FILE,
            max_bytes=settings.bodies_max_bytes,
            num_replicas=settings.replicas,
            duplicate_window=DUPLICATE_WINDOW_S,
            allow_rollup_hdrs=True,
        ),
    )


def persist_consumer(shard: int) -> ConsumerConfig:
    """Return the consumer that all `webhooks` workers of a shard share."""
    return ConsumerConfig(
        durable_name=subjects.persist_consumer(shard),
        filter_subject=subjects.ingest(shard),
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT_S,
        max_ack_pending=MAX_ACK_PENDING,
        max_deliver=-1,
    )


async def ensure_streams(bus: Bus) -> None:
    """Create or mend every stream.

    Any number of processes may do so at once. What differs from the declaration is updated, unless
    only a new stream could have it.

    Raises:
        ConfigurationError: the server is too old, or a stream of that name is of another kind.
        BrokerUnavailable: the server did not answer.
    """
    check_version(bus.server_version)
    jetstream = bus.jetstream()
    with as_unavailable():
        for stream in declared(bus.settings):
            await _ensure(jetstream, stream)


async def ensure_shard(bus: Bus, shard: int) -> None:
    """Create or mend what a shard's workers need: their consumer, and the bucket of its settings.

    Raises:
        ConfigurationError: NATS refuses it.
        BrokerUnavailable: the server did not answer, or there are no streams yet.
    """
    jetstream = bus.jetstream()
    with as_unavailable():
        await _ensure_consumer(jetstream, persist_consumer(shard))
    await Bucket(bus, subjects.settings_bucket(shard)).ensure(replicas=bus.settings.replicas)


async def wait_for_streams(bus: Bus) -> None:
    """Do `ensure_streams` as soon as the broker can.

    Raises:
        ConfigurationError: as `ensure_streams`.
    """
    said = False
    while True:
        try:
            await ensure_streams(bus)
        except BrokerUnavailable as error:
            if not said:
                log.warning("streams_wait_for_broker", reason=str(error))
                said = True
            await asyncio.sleep(_RETRY_S)
        else:
            return


def check_version(version: str) -> None:
    """Refuse a server that lacks what the design rests on.

    Raises:
        ConfigurationError: names both versions.
    """
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    found = tuple(int(part) for part in numbers.groups()) if numbers else (0, 0, 0)
    if found < OLDEST_SERVER:
        oldest = ".".join(map(str, OLDEST_SERVER))
        raise ConfigurationError(f"The NATS server is {version}; {oldest} or newer is needed.")


async def _ensure(jetstream: JetStreamContext, wanted: StreamConfig) -> None:
    name = str(wanted.name)
    try:
        found = (await jetstream.stream_info(name)).config
    except NotFoundError:
        if await _is_created(jetstream, wanted):
            return
        found = (await jetstream.stream_info(name)).config
    differing = _differences(wanted, found)
    for field in _FIXED:
        if field in differing:
            raise ConfigurationError(
                f"The stream {name} has {field} {differing[field]}; it must be "
                f"{getattr(wanted, field).value}, which only a new stream can have. "
                "Empty and delete it, or use another NATS account."
            )
    if differing:
        # On top of what is there: an operator's placement or compression stays.
        merged = found.evolve(**{field: getattr(wanted, field) for field in differing})
        await _told(f"stream {name}", jetstream.update_stream(merged))
        log.info("stream_updated", stream=name, fields=sorted(differing))


async def _is_created(jetstream: JetStreamContext, wanted: StreamConfig) -> bool:
    """Create a stream, unless another process was quicker.

    INGEST begins at a sequence made of the time, far above any that an earlier stream of the name
    can have reached: the order of events is their sequence, and goes on if the broker's disk is
    lost. Whoever makes it at the same time has another time.
    """
    name = str(wanted.name)
    if name == subjects.INGEST_STREAM:
        wanted = wanted.evolve(first_seq=int(time.time() * 1000) * _SEQUENCES_A_MS)
    try:
        await _told(f"stream {name}", jetstream.add_stream(wanted))
    except ConfigurationError as error:
        if isinstance(error.__cause__, APIError) and error.__cause__.err_code == _IN_USE:
            return False
        raise
    log.info("stream_created", stream=name)
    return True


async def _ensure_consumer(jetstream: JetStreamContext, wanted: ConsumerConfig) -> None:
    name = str(wanted.durable_name)
    try:
        found = (await jetstream.consumer_info(subjects.INGEST_STREAM, name)).config
    except NotFoundError:
        found = None
    if found is None or _differences(wanted, found):
        await _told(f"consumer {name}", jetstream.add_consumer(subjects.INGEST_STREAM, wanted))
        log.info("consumer_declared", consumer=name)


def _differences(wanted: object, found: object) -> dict[str, Any]:
    """Return what is there instead, for each field that the declaration gives a value."""
    declaration = {field: value for field, value in vars(wanted).items() if value not in _UNSAID}
    return {
        field: getattr(found, field)
        for field, value in declaration.items()
        if getattr(found, field) != value
    }


async def _told(what: str, call: Awaitable[object]) -> None:
    """Await a call whose refusal is about our declaration and not about the moment."""
    try:
        await call
    except (BadRequestError, ServerError) as error:
        raise ConfigurationError(f"NATS refuses the {what}: {error.description}.") from error
