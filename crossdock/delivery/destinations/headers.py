"""Rules of headers that others choose: a destination's own, and those that a script returns.

Pure. What frames the message, names the host, or says who we are and what we sign is ours alone.
"""

import re
from collections.abc import Mapping
from typing import Final

from crossdock.errors import Violation
from crossdock.validation import pointer as pointer_to

MOST: Final = 32
LONGEST_NAME: Final = 128
LONGEST_VALUE: Final = 4096
MOST_BYTES: Final = 8 * 1024
"""Names and values together: common servers refuse a request whose headers have more."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")
_OURS: Final = frozenset(
    {
        # Of this hop alone (RFC 9110, 7.6.1), or of the message's frame.
        *("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"),
        *("content-length", "content-encoding", "content-type", "expect", "host", "http2-settings"),
        # What says who called, and what the answer may be.
        *("accept-encoding", "date", "forwarded", "traceparent", "tracestate", "user-agent", "via"),
    }
)
_OUR_PREFIXES: Final = ("crossdock-", "nats-", "proxy-", "sec-", "webhook-", "x-forwarded-")
"""`nats-` is how the broker's own commands begin."""


def check_headers(headers: Mapping[str, str], pointer: str = "/headers") -> list[Violation]:
    """Return what is wrong with headers that somebody else chose, each with where."""
    found = [
        Violation(pointer + pointer_to(name), problem)
        for name, value in headers.items()
        if (problem := _problem(name, value)) is not None
    ]
    if len({name.lower() for name in headers}) < len(headers):
        found.append(Violation(pointer, "A name is there twice; case does not matter."))
    if len(headers) > MOST:
        found.append(Violation(pointer, f"There are more than {MOST}."))
    if sum(len(name) + len(value) for name, value in headers.items()) > MOST_BYTES:
        found.append(Violation(pointer, f"Together they have more than {MOST_BYTES} bytes."))
    return found


def _problem(name: str, value: str) -> str | None:
    lower = name.lower()
    if len(name) > LONGEST_NAME or not _TOKEN.fullmatch(name):
        return f"A header's name is a token of RFC 9110, up to {LONGEST_NAME} characters."
    if lower in _OURS or lower.startswith(_OUR_PREFIXES):
        return "This header is Crossdock's own to set."
    if len(value) > LONGEST_VALUE or not _VALUE.fullmatch(value):
        return (
            "A header's value is visible ASCII, with spaces and tabs only inside, "
            f"up to {LONGEST_VALUE} characters."
        )
    return None
