"""What the broker says about itself and our streams, for an examination."""

from typing import Any, Final

import msgspec
from nats.js.api import DiscardPolicy, StreamConfig
from nats.js.errors import NotFoundError

from crossdock.bus.connection import Bus, as_unavailable
from crossdock.bus.readers import readers
from crossdock.bus.streams import declared
from crossdock.consumers.model import Reader
from proto.subjects import EVENTS_STREAM

COMPARED: Final = (
    "retention",
    "discard",
    "storage",
    "max_bytes",
    "num_replicas",
    "duplicate_window",
)
"""What a stream's promises rest on."""

NANOSECONDS: Final = 1e9
JETSTREAM_REPORT: Final = "$SYS.REQ.SERVER.PING.JSZ"


class StreamFacts(msgspec.Struct, frozen=True):
    """A stream, declared and found."""

    name: str
    differing: dict[str, tuple[Any, Any]] | None
    """Field -> (declared, found); `None` where the stream is missing."""
    bytes: int = 0
    max_bytes: int = 0
    replicas: int = 1
    refuses_when_full: bool = False


class BrokerFacts(msgspec.Struct, frozen=True):
    """NATS, as it answered."""

    version: str
    streams: tuple[StreamFacts, ...]
    readers: tuple[Reader, ...] = ()
    """Internal consumers."""
    syncs_always: bool | None = None
    """`None` where the server could not be asked: that takes its system user."""
    sync_interval_s: float | None = None


class _Sync(msgspec.Struct):
    sync_interval: int = 0
    sync_always: bool = False


class _Data(msgspec.Struct):
    config: _Sync = msgspec.field(default_factory=_Sync)


class _Report(msgspec.Struct):
    data: _Data = msgspec.field(default_factory=_Data)


async def examine(bus: Bus) -> BrokerFacts:
    """Return the server's version and how each stream differs from its declaration.

    Raises:
        BrokerUnavailable: the broker is away.
    """
    streams = tuple([await _stream(bus, wanted) for wanted in declared(bus.settings)])
    there = any(one.name == EVENTS_STREAM and one.differing is not None for one in streams)
    found = tuple(await readers(bus)) if there else ()
    return BrokerFacts(version=bus.server_version, streams=streams, readers=found)


async def sync_interval(bus: Bus) -> tuple[bool, float]:
    """Return whether the server syncs each write, and else every how many seconds.

    Takes a connection of the system user.

    Raises:
        BrokerUnavailable: the broker is away, or this is not its system user.
    """
    with as_unavailable():
        answer = await bus.client.request(JETSTREAM_REPORT, b"", timeout=2.0)
    sync = msgspec.json.decode(answer.data, type=_Report).data.config
    return sync.sync_always, sync.sync_interval / NANOSECONDS


async def _stream(bus: Bus, wanted: StreamConfig) -> StreamFacts:
    name = str(wanted.name)
    with as_unavailable():
        try:
            info = await bus.jetstream().stream_info(name)
        except NotFoundError:
            return StreamFacts(name, None)
    differing = {
        field: (getattr(wanted, field), getattr(info.config, field))
        for field in COMPARED
        if getattr(wanted, field) != getattr(info.config, field)
    }
    return StreamFacts(
        name,
        {field: (str(want), str(found)) for field, (want, found) in differing.items()},
        bytes=info.state.bytes,
        max_bytes=info.config.max_bytes or 0,
        replicas=info.config.num_replicas or 1,
        refuses_when_full=info.config.discard == DiscardPolicy.NEW,
    )
