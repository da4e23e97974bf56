"""Which version of something a change is meant for: what `If-Match` comes to."""

from hashlib import blake2b
from typing import Any, Final

import msgspec

from crossdock.errors import PreconditionFailed

_DIGEST: Final = 7
"""Bytes: as many as surely fit the digits that a tag's version may have."""


def check(version: int, allowed: frozenset[int] | None) -> None:
    """Check that what is about to change is still what the caller read.

    Args:
        version: What it is now.
        allowed: Those of which one must be current, or `None` for any.

    Raises:
        PreconditionFailed: it has another version by now.
    """
    if allowed is not None and version not in allowed:
        raise PreconditionFailed


def edition(*parts: Any) -> int:
    """Return a number for these values, for what is edited and counts no versions.

    Other values have another number. Values that were changed and changed back have their old one,
    which does no harm: nobody's change is lost.
    """
    digest = blake2b(msgspec.json.encode(parts, order="deterministic"), digest_size=_DIGEST)
    return int.from_bytes(digest.digest())
