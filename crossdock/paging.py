"""Keyset pages, newest first: ids are UUIDv7, so their order is that in which things were made.

A cursor is opaque to its holder and bound to what it was made for: the list, the tenant and the
filters. It carries the last id seen and a MAC over all of it, nothing to decode or to trust.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Annotated, Any, Final, Generic, Protocol, TypeVar
from uuid import UUID

import msgspec

from crossdock.errors import Invalid, Violation

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
Limit = Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)]

_VERSION: Final = b"\x01"
_MAC_BYTES: Final = 16
_CURSOR_BYTES: Final = len(_VERSION) + 16 + _MAC_BYTES


class Identified(Protocol):
    """A row with an id."""

    @property
    def id(self) -> UUID:
        """UUIDv7."""


Row = TypeVar("Row", bound=Identified)


class Window(msgspec.Struct, frozen=True):
    """Which part of a list is wanted: at most `limit` rows, older than `after`."""

    after: UUID | None = None
    limit: int = DEFAULT_LIMIT

    @property
    def fetch(self) -> int:
        """How many rows to ask for: one more than wanted tells whether there is a next page."""
        return self.limit + 1


class Slice(msgspec.Struct, Generic[Row], frozen=True):
    """One page of rows, and whether there are older ones."""

    items: Sequence[Row]
    more: bool

    @classmethod
    def cut(cls, rows: Sequence[Row], window: Window) -> "Slice[Row]":
        """Return the page that `window` asked for from the `window.fetch` rows that were read."""
        return cls(rows[: window.limit], more=len(rows) > window.limit)


class Cursors:
    """Makes and reads cursors, with one key for all gateways of an installation."""

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.sha256(b"crossdock.cursor.v1" + key).digest()

    def encode(self, position: UUID, binding: bytes) -> str:
        """Return the cursor for the rows older than `position`, valid under `binding` only."""
        head = _VERSION + position.bytes
        return base64.urlsafe_b64encode(head + self._mac(head, binding)).rstrip(b"=").decode()

    def decode(self, cursor: str, binding: bytes) -> UUID:
        """Return the position in a cursor.

        Raises:
            Invalid: it was not made here, or for another list, tenant or filter.
        """
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except ValueError as error:
            raise _refusal() from error
        head, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if len(raw) != _CURSOR_BYTES or not hmac.compare_digest(mac, self._mac(head, binding)):
            raise _refusal()
        return UUID(bytes=head[len(_VERSION) :])

    def _mac(self, head: bytes, binding: bytes) -> bytes:
        return hmac.digest(self._key, head + binding, "sha256")[:_MAC_BYTES]


def binding(resource: str, tenant_id: UUID, filters: dict[str, Any]) -> bytes:
    """Return what a cursor is bound to; `filters` may hold whatever msgspec encodes."""
    return msgspec.json.encode((resource, tenant_id, filters), order="deterministic")


def _refusal() -> Invalid:
    return Invalid(
        "The cursor is not one of this list with these filters.",
        Violation("?cursor", "Take next_cursor from the previous page and keep its filters."),
    )
