"""W3C Trace Context, level 1: the `traceparent` that follows a webhook from HTTP to its delivery.

Written by hand because it is on the ingest path; https://www.w3.org/TR/trace-context/.
"""

import os
import random
import re
from typing import Final

_VALID: Final = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)
_TRACE_ID: Final = slice(3, 35)
_FLAGS: Final = slice(53, 55)
_VERSION_0_LENGTH: Final = 55

_random: Final = random.Random()  # noqa: S311 - a span's id is no secret
"""Seeded by the system once: a system call for each span was a twentieth of a delivery's time."""


def join(incoming: bytes | None) -> str:
    """Return the `traceparent` of a new span: in the caller's trace if it named a valid one."""
    if incoming is not None and _is_valid(incoming):
        return child(incoming.decode("ascii"))
    fresh = os.urandom(24).hex()
    return f"00-{fresh[:32]}-{fresh[32:]}-00"


def child(parent: str) -> str:
    """Return the `traceparent` of a new span below `parent`, which must be valid."""
    return f"00-{parent[_TRACE_ID]}-{_random.getrandbits(64) or 1:016x}-{parent[_FLAGS]}"


def trace_id(traceparent: str) -> str:
    """Return the trace's id, 32 hex digits."""
    return traceparent[_TRACE_ID]


def _is_valid(header: bytes) -> bool:
    if _VALID.fullmatch(header) is None:
        return False
    # Version 00 ends after the flags; later ones may carry more, which we drop.
    return len(header) == _VERSION_0_LENGTH or not header.startswith(b"00")
