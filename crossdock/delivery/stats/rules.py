"""Rules of counting: a histogram of durations in steps of a fifth, and what is read off it. Pure.

A duration is known by its step only, so a percentile is off by a tenth at most: half a step, on the
scale of factors. That is what makes hours, and workers, add up: percentiles themselves do not.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil, sqrt
from typing import Final

from crossdock.delivery.stats.model import Counts, Hour

STEP: Final = 1.2
EDGES: Final = tuple(STEP**number for number in range(62))
"""Milliseconds at which each step begins: from 1 ms to 67 s, and the last takes whatever is longer.
What took less than a millisecond counts as one."""
HOUR: Final = timedelta(hours=1)


def bucket(duration_ms: float) -> int:
    """Return the step of a duration."""
    return max(0, bisect_right(EDGES, duration_ms) - 1)


def _value(number: int) -> float:
    """Return what stands for a step: the middle of the whole milliseconds that are in it."""
    low = ceil(EDGES[number])
    if number + 1 == len(EDGES):
        return low
    high = max(low, ceil(EDGES[number + 1]) - 1)
    return sqrt(low * high)


def percentile(durations: Sequence[int], share: float) -> float | None:
    """Return the milliseconds within which a share of attempts was over, 0 < share <= 1.

    It is the nearest rank's value, or up to a tenth more or less; `None` where there was none.
    """
    rank = ceil(share * sum(durations))
    if rank == 0:
        return None
    for number, count in enumerate(durations):
        rank -= count
        if rank <= 0:
            return round(_value(number), 1)
    return None


def success_rate(counts: Counts) -> float | None:
    """Return the share of attempts that succeeded; `None` where there was none."""
    attempts = counts.delivered + counts.failed
    return None if attempts == 0 else round(counts.delivered / attempts, 4)


def add(counts: Iterable[Counts]) -> Counts:
    """Return all of them together."""
    delivered = failed = dead = 0
    durations: list[int] = []
    for one in counts:
        delivered += one.delivered
        failed += one.failed
        dead += one.dead
        durations += [0] * (len(one.durations) - len(durations))
        for number, count in enumerate(one.durations):
            durations[number] += count
    return Counts(delivered, failed, dead, tuple(durations))


def begin_of_hour(moment: datetime) -> datetime:
    """Return when the hour of a moment began, in UTC."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def series(found: Iterable[Hour], now: datetime, hours: int) -> list[Hour]:
    """Return each of the last hours, also those in which nothing happened, oldest first."""
    known = {one.hour: one.counts for one in found}
    this = begin_of_hour(now)
    all_of_them = [this - HOUR * back for back in reversed(range(hours))]
    return [Hour(one, known.get(one, Counts())) for one in all_of_them]
