"""When a breaker opens, and for how long. Pure: clock and chance are passed in."""

from typing import Final

import msgspec

from crossdock.breakers.model import Outcome, Policy, Record, Why

BUCKETS: Final = 10
"""Parts of a window: what is older than it goes a tenth at a time."""

_GROWTH: Final = 2.0
_MOST_DOUBLINGS: Final = 32


class Counts(msgspec.Struct, frozen=True):
    """Calls over a window."""

    calls: int = 0
    failed: int = 0
    slow: int = 0


class Window:
    """The calls of the last seconds, in a ring of a few counts: the same size however many."""

    __slots__ = ("_counts", "_first", "_span_s")

    def __init__(self, window_s: float, now: float) -> None:
        self._span_s = window_s / BUCKETS
        self._first = self._slot(now)
        self._counts = [[0, 0, 0] for _ in range(BUCKETS)]

    def add(self, now: float, *, failed: bool, slow: bool) -> None:
        """Count a call that has just ended; a clock that went back counts as one that stands."""
        place = self._turn(now)
        counts = self._counts[place % BUCKETS]
        counts[0] += 1
        counts[1] += failed
        counts[2] += slow

    def counts(self, now: float) -> Counts:
        """Return what was counted over the window that ends now."""
        self._turn(now)
        calls, failed, slow = map(sum, zip(*self._counts, strict=True))
        return Counts(calls, failed, slow)

    def _turn(self, now: float) -> int:
        """Forget what is too old; return the place of now."""
        place = max(self._slot(now), self._first)
        for old in range(self._first + 1, min(place, self._first + BUCKETS) + 1):
            self._counts[old % BUCKETS] = [0, 0, 0]
        self._first = place
        return place

    def _slot(self, now: float) -> int:
        return int(now / self._span_s)


def trips(counts: Counts, policy: Policy) -> Why | None:
    """Return why what a window counts opens a breaker, or `None` if it doesn't."""
    if counts.calls < policy.least:
        return None
    if counts.failed >= policy.failure_rate * counts.calls:
        return "failure-rate"
    if counts.slow >= policy.slow_rate * counts.calls:
        return "slow-calls"
    return None


def rest_s(opens: int, policy: Policy, chance: float) -> float:
    """Return for how long one is left alone that opens for so many times in a row.

    Args:
        opens: times that it opened without closing in between, this one included.
        policy: gives the first rest, the longest, and how far they spread.
        chance: a number in [0, 1).
    """
    nominal = policy.first_rest_s * _GROWTH ** min(opens - 1, _MOST_DOUBLINGS)
    return min(nominal, policy.longest_rest_s) * (1 + policy.jitter * chance)


def left_s(at: float, span_s: float, now: float) -> float:
    """Return what is left of a span that another process's clock saw begin.

    Its clock may differ from ours, or jump: what is left is never more than the whole span.
    """
    return min(span_s, max(0.0, at + span_s - now))


def supersedes(new: Record, epoch: int) -> bool:
    """Tell whether what is heard is news to who knows that epoch.

    Of two who opened it at once the bucket takes one, and the other takes its word.
    """
    return new.epoch >= epoch


def outcome(*, status: int | None, failure: str | None, asks_to_wait: bool = False) -> Outcome:
    """Say what an HTTP call tells of the other side.

    A 4xx is an answer like any other: whoever gives it works. Who asks to wait is waited for, and
    that is another matter. What was our own doing says nothing.

    Args:
        status: the answer's, if there was one.
        failure: why there was none: `crossdock.delivery.model.FailureKind`.
        asks_to_wait: it was a 429 or 503 with a `Retry-After`.
    """
    if status is not None:
        if asks_to_wait:
            return "none"
        return "bad" if status >= 500 else "good"  # noqa: PLR2004 - 5xx is clearer as written
    return "bad" if failure in _THEIRS else "none"


_THEIRS: Final = frozenset({"connect", "tls", "timeout", "read", "odd"})
