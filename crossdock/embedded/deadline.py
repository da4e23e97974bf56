"""Waiting for something that can only be looked at, never longer than allowed."""

import time
from collections.abc import Callable
from threading import Event
from typing import Final

PAUSE_S: Final = 0.01


class Deadline:
    """A moment in the future."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until it; never negative."""
        return max(0.0, self._end - time.monotonic())

    def wait_for(self, condition: Callable[[], bool]) -> bool:
        """Look every few milliseconds; return whether the condition came true in time."""
        never = Event()
        while not condition():
            if self.left == 0:
                return False
            never.wait(min(PAUSE_S, self.left))
        return True
