"""The use case of publishing: an event is stored by the broker before anybody is told its id."""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from msgspec.structs import replace

from crossdock import ids, native
from crossdock.bus.objects import ObjectWriter
from crossdock.bus.publisher import Publisher
from crossdock.config import GatewaySettings
from crossdock.errors import BrokerUnavailable, NotTaken, Refused
from crossdock.inbound.publish import rules
from crossdock.inbound.publish.model import OwnEvent
from crossdock.inbound.sources.service import Sources
from crossdock.limits.policies import of_source
from crossdock.limits.service import Limits, over
from crossdock.secrets.payloads import DataKey, KeyStore, seal_payload
from crossdock.tenancy.own import OwnTenant
from proto import subjects
from proto.ingest import IngestedV1, encoder
from proto.settings import SourceSettings, TenantSettings

LONGEST_PUT_S: Final = 60.0
"""A body without a message is swept some minutes later: one that was put longer ago is put anew."""

Outcome = UUID | Refused
"""The id of an event that is stored, or why it is not."""


class Directory(Protocol):
    """Who knows tenants, as `crossdock.directory.Directory` does."""

    def tenant(self, tenant_id: UUID) -> TenantSettings | None:
        """Return what is known of a tenant."""

    def schemas(self, tenant_id: bytes) -> native.Schemas | None:
        """Return what a tenant's payloads are held to."""

    def preparing(self, tenant_id: bytes) -> Awaitable[None] | None:
        """Return what to wait for before `schemas` is asked, if there is anything."""


class Way(Protocol):
    """What of a gateway's runtime leads to the broker."""

    @property
    def directory(self) -> Directory:
        """Knows sources' settings."""

    @property
    def publisher(self) -> Publisher:
        """Brings messages to the broker."""

    @property
    def objects(self) -> ObjectWriter:
        """Takes bodies that are too large for a message."""


class _Open(NamedTuple):
    """A tenant's own source as it is now."""

    settings: SourceSettings
    key: DataKey | None
    """What seals its payloads, if anything does."""
    fields: native.Fields | None
    """What its events are to be found by, if anything."""


class Publishing:
    """Takes a tenant's own events."""

    def __init__(
        self,
        sources: Sources,
        tenants: OwnTenant,
        way: Way,
        keys: KeyStore,
        *,
        limits: Limits,
        settings: GatewaySettings,
    ) -> None:
        """Say by what.

        Args:
            sources: knows a tenant's own source, and makes it.
            tenants: knows tenants that nobody has told of yet.
            way: leads to the broker.
            keys: seals payloads where that source says so.
            limits: what webhooks are counted against.
            settings: the gateway's.
        """
        self._sources = sources
        self._tenants = tenants
        self._way = way
        self._keys = keys
        self._limits = limits
        self._most_bytes = settings.max_body_bytes
        self._inline_bytes = settings.inline_body_bytes

    async def publish(self, tenant_id: UUID, event: OwnEvent) -> UUID:
        """Return the id of an event, once the broker has it.

        Under an id of the tenant's that was used before it is a copy: nothing happens twice, and
        the new id leads to the first one's event.

        Raises:
            Refused: it is not taken.
            NotTaken: it is not stored, or nobody knows; to publish it again does no harm.
            DatabaseUnavailable: nobody knows the tenant's source at the moment.
        """
        (outcome,) = await self.publish_all(tenant_id, [event])
        if isinstance(outcome, Refused):
            raise outcome
        return outcome

    async def publish_all(self, tenant_id: UUID, events: Sequence[OwnEvent]) -> list[Outcome]:
        """Return what became of each of some events, in their order.

        Raises:
            Refused: none is taken.
            NotTaken: not all are stored, or nobody knows; to publish them again does no harm.
            DatabaseUnavailable: nobody knows the tenant's source at the moment.
        """
        source = await self._open(tenant_id)
        rules.check_open(source.settings, time.time())
        preparing = self._way.directory.preparing(source.settings.tenant_id)
        if preparing is not None:
            await preparing
        found = [self._taken(source, event) for event in events]
        messages = [one for one in found if isinstance(one, IngestedV1)]
        try:
            await asyncio.gather(*(self._store(source, one) for one in messages))
        except BrokerUnavailable as error:
            # Its own id makes a repetition harmless: the idempotency key is to stay usable.
            raise NotTaken(str(error)) from error
        return [one if isinstance(one, Refused) else UUID(bytes=one.event_id) for one in found]

    async def _open(self, tenant_id: UUID) -> _Open:
        """Return the tenant's own source, of this moment; it is made where there is none."""
        source = await self._sources.own(tenant_id)
        settings = self._way.directory.tenant(tenant_id)
        if settings is None:  # one that was made a moment ago
            settings = rules.settings_of(await self._tenants.get(tenant_id))
        key = await self._keys.current(tenant_id) if source.encrypts else None
        fields = native.Fields(list(source.indexed_fields)) if source.indexed_fields else None
        return _Open(rules.source_settings(source, settings), key, fields)

    def _taken(self, source: _Open, event: OwnEvent) -> IngestedV1 | Refused:
        """Return an event ready to be stored, or why it is refused."""
        settings = source.settings
        try:
            rules.check(event, settings, self._most_bytes)
            self._charge(source)
            schemas = self._way.directory.schemas(settings.tenant_id)
            judged = rules.judge(event, schemas, holds=settings.holds, quotes=source.key is None)
        except Refused as refused:
            return refused
        return rules.message(event, ids.new(), settings, judged, source.fields)

    def _charge(self, source: _Open) -> None:
        asked = of_source(source.settings)
        if not asked:
            return
        taken = self._limits.take(asked)
        if not taken.admitted:
            raise over(taken)

    async def _store(self, source: _Open, event: IngestedV1) -> None:
        """Have the broker store an event, sealed on demand, and apart where it is too large."""
        event_id, key = UUID(bytes=event.event_id), source.key
        name = ids.encode("evt", event_id)
        body = event.body
        if key is not None:
            body = seal_payload(key, UUID(bytes=event.tenant_id), event_id, body)
            event = replace(event, body=body, data_key=key.id.bytes)
        if len(body) > self._inline_bytes:
            began = time.monotonic()
            await self._way.objects.put(name, body)
            if time.monotonic() - began > LONGEST_PUT_S:
                raise BrokerUnavailable("a large body was put too long ago to be safe")
            event = replace(event, body=b"", claim=name)
        subject = subjects.ingest(source.settings.shard)
        message = native.Message(subject, encoder.encode(event), [("Nats-Msg-Id", name)])
        await self._way.publisher.publish(message)


class Unconnected(Publishing):
    """What stands in its place where there is no way to the broker: it takes nothing."""

    def __init__(self) -> None:
        """Need nothing."""

    async def publish_all(self, tenant_id: UUID, events: Sequence[OwnEvent]) -> list[Outcome]:
        """Refuse.

        Raises:
            NotTaken: always.
        """
        del tenant_id, events
        raise NotTaken
