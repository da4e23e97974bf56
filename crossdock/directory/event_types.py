"""Tenants' event types in this process's memory: as they came until one is used, then compiled."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Final
from uuid import UUID

import structlog

from crossdock import native
from crossdock.outbox.store import FEED_S
from proto.settings import FOREVER, EventTypeSettings

_BITS: Final = 128

log = structlog.get_logger(__name__)


class PreparedType:
    """One version of one event type. `schema` may be asked for again and again: it is kept."""

    __slots__ = ("_schema", "is_raw", "settings")

    def __init__(self, settings: EventTypeSettings) -> None:
        self.settings = settings
        self._schema: native.Schema | None = None
        self.is_raw = settings.mode != "off" and bool(settings.schema)
        """Whether there is something to compile yet."""

    @property
    def schema(self) -> native.Schema | None:
        """The compiled schema, where payloads are held to one that compiles."""
        self.compile()
        return self._schema

    def compile(self) -> None:
        """Compile what is still raw: up to a tenth of a second's work, most of it without the GIL.

        Two threads may both do it; the outcome is the same.
        """
        if not self.is_raw:
            return
        settings = self.settings
        try:
            self._schema = native.Schema(settings.schema)
        except native.SchemaError as error:
            log.error(
                "event_type_settings_broken",
                tenant=str(UUID(bytes=settings.tenant_id)),
                event_type=settings.name,
                version=settings.version,
                reason=str(error),
            )
        self.is_raw = False


class TenantTypes:
    """All event types of one tenant: one set, made when it is asked for after a change."""

    __slots__ = ("_is_made", "_made", "_placed", "_task", "by_shard")

    def __init__(self, placed: Callable[[], int | None]) -> None:
        self.by_shard: Final[dict[int, dict[int, PreparedType]]] = {}
        """By the ids' numbers, the types that each shard has rows of."""
        self._placed = placed
        self._made: native.Schemas | None = None
        self._is_made = False
        self._task: asyncio.Task[None] | None = None

    def change(self) -> None:
        """Take note that the set is another from now on."""
        self._is_made = False

    @property
    def schemas(self) -> native.Schemas | None:
        """What the tenant's payloads are held to."""
        if not self._is_made:
            self._made = self._make()
            self._is_made = True
        return self._made

    def preparing(self, turn: asyncio.Semaphore) -> Awaitable[None] | None:
        """Return what to wait for until `schemas` has nothing to compile; `None` if it hasn't."""
        if self._is_made or not any(one.is_raw for one in self._of_its_shard()):
            return None
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._compile(turn))
        return asyncio.shield(self._task)

    async def _compile(self, turn: asyncio.Semaphore) -> None:
        """Compile in a thread, one by one: between two of them it is another tenant's turn."""
        while raw := [one for one in self._of_its_shard() if one.is_raw]:
            for one in raw:
                async with turn:
                    await asyncio.to_thread(one.compile)

    def _make(self) -> native.Schemas | None:
        by_name = {one.settings.name: one for one in self._of_its_shard()}
        items: list[tuple[str, str, int, native.Schema]] = [
            (name, one.settings.mode, one.settings.number, schema)
            for name, one in by_name.items()
            if (schema := one.schema) is not None
        ]
        return native.Schemas(items) if items else None

    def _of_its_shard(self) -> Iterable[PreparedType]:
        """Return the types of the shard on which the tenant lives, older ones first.

        One that it has left may know types of its own still. Until its place is known, whoever
        has any has them from the right one.
        """
        shard = self._placed()
        found = self.by_shard.get(max(self.by_shard) if shard is None else shard, {})
        return (found[number] for number in sorted(found) if found[number].settings.name)


class EventTypes:
    """The event types of all shards; of each the highest version wins."""

    def __init__(
        self,
        placed: Callable[[UUID], int | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Know none yet.

        Args:
            placed: says on which shard a tenant lives, as far as is known.
            clock: monotonic seconds.
        """
        self._placed = placed
        self._clock = clock
        self._tenants: dict[bytes, TenantTypes] = {}
        self._turn = asyncio.Semaphore(1)
        self._gone: deque[tuple[float, int, int]] = deque()
        """From when on what is gone need not be remembered; whose shard's; tenant and type."""

    def schemas(self, tenant_id: bytes) -> native.Schemas | None:
        """Return what a tenant's payloads are held to; `None` where that is nothing."""
        found = self._tenants.get(tenant_id)
        return None if found is None else found.schemas

    def preparing(self, tenant_id: bytes) -> Awaitable[None] | None:
        """Return what to wait for before `schemas` is asked; mostly there is nothing."""
        found = self._tenants.get(tenant_id)
        return None if found is None else found.preparing(self._turn)

    def take(self, shard: int, number: int, settings: EventTypeSettings) -> None:
        """Take in what a shard says of the event type of this number: its tenant's, then its own.

        One that is gone is remembered for a while, so that what was read before that and comes
        after it does not bring it back.
        """
        tenant, own = _split(number)
        types = self._tenants.get(tenant)
        if types is None:
            tenant_id = UUID(bytes=tenant)
            types = self._tenants[tenant] = TenantTypes(lambda: self._placed(tenant_id))
        of_shard = types.by_shard.setdefault(shard, {})
        known = of_shard.get(own)
        if known is not None and known.settings.version >= settings.version:
            return
        of_shard[own] = PreparedType(settings)
        types.change()
        if settings.version == FOREVER:
            self._gone.append((self._clock() + FEED_S, shard, number))

    def of(self, shard: int) -> set[int]:
        """Return the event types, by tenant's and own number, of which a shard has told."""
        return {
            int.from_bytes(tenant) << _BITS | own
            for tenant, types in self._tenants.items()
            for own, one in types.by_shard.get(shard, {}).items()
            if one.settings.version != FOREVER
        }

    def end(self, shard: int, numbers: Collection[int]) -> None:
        """Take note that a shard has no row for these any more."""
        for number in numbers:
            self._drop(shard, number)

    def moved(self, tenant_id: bytes) -> None:
        """Take note that a tenant may live on another shard than before."""
        types = self._tenants.get(tenant_id)
        if types is not None:
            types.change()

    def forget(self) -> None:
        """Drop what has been gone for so long that nobody can bring it back."""
        while self._gone and self._gone[0][0] < self._clock():
            _, shard, number = self._gone.popleft()
            self._drop(shard, number)

    def _drop(self, shard: int, number: int) -> None:
        tenant, own = _split(number)
        types = self._tenants.get(tenant)
        of_shard = None if types is None else types.by_shard.get(shard)
        if types is None or of_shard is None:
            return
        of_shard.pop(own, None)
        types.change()
        if not of_shard:
            del types.by_shard[shard]
        if not types.by_shard:
            del self._tenants[tenant]


def number_of(tenant_id: UUID, type_id: UUID) -> int:
    """Return the number under which an event type is kept."""
    return tenant_id.int << _BITS | type_id.int


def _split(number: int) -> tuple[bytes, int]:
    """Return the tenant's id and the type's own number."""
    return (number >> _BITS).to_bytes(16), number & (1 << _BITS) - 1
