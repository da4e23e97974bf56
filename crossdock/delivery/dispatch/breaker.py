"""A breaker for each destination: after failures in a row to even connect, leave it alone a while.

What is left alone is not attempted and not counted; it waits in the queue. Pure: the clock is
passed in.
"""

from typing import Final

from crossdock.delivery.dispatch.lines import Key

THRESHOLD: Final = 5
"""Failures in a row that open it."""
FIRST_REST_S: Final = 5.0
LONGEST_REST_S: Final = 300.0
CAPACITY: Final = 20_000


class _Record:
    __slots__ = ("failures", "opens_until")

    def __init__(self) -> None:
        self.failures = 0
        self.opens_until = 0.0


class Breakers:
    """One for each destination that has failed lately; a success forgets it."""

    def __init__(self) -> None:
        self._records: dict[Key, _Record] = {}

    def __len__(self) -> int:
        return len(self._records)

    def rest(self, key: Key, now: float) -> float:
        """Return the seconds to leave a destination alone; 0 means call it."""
        record = self._records.get(key)
        return 0.0 if record is None else max(0.0, record.opens_until - now)

    def is_probing(self, key: Key) -> bool:
        """Tell whether a destination is to be called by one delivery at a time, to see."""
        record = self._records.get(key)
        return record is not None and record.failures >= THRESHOLD

    def failed(self, key: Key, now: float, chance: float) -> None:
        """Count a failure to connect; `chance`, in [0, 1), spreads the returns of many."""
        record = self._records.get(key)
        if record is None:
            if len(self._records) >= CAPACITY:
                return
            record = self._records[key] = _Record()
        if record.opens_until > now:
            return  # it was under way when the breaker opened
        record.failures += 1
        if record.failures >= THRESHOLD:
            rest = min(FIRST_REST_S * 2 ** (record.failures - THRESHOLD), LONGEST_REST_S)
            record.opens_until = now + rest * (1 + 0.2 * chance)

    def answered(self, key: Key) -> None:
        """Forget the failures: it can be reached."""
        self._records.pop(key, None)
