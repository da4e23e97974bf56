"""Destinations ready to be called: read in sets, kept for a moment, secrets opened once."""

import time
from base64 import b64encode
from collections.abc import Callable, Collection, Mapping
from math import inf
from typing import Final
from uuid import UUID

import msgspec
from yarl import URL

from crossdock import ids, native
from crossdock.db.database import Database
from crossdock.delivery.client import USER_AGENT
from crossdock.delivery.destinations.credentials import (
    Auth,
    BasicAuth,
    BearerAuth,
    ClientCredentials,
    Credentials,
)
from crossdock.delivery.destinations.sealing import open_credentials, secret_context
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
_NOTHING: Final = Credentials()
_NO_HEADERS: Final[Mapping[str, str]] = {}
HIDDEN: Final = "***"
"""What is kept of a header's value that nobody may read."""
_LONGEST_TYPE: Final = 384
"""Of a media type, as gateways keep it; many servers refuse a request over one long header."""


class Ready:
    """A destination whose URL is parsed and whose secrets are opened, once it is called."""

    __slots__ = (
        "_opened",
        "_own",
        "_sealer",
        "_signer",
        "_signer_ends",
        "_url",
        "read_at",
        "target",
    )

    def __init__(self, target: Target, sealer: Sealer, read_at: float) -> None:
        self.target = target
        self.read_at = read_at
        self._sealer = sealer
        self._url: URL | None = None
        self._signer: native.Signer | None = None
        self._signer_ends: float | None = None
        self._opened = _NOTHING if target.credentials is None else None
        self._own: dict[str, str] | None = None

    @property
    def key(self) -> Key:
        """Tenant and destination."""
        return self.target.tenant_id, self.target.id

    @property
    def url(self) -> URL:
        """What to call."""
        if self._url is None:
            self._url = URL(self.target.url)
        return self._url

    @property
    def auth(self) -> Auth | None:
        """What it wants to be convinced by.

        Raises:
            SealBroken: what was sealed does not open.
        """
        return self._credentials.auth

    @property
    def _credentials(self) -> Credentials:
        if self._opened is None:
            target = self.target
            self._opened = open_credentials(
                self._sealer, target.tenant_id, target.id, target.credentials
            )
        return self._opened

    def renewed(self, target: Target, read_at: float) -> "Ready":
        """Return what serves for the row as it is now."""
        if target.version != self.target.version:
            return Ready(target, self._sealer, read_at)
        self.target = target
        self.read_at = read_at
        return self

    def headers(
        self, cargo: Cargo, now: float, extra: Mapping[str, str] = _NO_HEADERS
    ) -> dict[str, str]:
        """Return the headers of one attempt; see https://www.standardwebhooks.com/.

        The destination's own come first, then those that a script added, and ours over both.

        Raises:
            SealBroken: what was sealed does not open.
        """
        opened = self._opened
        headers = {} if opened is _NOTHING else {**self._credentials.headers}
        if extra:
            headers.update(extra)
        if opened is not _NOTHING:
            headers.update(self._convincing())
        headers["content-type"] = media_type(cargo.content_type)
        headers["user-agent"] = USER_AGENT
        headers["traceparent"] = trace.join(cargo.traceparent.encode())
        message_id = ids.encode("evt", cargo.event_id)
        headers.update(
            self._signing(now).sign("POST", self.target.url, cargo.body, now, message_id)
        )
        return headers

    def told(self, headers: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return headers as they may be kept: values that nobody may read are hidden.

        The signature is not hidden: who can read it can read what it signs, and nothing else is
        signed by it.
        """
        if self._opened is _NOTHING and "authorization" not in headers:
            return list(headers.items())
        opened = self._credentials
        told = [
            (name, HIDDEN if name in opened.headers or name == "authorization" else value)
            for name, value in headers.items()
        ]
        if isinstance(opened.auth, ClientCredentials):
            told.append(("authorization", HIDDEN))  # its carrier adds the token
        return told

    def _convincing(self) -> dict[str, str]:
        """Return the header that names us, of the ways that need no more than that."""
        if self._own is None:
            match self._credentials.auth:
                case BasicAuth(username=name, password=word):
                    pair = b64encode(f"{name}:{word}".encode()).decode()
                    self._own = {"authorization": f"Basic {pair}"}
                case BearerAuth(token=token):
                    self._own = {"authorization": f"Bearer {token}"}
                case _:
                    self._own = {}
        return self._own

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


def media_type(value: str) -> str:
    """Return a media type that a header can carry: what is none of that is of no known type."""
    is_plain = 0 < len(value) <= _LONGEST_TYPE and value.isascii() and value.isprintable()
    return value if is_plain else _OCTETS


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
