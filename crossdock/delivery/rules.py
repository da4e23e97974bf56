"""Rules of delivery: which event goes where, what an answer means, when to try again.

Pure: clock and randomness are passed in. See `docs/delivery.md` for the same in words.
"""

from collections.abc import Collection, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final, Protocol
from uuid import UUID

import msgspec

from crossdock.delivery.destinations.model import RetryPolicy
from crossdock.delivery.model import DeadReason, FailureKind
from crossdock.errors import Violation

DEFAULT_DELAYS_S: Final = (5.0, 30.0, 120.0, 600.0, 3600.0, 10800.0, 21600.0, 43200.0, 86400.0)
JITTER: Final = 0.2
"""Each wait is between 0.8 and 1.2 of its nominal length, so that failures spread out."""

DEFAULT_MAX_AGE_S: Final = 7 * 86400.0
LONGEST_AGE_S: Final = 30 * 86400.0
SHORTEST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 7 * 86400.0
MOST_RETRIES: Final = 50
DISABLE_AFTER_S: Final = 5 * 86400.0
"""A destination with nothing but failures for this long is switched off."""

OWN_TYPES: Final = "crossdock."
"""Types of events that begin so are told by Crossdock itself, and only to whoever names them."""

_ALWAYS_RETRIED: Final = frozenset({408, 409, 425, 429})
_GONE: Final = 410
_LONGEST_RETRY_AFTER_TEXT: Final = 64
_DEFAULT_BASE_S: Final = 5.0
_DEFAULT_FACTOR: Final = 5.0
_DEFAULT_COUNT: Final = 9


class Subscription(Protocol):
    """The part of a destination that says which events it wants."""

    @property
    def source_ids(self) -> Collection[UUID]:
        """Sources it listens to; empty means all."""

    @property
    def event_types(self) -> Sequence[str]:
        """Patterns of types it wants; empty means all."""


def check_types(patterns: Sequence[str]) -> list[Violation]:
    """Return what is wrong with the letters of patterns: visible ASCII characters are right."""
    together = "".join(patterns)
    if together.isascii() and together.isprintable() and " " not in together:
        return []
    return [
        Violation(f"/event_types/{index}", "An event type has visible ASCII characters only.")
        for index, one in enumerate(patterns)
        if not one.isascii() or not one.isprintable() or " " in one
    ]


def matches(destination: Subscription, source_id: UUID, event_type: str) -> bool:
    """Tell whether an event of that source and type is for this destination.

    In a pattern `*` stands for any text, dots and nothing included; all else is literal and case
    matters. So `order.*` takes `order.paid` and `order.item.added`, but not `order`. Types that
    begin with `crossdock.` are for patterns that do, too.

    Filters are another matter, see `crossdock.routing`.
    """
    if destination.source_ids and source_id not in destination.source_ids:
        return False
    return wants_type(destination.event_types, event_type)


def wants_type(patterns: Sequence[str], event_type: str) -> bool:
    """Tell whether a destination with these patterns wants that type; see `matches`."""
    if event_type.startswith(OWN_TYPES):
        return any(one.startswith(OWN_TYPES) and _glob(one, event_type) for one in patterns)
    return matches_type(patterns, event_type)


def matches_type(patterns: Sequence[str], event_type: str) -> bool:
    """Tell whether any of the patterns takes that type; no pattern takes all."""
    return not patterns or any(_glob(pattern, event_type) for pattern in patterns)


def _glob(pattern: str, text: str) -> bool:
    """Match without backtracking: linear in the text, whatever the pattern."""
    head, *middle = _pieces(pattern)
    if not middle:
        return text == head
    *middle, tail = middle
    if not (text.startswith(head) and len(text) >= len(head) + len(tail) and text.endswith(tail)):
        return False
    position, end = len(head), len(text) - len(tail)
    for piece in middle:
        found = text.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return True


@lru_cache(maxsize=4096)
def _pieces(pattern: str) -> tuple[str, ...]:
    return tuple(pattern.split("*"))


class Answered(msgspec.Struct, frozen=True):
    """The destination answered."""

    status: int
    retry_after: str | None = None
    """The header's text, as it came."""


class Failed(msgspec.Struct, frozen=True):
    """There was no answer."""

    kind: FailureKind


class Deliver(msgspec.Struct, frozen=True):
    """It arrived."""


class Retry(msgspec.Struct, frozen=True):
    """Try again later."""

    delay_s: float


class Bury(msgspec.Struct, frozen=True):
    """Make it a dead letter."""

    reason: DeadReason


Decision = Deliver | Retry | Bury


def decide(
    result: Answered | Failed,
    policy: RetryPolicy | None,
    *,
    attempts: int,
    age_s: float,
    now: float,
    chance: float,
) -> Decision:
    """Say what becomes of a delivery after an attempt.

    Args:
        result: What the attempt met.
        policy: The destination's, or `None` for the default.
        attempts: How many were made, this one included.
        age_s: Seconds since the delivery was made.
        now: Unix seconds, for a `Retry-After` that is a date.
        chance: A random number in [0, 1).
    """
    policy = policy or _DEFAULT_POLICY
    wanted: float | None = None
    if isinstance(result, Answered):
        if 200 <= result.status < 300:  # noqa: PLR2004 - 2xx is clearer as written
            return Deliver()
        if result.status == _GONE:
            return Bury("gone")
        if result.status in policy.final_statuses and is_final_allowed(result.status):
            return Bury("rejected")
        wanted = retry_after_s(result.retry_after, now)
    waits = delays(policy)
    if attempts > len(waits):
        return Bury("attempts_exhausted")
    delay = _spread(waits[attempts - 1], wanted, longest_wait(policy), chance)
    if age_s + delay > (policy.max_age_s or DEFAULT_MAX_AGE_S):
        return Bury("too_old")
    return Retry(delay)


def _spread(nominal: float, wanted: float | None, cap: float, chance: float) -> float:
    """Return the wait with jitter; one that was asked for is never cut, but for the cap."""
    delay = nominal * (1 - JITTER + 2 * JITTER * chance)
    if wanted is None:
        return delay
    return max(delay, min(wanted, cap) * (1 + JITTER * chance))


def delays(policy: RetryPolicy) -> Sequence[float]:
    """Return the nominal waits before each retry."""
    if policy.delays_s is not None:
        return policy.delays_s
    if policy.base_s is None and policy.factor is None and policy.count is None:
        return DEFAULT_DELAYS_S
    base = policy.base_s or _DEFAULT_BASE_S
    factor = policy.factor or _DEFAULT_FACTOR
    cap = policy.cap_s or DEFAULT_DELAYS_S[-1]
    count = _DEFAULT_COUNT if policy.count is None else policy.count
    return _exponential(base, factor, cap, count)


@lru_cache(maxsize=1024)
def _exponential(base: float, factor: float, cap: float, count: int) -> tuple[float, ...]:
    waits, wait = [], base
    for _ in range(count):
        waits.append(min(wait, cap))
        wait = min(wait * factor, cap)
    return tuple(waits)


def longest_wait(policy: RetryPolicy) -> float:
    """Return the longest wait that a `Retry-After` may ask of us."""
    return policy.cap_s or max(delays(policy), default=0.0)


def check_policy(policy: RetryPolicy, pointer: str = "/retry") -> list[Violation]:
    """Return what is wrong with a destination's own retry policy."""
    found: list[Violation] = []

    def check(name: str, *, holds: bool, detail: str) -> None:
        if not holds:
            found.append(Violation(f"{pointer}/{name}", detail))

    formula = (policy.base_s, policy.factor, policy.count)
    is_list = policy.delays_s is not None
    is_formula = any(part is not None for part in formula)
    check("delays_s", holds=not (is_list and is_formula), detail="excludes base, factor and count")
    waits = policy.delays_s or ()
    check("delays_s", holds=len(waits) <= MOST_RETRIES, detail=f"has more than {MOST_RETRIES}")
    spans = [("delays_s", wait) for wait in waits]
    spans += [("base_s", policy.base_s or 1.0), ("cap_s", policy.cap_s or 1.0)]
    for name, span in spans:
        holds = SHORTEST_WAIT_S <= span <= LONGEST_WAIT_S
        check(name, holds=holds, detail=f"is not {SHORTEST_WAIT_S:g} to {LONGEST_WAIT_S:g} seconds")
    check("factor", holds=1 <= (policy.factor or 1) <= 100, detail="is not 1 to 100")  # noqa: PLR2004
    holds = 0 <= (policy.count or 0) <= MOST_RETRIES
    check("count", holds=holds, detail=f"is not 0 to {MOST_RETRIES}")
    age = policy.max_age_s or DEFAULT_MAX_AGE_S
    holds = SHORTEST_WAIT_S <= age <= LONGEST_AGE_S
    check("max_age_s", holds=holds, detail=f"is not up to {LONGEST_AGE_S:g} seconds")
    is_allowed = all(is_final_allowed(status) for status in policy.final_statuses)
    detail = "may hold 4xx statuses other than 408, 409, 425 and 429"
    check("final_statuses", holds=is_allowed, detail=detail)
    return found


def is_final_allowed(status: int) -> bool:
    """Tell whether a destination may call this status final: a 4xx that isn't a plea to wait."""
    return 400 <= status < 500 and status not in _ALWAYS_RETRIED  # noqa: PLR2004


def is_given_up(failing_s: float | None) -> bool:
    """Tell whether a destination has failed for so long that it is switched off."""
    return failing_s is not None and failing_s >= DISABLE_AFTER_S


def retry_after_s(text: str | None, now: float) -> float | None:
    """Return the seconds that a `Retry-After` asks for (RFC 9110, 10.2.3), or `None`.

    Digits or an HTTP date; what is neither is ignored. A date that has passed asks for nothing.
    Far-off values are returned as they are: the caller caps them.
    """
    if text is None or len(text) > _LONGEST_RETRY_AFTER_TEXT or not text.isascii():
        return None
    text = text.strip()
    if text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return max(0.0, moment.timestamp() - now)
    except (ValueError, OverflowError):
        return None


_DEFAULT_POLICY: Final = RetryPolicy()
