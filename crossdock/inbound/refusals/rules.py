"""What of a refused request may be kept: names of headers, and values that give nothing away."""

from collections.abc import Iterable
from itertools import islice
from typing import Final

HIDDEN: Final = "***"

MAX_HEADERS: Final = 40
MAX_NAME: Final = 64
MAX_VALUE: Final = 200
MAX_DETAIL: Final = 500

SHOWN: Final = frozenset(
    {
        b"accept",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"date",
        b"linear-delivery",
        b"linear-event",
        b"transfer-encoding",
        b"user-agent",
        b"webhook-id",
        b"webhook-timestamp",
        b"x-github-delivery",
        b"x-github-event",
        b"x-github-hook-id",
        b"x-shopify-api-version",
        b"x-shopify-topic",
        b"x-shopify-webhook-id",
        b"x-slack-request-timestamp",
        b"x-slack-retry-num",
        b"x-slack-retry-reason",
        b"x-zendesk-webhook-id",
        b"x-zendesk-webhook-signature-timestamp",
        b"x-zm-request-timestamp",
    }
)
"""Labels of known schemes and what every sender says of a body. All else may be a credential, or
what one is guessed from: a list of what to hide would always lack one."""


def redacted(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Return what is kept of a request's headers: in order, bounded, values of `SHOWN` alone."""
    return [
        (text(name, MAX_NAME), text(value, MAX_VALUE) if name.lower() in SHOWN else HIDDEN)
        for name, value in islice(headers, MAX_HEADERS)
    ]


def text(raw: bytes, limit: int) -> str:
    """Return bytes of a sender's as printable ASCII, cut to a length, what is not escaped."""
    return raw[:limit].decode("latin-1").encode("unicode_escape").decode()
