"""The settings of all shards in this process's memory; of each thing the highest version wins."""

import heapq
from collections.abc import Collection
from typing import Final
from uuid import UUID

import msgspec

from crossdock.directory.event_types import EventTypes
from crossdock.inbound.sources.prepared import PreparedSource
from crossdock.outbox.snapshots import Snapshots
from crossdock.secrets.seal import Sealer
from crossdock.tenancy.rules import PLATFORM
from proto.settings import (
    FOREVER,
    SESSION,
    TENANT,
    TYPE,
    USER,
    EventTypeSettings,
    Revoked,
    Snapshot,
    SourceSettings,
    TenantSettings,
    UserSettings,
)

_BITS: Final = 128
_DIGITS: Final = 32
"""Of an id."""


class Memory:
    """Plain dictionaries, shared by the followers of all shards.

    A source or a tenant belongs to the shard that told of it last and calls it its own: what
    another shard says of its end counts for nothing, for it may have moved.
    """

    def __init__(self, sealer: Sealer, payloads: Sealer | None = None) -> None:
        self._sealer = sealer
        self._payloads = payloads
        self.sources: Final[dict[bytes, PreparedSource]] = {}
        """By the SHA-256 of the ingest token."""
        self.ended: Final[dict[bytes, int]] = {}
        """Tokens that lead nowhere any more, and the shard that said so."""
        self._tenants: dict[int, TenantSettings] = {}
        self.types: Final = EventTypes(self.placed)
        # By the ids' numbers: a number's hash costs a tenth of what a UUID's does. A session's and
        # a user's follow their tenant's, so that no tenant's rows end another's tokens.
        self._sessions: dict[int, float] = {}
        self._users: dict[int, UserSettings] = {}
        self._ends: list[tuple[float, int]] = []
        """When which revocation may be forgotten, soonest first."""

    def tenant(self, tenant_id: UUID) -> TenantSettings | None:
        """Return what is known of a tenant."""
        return self._tenants.get(tenant_id.int)

    def placed(self, tenant_id: UUID) -> int | None:
        """Return the shard on which a tenant lives, if it is known here."""
        found = self._tenants.get(tenant_id.int)
        return None if found is None or found.version == FOREVER else found.shard

    def is_revoked(
        self, tenant_id: UUID, user_id: UUID, session_id: UUID, issued_at: float
    ) -> bool:
        """Tell whether an access token was revoked; see `Directory.is_revoked`."""
        number = tenant_id.int
        if number << _BITS | session_id.int in self._sessions:
            return True
        # An operator inside a tenant is a user of the platform's.
        for home in (number, PLATFORM.int):
            user = self._users.get(home << _BITS | user_id.int)
            if user is not None and issued_at < user.not_before:
                return True
        tenant = self._tenants.get(number)
        return tenant is not None and issued_at < tenant.not_before

    @property
    def revocations(self) -> int:
        """How many are remembered."""
        return len(self._sessions) + len(self._users)

    def take(self, shard: int, key: str, snapshot: Snapshot) -> None:
        """Take in what a shard says under a key.

        Raises:
            ValueError: that is no key of such a snapshot.
        """
        if isinstance(snapshot, SourceSettings):
            self._take_source(shard, bytes.fromhex(key), snapshot)
        elif isinstance(snapshot, TenantSettings):
            self._take_tenant(shard, _number(TENANT, key), snapshot)
        elif isinstance(snapshot, EventTypeSettings):
            self.types.take(shard, _pair(TYPE, key), snapshot)
        elif isinstance(snapshot, Revoked):
            self._take_session(_pair(SESSION, key), snapshot)
        else:
            self._take_user(_pair(USER, key), snapshot)

    def take_all(self, shard: int, snapshots: Snapshots) -> None:
        """Take in all that was read of a shard."""
        for key, snapshot in snapshots.items():
            self.take(shard, key, snapshot)

    def forget(self, now: float) -> None:
        """Drop the revocations whose access tokens have expired; `now` is in unix seconds."""
        while self._ends and self._ends[0][0] < now:
            number = heapq.heappop(self._ends)[1]
            if self._sessions.get(number, now) < now:
                del self._sessions[number]
            user = self._users.get(number)
            if user is not None and user.until < now:
                del self._users[number]
        self.types.forget()

    def of(self, shard: int) -> tuple[set[bytes], set[int], set[int]]:
        """Return a shard's own sources, tenants and event types that are not gone.

        Tenants and types are told by number; of a type its tenant's comes first.
        """
        sources = {key for key, one in self.sources.items() if one.settings.shard == shard}
        tenants = {
            number
            for number, one in self._tenants.items()
            if one.shard == shard and one.version != FOREVER
        }
        return sources, tenants, self.types.of(shard)

    def end(
        self,
        shard: int,
        sources: Collection[bytes],
        tenants: Collection[int],
        types: Collection[int],
    ) -> None:
        """Take note that a shard has no row for these any more."""
        for digest in sources:
            self._end_source(shard, digest)
        for number in tenants:
            self._tenants.pop(number, None)
            self.types.moved(number.to_bytes(16))
        self.types.end(shard, types)

    def _take_source(self, shard: int, digest: bytes, settings: SourceSettings) -> None:
        if settings.source_state == "deleted":
            self._end_source(shard, digest)
            return
        known = self.sources.get(digest)
        if known is not None and known.settings.version >= settings.version:
            return
        if settings.shard == shard and self.ended.get(digest) != shard:
            self.ended.pop(digest, None)
            self.sources[digest] = PreparedSource(settings, self._sealer, self._payloads)

    def _end_source(self, shard: int, digest: bytes) -> None:
        known = self.sources.get(digest)
        if known is None or known.settings.shard == shard:
            self.sources.pop(digest, None)
            self.ended[digest] = shard

    def _take_tenant(self, shard: int, number: int, settings: TenantSettings) -> None:
        is_gone = settings.version == FOREVER
        known = self._tenants.get(number)
        if known is not None:
            is_elsewhere = known.shard != shard
            if is_elsewhere and is_gone:
                return
            has_moved_here = is_elsewhere and known.version == FOREVER
            if known.version >= settings.version and not has_moved_here:
                return
        if is_gone:
            self._tenants[number] = msgspec.structs.replace(settings, shard=shard)
        elif settings.shard == shard:
            self._tenants[number] = settings
        if known is None or known.shard != shard:
            self.types.moved(settings.tenant_id)

    def _take_session(self, number: int, revoked: Revoked) -> None:
        if self._sessions.get(number, 0.0) < revoked.until:
            self._sessions[number] = revoked.until
            heapq.heappush(self._ends, (revoked.until, number))

    def _take_user(self, number: int, settings: UserSettings) -> None:
        known = self._users.get(number)
        if known is None or known.version < settings.version:
            self._users[number] = settings
            heapq.heappush(self._ends, (settings.until, number))


def _pair(prefix: str, key: str) -> int:
    """Return the two ids in a key, as one number."""
    return _number(prefix, key[:-_DIGITS]) << _BITS | UUID(hex=key[-_DIGITS:]).int


def _number(prefix: str, key: str) -> int:
    """Return the id in a key, as a number."""
    digits = key.removeprefix(prefix)
    if digits == key:
        raise ValueError(f"{key} is no key of that kind")
    return UUID(hex=digits).int
