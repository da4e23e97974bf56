"""How long to wait before a process that ended is started again."""

from typing import Final

FIRST_S: Final = 0.2
FACTOR: Final = 2.0
LONGEST_S: Final = 15.0
STABLE_S: Final = 30.0


class Backoff:
    """Doubles with each failure; one that ran for a while counts as the first again."""

    def __init__(self) -> None:
        self._failures = 0

    def delay(self, ran_s: float) -> float:
        """Return the seconds to wait after a run of so many seconds."""
        if ran_s >= STABLE_S:
            self._failures = 0
        delay = min(LONGEST_S, FIRST_S * FACTOR**self._failures)
        self._failures = min(self._failures + 1, 16)  # past the longest wait there is no more
        return delay
