"""The use case: events of PostgreSQL into EVENTS again, as the same CloudEvents."""

import asyncio
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final
from uuid import UUID

import structlog

from crossdock import native
from crossdock.bus.publisher import Publisher
from crossdock.db import Databases
from crossdock.errors import BrokerUnavailable, NotFound, TooLarge
from crossdock.inbound.cloud_events import Announced, cloud_event
from crossdock.republish import store
from crossdock.republish.model import Amount, Position, Stored, Wanted

PAGE: Final = 500
COUNTED: Final = 50_000
"""Events that one statement counts."""

CHUNK_BYTES: Final = 8 * 1024**2
"""Of bodies that are in memory at once."""

CHUNK: Final = 100
RETRY_S: Final = 0.5
PATIENCE_S: Final = 60.0
"""How long a broker may be away before we give up; to go on later costs nothing."""

log = structlog.get_logger(__name__)


class Republisher:
    """Announces stored events again. In order within a tenant, one tenant after the other."""

    def __init__(
        self,
        databases: Databases,
        publisher: Publisher,
        *,
        most: int,
        per_second: int,
        told: Callable[[int], object] = lambda _: None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Republish between these.

        Args:
            databases: opened with the role `app`.
            publisher: to the broker.
            most: bytes of a body that a message takes, `gateway.inline_body_bytes`.
            per_second: how many events, at most.
            told: called with the number of events that were done since the last call.
            patience_s: how long to wait for a broker that is away.
        """
        self._databases = databases
        self._publisher = publisher
        self._most = most
        self._per_second = per_second
        self._told = told
        self._patience_s = patience_s
        self._run = secrets.token_hex(4)
        """Tells this time's messages from those of other times, which the broker may know."""
        self._clock = asyncio.get_running_loop().time
        self._free_at = self._clock()
        self.position: Position | None = None
        self.done = Amount()
        self.left_out = 0
        """Events that no message can carry."""

    async def count(self, tenant_ids: Sequence[UUID], wanted: Wanted, after: UUID | None) -> Amount:
        """Return how much there is to republish; arguments as for `republish`."""
        total = Amount()
        for tenant_id in tenant_ids:
            while True:
                async with self._databases.tenant(tenant_id) as conn:
                    found, last = await store.count(
                        conn, tenant_id, wanted, after=after, most=self._most, limit=COUNTED
                    )
                total += found
                if last is None:
                    break
                after = last
            after = None
        return total

    async def republish(
        self, tenant_ids: Sequence[UUID], wanted: Wanted, after: UUID | None
    ) -> None:
        """Announce again what is wanted; `position` says how far it came, whatever happens.

        Args:
            tenant_ids: whose events, one tenant after the other.
            wanted: which of them.
            after: an event of the first tenant; it goes on behind that one.

        Raises:
            BrokerUnavailable: the broker was away for too long.
            DatabaseUnavailable: a tenant's shard is away.
            NotFound: there is no such tenant.
        """
        for tenant_id in tenant_ids:
            while True:
                async with self._databases.tenant(tenant_id) as conn:
                    found = await store.page(conn, tenant_id, wanted, after=after, limit=PAGE)
                for chunk in self._chunks(found):
                    await self._announce(tenant_id, chunk)
                if len(found) < PAGE:
                    break
                after = found[-1].id
            after = None

    def _chunks(self, page: Sequence[Stored]) -> Iterator[list[Stored]]:
        """Cut a page into parts that fit into memory, and into the rate."""
        most = max(1, min(CHUNK, self._per_second))
        chunk: list[Stored] = []
        size = 0
        for event in page:
            if chunk and (len(chunk) >= most or size + self._carried(event) > CHUNK_BYTES):
                yield chunk
                chunk, size = [], 0
            chunk.append(event)
            size += self._carried(event)
        if chunk:
            yield chunk

    def _carried(self, event: Stored) -> int:
        """Return how many bytes of an event's body its message carries."""
        return 0 if event.is_sealed or event.size > self._most else event.size

    async def _announce(self, tenant_id: UUID, chunk: Sequence[Stored]) -> None:
        needed = [event.id for event in chunk if self._carried(event)]
        found: Mapping[UUID, bytes] = {}
        if needed:
            async with self._databases.tenant(tenant_id) as conn:
                found = await store.bodies(conn, tenant_id, needed)
        messages = []
        for event in chunk:
            if self._carried(event) and event.id not in found:
                continue  # it went with its partition, meanwhile
            try:
                messages.append(self._message(tenant_id, event, found.get(event.id, b"")))
            except ValueError as error:
                self._leave_out(event.id, error)
        await self._pace(len(chunk))
        await self._publish(messages)
        self.position = Position(tenant_id, chunk[-1].id)
        self.done += Amount(len(messages), sum(len(body) for body in found.values()))
        self._told(len(chunk))

    def _message(self, tenant_id: UUID, event: Stored, body: bytes) -> native.Message:
        is_apart = event.is_sealed or event.size > self._most
        announced = Announced(
            tenant_id=tenant_id,
            source_id=event.source_id,
            event_id=event.id,
            stream_seq=event.stream_seq,
            event_type=event.event_type,
            content_type=event.content_type,
            traceparent=event.traceparent,
            body=None if is_apart else body,
        )
        return cloud_event(announced, run=self._run)

    async def _pace(self, events: int) -> None:
        """Wait until so many more may go."""
        now = self._clock()
        await asyncio.sleep(max(0.0, self._free_at - now))
        self._free_at = max(self._free_at, now) + events / self._per_second

    async def _publish(self, messages: Sequence[native.Message]) -> None:
        """Wait until the broker has them all; those that it has not, it gets again."""
        ends = self._clock() + self._patience_s
        while messages:
            fates = await asyncio.gather(
                *(self._publish_one(one) for one in messages), return_exceptions=True
            )
            waiting = []
            for message, fate in zip(messages, fates, strict=True):
                if isinstance(fate, BrokerUnavailable):
                    waiting.append(message)
                elif isinstance(fate, TooLarge):
                    self._leave_out(None, fate)
                elif isinstance(fate, BaseException):
                    raise fate
            if waiting and self._clock() > ends:
                raise BrokerUnavailable("The broker was away for too long.")
            messages = waiting
            if waiting:
                await asyncio.sleep(RETRY_S)

    async def _publish_one(self, message: native.Message) -> None:
        await self._publisher.publish(message)

    def _leave_out(self, event_id: UUID | None, error: Exception) -> None:
        self.left_out += 1
        log.error("event_not_announced", event_id=event_id, reason=str(error))


async def all_tenants(databases: Databases, first: UUID | None) -> list[UUID]:
    """Return every tenant's id, in order, from one on.

    Raises:
        NotFound: there is no such first one.
        DatabaseUnavailable: the control database is away.
    """
    async with databases.control() as conn:
        found = await store.tenants(conn)
    if first is None:
        return found
    if first not in found:
        raise NotFound
    return found[found.index(first) :]
