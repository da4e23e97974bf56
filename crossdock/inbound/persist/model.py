"""What crosses the boundary of persisting: what arrived, and what became of it.

None of these can be part of a cycle, so the garbage collector is told to leave them alone.
"""

from typing import Final, NamedTuple
from uuid import UUID

import msgspec
from msgspec.structs import replace

from crossdock.db.uuids import uuid_of
from crossdock.delivery.model import Cargo, Leased
from proto.ingest import Ingested

HASH_BYTES: Final = 16

MOST_FIELDS: Final = 8
"""Values of one payload that can be indexed; as many pointers as a source may have."""

_FLOWING: Final = frozenset({"", "warned"})
"""Statuses of messages whose events are delivered and announced at once."""

_STATUSES: Final = _FLOWING | {"quarantined", "held"}

_TIME_BYTES: Final = 6
"""Of a UUIDv7: its milliseconds."""
_VERSION: Final = 7
_TIMELESS: Final = (253_402_300_800_000).to_bytes(_TIME_BYTES, "big")
"""The year 10,000: an event of then could be stored, and never shown."""


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """One message of INGEST, decoded, with its ids as the database takes them."""

    message: Ingested
    stream_seq: int
    """Its sequence on the stream: its place in the order of what was accepted."""
    tenant_id: UUID
    event_id: UUID
    source_id: UUID
    key: bytes
    """Equal for duplicates, and the order in which every worker takes its locks: tenant, source,
    and the dedupe hash, or the event's own id where its source does without."""
    data_key: UUID | None = None
    """The key that sealed its body."""
    matched: int | None = None
    """How many destinations want it; `None` while it is kept back."""

    @classmethod
    def of(cls, message: Ingested, stream_seq: int) -> "Arrival":
        """Return the arrival of a message.

        Raises:
            ValueError: one of its ids is none, or its status is none that this release knows.
        """
        if message.status not in _STATUSES:
            raise ValueError(f"a status of {message.status[:32]!r}")
        if message.fields:
            _check_fields(message.fields)
        event_id = uuid_of(message.event_id)
        if message.event_id[_TIME_BYTES] >> 4 != _VERSION or message.event_id >= _TIMELESS:
            raise ValueError("an event id that tells no time")
        dedupe = message.dedupe
        if dedupe is None:
            last = b"\0" + message.event_id
        elif len(dedupe) == HASH_BYTES:
            last = b"\1" + dedupe
        else:
            raise ValueError(f"a dedupe hash of {len(dedupe)} bytes")
        return cls(
            message,
            stream_seq,
            uuid_of(message.tenant_id),
            event_id,
            uuid_of(message.source_id),
            message.tenant_id + message.source_id + last,
            None if message.data_key is None else uuid_of(message.data_key),
        )

    @property
    def is_keyed(self) -> bool:
        """Whether the ledger decides if it is new."""
        return self.message.dedupe is not None

    @property
    def flows(self) -> bool:
        """Whether it is delivered and announced at once: neither held nor quarantined."""
        return self.message.status in _FLOWING

    @property
    def is_held(self) -> bool:
        """Whether it waits for its source to be resumed."""
        return self.message.status == "held"

    def let_go(self) -> "Arrival":
        """Return it as if its source had never held it."""
        status = "warned" if self.message.violation else ""
        return replace(self, message=replace(self.message, status=status))


def _check_fields(fields: list[bytes]) -> None:
    """Refuse what is no set of hashes.

    Raises:
        ValueError: there are too many, or one is of another size.
    """
    if len(fields) > MOST_FIELDS:
        raise ValueError(f"{len(fields)} indexed values")
    if any(len(field) != HASH_BYTES for field in fields):
        raise ValueError("an indexed value that is no hash")


class Stored(msgspec.Struct, frozen=True, gc=False):
    """It is a new event, and its deliveries are under way unless it is held or quarantined."""

    event_id: UUID


class Redelivered(msgspec.Struct, frozen=True, gc=False):
    """This very message was stored before; its deliveries are, too. Announce it again, and ack."""

    event_id: UUID


class Duplicate(msgspec.Struct, frozen=True, gc=False):
    """The sender had sent it before, under another id, which now leads to the original."""

    event_id: UUID
    original: UUID


class Poison(msgspec.Struct, frozen=True, gc=False):
    """It can never be stored."""

    reason: str


Outcome = Stored | Redelivered | Duplicate | Poison


class Persisted(msgspec.Struct, frozen=True):
    """What became of a batch; all of it is committed."""

    outcomes: list[Outcome]
    """One for each arrival, in the batch's order."""
    leased: list[tuple[Leased, Cargo]]
    """Deliveries that this process may attempt at once, each with what it carries."""
    waiting: int
    """Deliveries that nobody may attempt yet: of suspended tenants, and disabled destinations."""
    due: set[tuple[UUID, UUID]]
    """Tenants' destinations in which more is due than this process has room for."""
    announced: list[Arrival]
    """What is to be announced, in no order: what is new and flows, and what came again."""
    judging_s: dict[UUID, float] = {}
    """The seconds an event that filters took, of each tenant that has any."""


class Route(msgspec.Struct, frozen=True):
    """A destination as matching needs it; see `crossdock.delivery.rules.Subscription`."""

    destination_id: UUID
    source_ids: list[UUID]
    event_types: list[str]
    is_open: bool
    """Whether its deliveries may be attempted now."""
    filter: str | None = None
    """An expression in CEL that must be true of an event."""
    order_by: str | None = None
    """What orders its deliveries: `source`, or a JSON pointer into the payload."""

    @property
    def id(self) -> UUID:
        """The destination's id, as `crossdock.routing` calls it."""
        return self.destination_id

    @property
    def takes_all(self) -> bool:
        """Whether it wants every event of its tenant."""
        return not (self.source_ids or self.event_types or self.filter)


class Wanted(NamedTuple):
    """A destination that wants an event."""

    route: Route
    line: int | None = None
    """Its line, where it is wanted in order."""


class Planned(msgspec.Struct, frozen=True, gc=False):
    """A delivery to be inserted."""

    id: UUID
    arrival: Arrival
    destination_id: UUID
    is_open: bool
    """Whether it may be attempted now."""
    is_leased: bool
    """Whether this process is to attempt it. What it has no room for is due for anybody."""
    line: int | None = None
    """Its place among its destination's lines, where order is asked for: it then waits for its turn
    and is leased to nobody."""


class Lease(msgspec.Struct, frozen=True):
    """Who may attempt the deliveries of a batch, and for how long."""

    id: UUID
    seconds: float
    """Counted by the database, from its own clock."""
    ends: float
    """Unix seconds by this process's clock; earlier than by the database's."""
