"""Destinations ready to be called: read in sets, kept for a moment, secrets opened once."""

import time
from collections.abc import Callable, Collection
from math import inf
from typing import Final
from uuid import UUID

import msgspec
from yarl import URL

from crossdock import ids, native
from crossdock.db.database import Database
from crossdock.delivery.client import USER_AGENT
from crossdock.delivery.destinations.sealing import secret_context
from crossdock.delivery.dispatch import store
from crossdock.delivery.dispatch.lines import Key
from crossdock.delivery.model import Cargo, Target
from crossdock.secrets import rules as secrets_rules
from crossdock.secrets.seal import Sealer
from crossdock.telemetry import trace

FRESH_S: Final = 2.0
"""For how long a destination is used as it was read: the most that an edit may be late. That it was
disabled, or its tenant suspended, is told by the feed, and known sooner."""
CAPACITY: Final = 5_000
_OCTETS: Final = "application/octet-stream"
_LONGEST_TYPE: Final = 384
"""Of a media type, as gateways keep it; many servers refuse a request over one long header."""


class Ready:
    """A destination whose URL is parsed and whose secrets are opened, once it is called."""

    __slots__ = ("_sealer", "_signer", "_signer_ends", "_url", "read_at", "target")

    def __init__(self, target: Target, sealer: Sealer, read_at: float) -> None:
        self.target = target
        self.read_at = read_at
        self._sealer = sealer
        self._url: URL | None = None
        self._signer: native.Signer | None = None
        self._signer_ends: float | None = None

    @property
    def url(self) -> URL:
        """What to call."""
        if self._url is None:
            self._url = URL(self.target.url)
        return self._url

    def renewed(self, target: Target, read_at: float) -> "Ready":
        """Return what serves for the row as it is now."""
        if target.version != self.target.version:
            return Ready(target, self._sealer, read_at)
        self.target = target
        self.read_at = read_at
        return self

    def headers(self, cargo: Cargo, now: float) -> dict[str, str]:
        """Return the headers of one attempt; see https://www.standardwebhooks.com/."""
        content_type = cargo.content_type
        headers = {
            "content-type": content_type if _is_plain(content_type) else _OCTETS,
            "user-agent": USER_AGENT,
            "traceparent": trace.join(cargo.traceparent.encode()),
        }
        message_id = ids.encode("evt", cargo.event_id)
        headers.update(
            self._signing(now).sign("POST", self.target.url, cargo.body, now, message_id)
        )
        return headers

    def _signing(self, now: float) -> native.Signer:
        if self._signer is None or (self._signer_ends is not None and now >= self._signer_ends):
            target = self.target
            context = secret_context(target.tenant_id, target.id)
            secrets = [
                self._sealer.open(secret.sealed, context=context).decode()
                for secret in secrets_rules.live(target.secrets, now)
            ]
            recipe = msgspec.json.encode({"scheme": "standard", "secrets": secrets})
            self._signer = native.Signer(recipe)
            self._signer_ends = secrets_rules.next_end(target.secrets, now)
        return self._signer


def _is_plain(value: str) -> bool:
    return 0 < len(value) <= _LONGEST_TYPE and value.isascii() and value.isprintable()


class Targets:
    """The destinations that this process calls."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._monotonic = monotonic
        self._ready: dict[Key, Ready] = {}
        self._missing: dict[Key, float] = {}
        """Deleted ones, and when that was seen."""

    async def load(self, keys: Collection[Key]) -> dict[Key, Ready | None]:
        """Return destinations by key, read anew where it is time; `None` for a deleted one.

        Raises:
            DatabaseUnavailable: the database is away.
        """
        now = self._monotonic()
        stale = {key for key in keys if not self._is_fresh(key, now)}
        if stale:
            tenants = {tenant for tenant, _ in stale}
            async with self._database.batch("dispatch", tenants) as conn:
                rows = await store.targets(conn, stale)
            self._keep(stale, rows, now)
        return {key: self._ready.get(key) for key in keys}

    def known(self, key: Key) -> Ready | None:
        """Return a destination that was loaded before."""
        return self._ready.get(key)

    def forget(self, key: Key) -> None:
        """Read a destination anew when it is needed next."""
        self._ready.pop(key, None)
        self._missing.pop(key, None)

    def outdate(self, tenants: Collection[UUID] | None) -> list[Key]:
        """Have these tenants' destinations, or all, read anew; return those that were known."""
        keys = [key for key in self._ready if tenants is None or key[0] in tenants]
        for key in keys:
            self._ready[key].read_at = -inf
        return keys

    def _is_fresh(self, key: Key, now: float) -> bool:
        ready = self._ready.get(key)
        read_at = self._missing.get(key) if ready is None else ready.read_at
        return read_at is not None and now - read_at < FRESH_S

    def _keep(self, stale: Collection[Key], rows: Collection[Target], now: float) -> None:
        old = {key: self._ready.pop(key, None) for key in stale}
        for key in stale:
            self._missing.pop(key, None)
            self._missing[key] = now
        for target in rows:
            key = (target.tenant_id, target.id)
            ready = old.get(key)
            del self._missing[key]
            self._ready[key] = (
                Ready(target, self._sealer, now) if ready is None else ready.renewed(target, now)
            )
        # Read longest ago first: what was read again has moved to the end.
        for known in (self._ready, self._missing):
            while len(known) > CAPACITY:
                del known[next(iter(known))]
