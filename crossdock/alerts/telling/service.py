"""The duty: publishes what is untold into INGEST, where it goes the way of any webhook.

It is noted as told once the broker has it. A worker that dies in between leaves it to the next
one, which publishes the very same event: the broker drops it within its window, and the ledger
knows it for as long as the event is kept. So any number of workers may, and nobody takes a lock.

An event is only made where a destination of the tenant's asks for such; others have the list, and
letters.
"""

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NoReturn
from uuid import UUID

import structlog
from msgspec.structs import replace

from crossdock import ids
from crossdock.alerts.telling import rules, store
from crossdock.alerts.telling.model import Untold
from crossdock.bus import Bus
from crossdock.db import Database, Databases
from crossdock.errors import NotFound, Unavailable
from crossdock.inbound.model import Source
from crossdock.inbound.sources.own import doorless, own_source
from crossdock.secrets.payloads import KeyStore, seal_payload
from crossdock.secrets.seal import SealBroken
from proto import subjects
from proto.ingest import IngestedV1, encoder

POLL_S: Final = 2.0
AT_ONCE: Final = 50

log = structlog.get_logger(__name__)


class Herald:
    """Tells of the alerts of one shard; needs the role `maintenance`."""

    def __init__(
        self,
        database: Database,
        databases: Databases,
        bus: Bus,
        *,
        keys: KeyStore | None,
        max_body_bytes: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Say where.

        Args:
            database: the shard's.
            databases: all shards', opened for the role `app`.
            bus: leads to the broker.
            keys: seal payloads; without them, tenants whose own source encrypts get letters only.
            max_body_bytes: the most that a gateway takes: what sources are made with.
            clock: injected by tests.
        """
        self._database = database
        self._databases = databases
        self._bus = bus
        self._keys = keys
        self._max_body_bytes = max_body_bytes
        self._clock = clock

    async def run(self) -> NoReturn:
        """Work until cancelled; an outage is waited out."""
        while True:
            told = 0
            try:
                told = await self.work()
            except Unavailable as error:
                log.warning("telling_waits", reason=str(error))
            if told < AT_ONCE:
                await asyncio.sleep(POLL_S * random.uniform(0.7, 1.0))  # noqa: S311

    async def work(self) -> int:
        """Tell of some alerts; return of how many.

        Raises:
            DatabaseUnavailable: the database is away.
            BrokerUnavailable: the broker is away; those that it took before are noted.
        """
        async with self._database.maintenance() as conn:
            found = await store.untold(conn, AT_ONCE)
        told = []
        try:
            for one in found:
                if one.is_wanted:
                    await self._tell(one)
                told.append(one)
        finally:
            if told:
                async with self._database.maintenance() as conn:
                    await store.mark_told(conn, told, self._clock())
        return len(told)

    async def _tell(self, one: Untold) -> None:
        try:
            source = await self._source(one.alert.tenant_id)
            event = await self._sealed(source, rules.message(one.alert, one.phase, source))
        except NotFound:
            return  # the tenant is gone, or on its way to another shard
        except SealBroken as error:
            log.warning("alert_not_told", tenant=str(one.alert.tenant_id), reason=str(error))
            return
        if event is None or not rules.takes(source):
            log.info("alert_not_told", tenant=str(one.alert.tenant_id), kind=one.alert.kind)
            return
        name = ids.encode("evt", UUID(bytes=event.event_id))
        subject = subjects.ingest(self._database.number)
        await self._bus.keep(subject, encoder.encode(event), name=name)

    async def _source(self, tenant_id: UUID) -> Source:
        def make(name: str) -> Source:
            return doorless(tenant_id, name, self._max_body_bytes, self._clock())

        return await own_source(self._databases, tenant_id, make)

    async def _sealed(self, source: Source, event: IngestedV1) -> IngestedV1 | None:
        """Return an event sealed where its source says so; `None` where nobody here can."""
        if not source.encrypts:
            return event
        if self._keys is None:
            return None
        key = await self._keys.current(source.tenant_id)
        body = seal_payload(key, source.tenant_id, UUID(bytes=event.event_id), event.body)
        return replace(event, body=body, data_key=key.id.bytes)
