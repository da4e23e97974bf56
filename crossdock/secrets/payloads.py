"""Tenants' data keys, and what they seal: payloads at rest.

A payload is sealed by a key of its tenant's, and that key is sealed ("wrapped") by one that
gateways and workers hold (`keys.payloads`). Both are bound to whom they belong: a wrapped key opens
under its own tenant and id only, a payload under its own tenant and event.

To destroy a key's row is to shred all that it sealed. Whoever asks for such a key is told
`PayloadShredded`; memory forgets opened keys within `KEPT_S`.
"""

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any, Final, Literal, NamedTuple, Protocol
from uuid import UUID

from crossdock import ids
from crossdock.db.database import Database
from crossdock.db.databases import Databases
from crossdock.errors import NotFound
from crossdock.secrets import store
from crossdock.secrets.seal import KEY_BYTES, SealBroken, Sealer
from proto.settings import WrappedKey

KEPT_S: Final = 60.0
"""How long an opened key may be used without another look at its row."""
KEPT: Final = 1024
"""Opened keys in memory; the one least recently used makes room."""

SETTING: Final = "CROSSDOCK_KEYS__PAYLOADS"

_ID_BYTES: Final = 16


class PayloadShredded(NotFound):
    """The key of this payload was destroyed; nobody can read it any more."""


class DataKey(NamedTuple):
    """A tenant's key, opened."""

    id: UUID
    sealer: Sealer


class KeyReader(Protocol):
    """Finds the keys of what was sealed."""

    async def get(self, tenant_id: UUID, key_id: UUID) -> DataKey:
        """Return a tenant's key by its id.

        Raises:
            PayloadShredded: there is no such key any more.
            SealBroken: it was wrapped by another installation's key, or for another tenant.
            DatabaseUnavailable: the tenant's shard is away.
        """


class KeyStore(KeyReader, Protocol):
    """Finds keys, and makes one for a tenant that has none."""

    async def current(self, tenant_id: UUID) -> DataKey:
        """Return the key that seals what comes now; made at need.

        One that was just made is as true as the transaction that this call is part of. So ask when
        a source begins to encrypt, in the transaction that says so, and seal after its commit.

        Raises:
            SealBroken: as `get`.
            DatabaseUnavailable: as `get`.
        """


def seal_payload(key: DataKey, tenant_id: UUID, event_id: UUID, body: bytes) -> bytes:
    """Return a payload sealed for its event; 29 bytes longer."""
    return key.sealer.seal(body, context=payload_context(tenant_id, event_id))


def open_payload(key: DataKey, tenant_id: UUID, event_id: UUID, sealed: bytes) -> bytes:
    """Return the payload that was sealed for an event.

    Raises:
        SealBroken: it is another event's, or damaged.
    """
    return key.sealer.open(sealed, context=payload_context(tenant_id, event_id))


def payload_context(tenant_id: UUID, event_id: UUID) -> bytes:
    """Return the associated data of an event's payload."""
    return b"event.payload:" + tenant_id.bytes + event_id.bytes


def key_context(tenant_id: UUID, key_id: UUID) -> bytes:
    """Return the associated data of a wrapped key."""
    return b"payload.key:" + tenant_id.bytes + key_id.bytes


def wrap(sealer: Sealer, tenant_id: UUID, key_id: UUID, key: bytes) -> bytes:
    """Return a data key as its row keeps it."""
    return sealer.seal(key, context=key_context(tenant_id, key_id))


def unwrap(sealer: Sealer, tenant_id: UUID, wrapped: WrappedKey) -> DataKey:
    """Return a data key from a row, or from a snapshot of settings: nobody is asked.

    Raises:
        SealBroken: it was wrapped by another key, or for another tenant, or is damaged; or the
            snapshot is of a tenant that has none.
    """
    if len(wrapped.id) != _ID_BYTES:
        raise SealBroken("This tenant has no data key yet.")
    key_id = UUID(bytes=wrapped.id)
    context = key_context(tenant_id, key_id)
    return DataKey(key_id, Sealer(sealer.open(wrapped.wrapped, context=context)))


class TenantKeys:
    """A `KeyStore` for what serves tenants: each look is inside the tenant."""

    def __init__(
        self, databases: Databases, sealer: Sealer, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Say where and how.

        Args:
            databases: opened for the role `app`.
            sealer: of `keys.payloads`.
            clock: for tests: seconds that only grow.
        """
        self._databases = databases
        self._opened = _Opened(sealer, clock)

    async def current(self, tenant_id: UUID) -> DataKey:
        """See `KeyStore`."""
        return self._opened.open(tenant_id, await self.current_wrapped(tenant_id))

    async def current_wrapped(self, tenant_id: UUID) -> WrappedKey:
        """Return the key of `current` as it is kept, for whoever passes it on."""
        async with self._databases.tenant(tenant_id) as connection:
            found = await store.current(connection, tenant_id)
            if found is None:
                # Somebody else may be as quick: theirs is then the one that is there.
                key_id = ids.new()
                made = wrap(self._opened.sealer, tenant_id, key_id, os.urandom(KEY_BYTES))
                await store.add(connection, tenant_id, key_id, made)
                found = await store.current(connection, tenant_id)
        if found is None:
            raise PayloadShredded
        return found

    async def get(self, tenant_id: UUID, key_id: UUID) -> DataKey:
        """See `KeyReader`."""
        known = self._opened.get(tenant_id, key_id)
        if known is not None:
            return known
        async with self._databases.tenant(tenant_id) as connection:
            found = await store.get(connection, tenant_id, key_id)
        if found is None:
            raise PayloadShredded
        return self._opened.open(tenant_id, found)


class BatchKeys:
    """A `KeyReader` for a worker's flow: keys of many tenants in one look."""

    def __init__(
        self,
        database: Database,
        role: Literal["ingest", "dispatch"],
        sealer: Sealer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Say where and how.

        Args:
            database: the shard's.
            role: one that it was opened for.
            sealer: of `keys.payloads`.
            clock: for tests: seconds that only grow.
        """
        self._database = database
        self._role = role
        self._opened = _Opened(sealer, clock)

    async def get(self, tenant_id: UUID, key_id: UUID) -> DataKey:
        """See `KeyReader`."""
        known = self._opened.get(tenant_id, key_id)
        if known is not None:
            return known
        for _, wrapped in await self._read([(tenant_id, key_id)]):
            return self._opened.open(tenant_id, wrapped)
        raise PayloadShredded

    async def load(self, wanted: Collection[tuple[UUID, UUID]]) -> None:
        """Read, in one transaction, those of these keys (tenant and id) that are not in memory.

        What is wrong with one of them is told by `get`, and to nobody else.

        Raises:
            DatabaseUnavailable: as `KeyReader.get`.
        """
        missing = [pair for pair in wanted if self._opened.get(*pair) is None]
        for tenant_id, wrapped in await self._read(missing) if missing else ():
            with suppress(SealBroken):
                self._opened.open(tenant_id, wrapped)

    async def load_within(self, connection: Any, wanted: Collection[tuple[UUID, UUID]]) -> None:
        """Do as `load`, in a transaction of the role that has entered these tenants.

        Raises:
            DatabaseUnavailable: as `KeyReader.get`.
        """
        missing = [pair for pair in wanted if self._opened.get(*pair) is None]
        for tenant_id, wrapped in await store.get_many(connection, missing) if missing else ():
            with suppress(SealBroken):
                self._opened.open(tenant_id, wrapped)

    def known(self, tenant_id: UUID, key_id: UUID) -> DataKey | None:
        """Return a key that was loaded, if it is there and opens."""
        return self._opened.get(tenant_id, key_id)

    async def _read(self, wanted: list[tuple[UUID, UUID]]) -> list[tuple[UUID, WrappedKey]]:
        tenants = {tenant_id for tenant_id, _ in wanted}
        async with self._database.batch(self._role, tenants) as connection:
            return await store.get_many(connection, wanted)


class _Opened:
    """Keys that were opened a moment ago."""

    def __init__(self, sealer: Sealer, clock: Callable[[], float]) -> None:
        self.sealer: Final = sealer
        self._clock = clock
        self._keys: OrderedDict[tuple[UUID, UUID], tuple[DataKey, float]] = OrderedDict()

    def get(self, tenant_id: UUID, key_id: UUID) -> DataKey | None:
        """Return a key that was read lately."""
        found = self._keys.get((tenant_id, key_id))
        if found is None or found[1] < self._clock():
            return None
        self._keys.move_to_end((tenant_id, key_id))
        return found[0]

    def open(self, tenant_id: UUID, wrapped: WrappedKey) -> DataKey:
        """Open a key that was just read, and keep it for a while."""
        key = unwrap(self.sealer, tenant_id, wrapped)
        self._keys[tenant_id, key.id] = key, self._clock() + KEPT_S
        self._keys.move_to_end((tenant_id, key.id))
        while len(self._keys) > KEPT:
            self._keys.popitem(last=False)
        return key
