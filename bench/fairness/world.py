"""What the processes of this bench tell each other."""

from typing import Final

import msgspec

QUIET_PER_S: Final = 20
BODY_BYTES: Final = 1024
BATCH: Final = 100
"""Events that the noisy tenant publishes in one request."""


class Probe(msgspec.Struct, frozen=True):
    """One measurement: so many seconds of a quiet tenant."""

    url: str
    key: str
    port: int
    """Where its deliveries arrive; the probe listens there."""
    seconds: float


class Probed(msgspec.Struct, frozen=True):
    """What came of it."""

    sent: int
    refused: int
    latencies_ms: list[float]
    """From publishing to arrival, each event once; sorted."""


class Noise(msgspec.Struct, frozen=True):
    """Somebody's load, until the process is ended."""

    url: str
    key: str
    per_s: int


def body(number: int) -> dict[str, object]:
    """Return a payload like that of an invoice."""
    return {
        "number": number,
        "customer": f"cus_{number % 97}",
        "lines": [{"sku": f"sku_{number % 31}", "amount": 1990}],
        "note": "x" * (BODY_BYTES - 160),
    }


def at(percent: float, values: list[float]) -> float:
    """Return a percentile of sorted values."""
    return values[min(len(values) - 1, int(len(values) * percent / 100))]
