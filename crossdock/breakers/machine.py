"""pybreaker as the state machine, driven by results.

What it is not used for, and why (tried with 1.4.1): decorating a coroutine function counts nothing;
`calling()` around an await counts a cancellation as a failure, and lets any number through while
half-open; its timer reads the wall clock. So nothing is called through it: it is told what came of
calls, and who may call is decided elsewhere.
"""

from contextlib import suppress
from typing import Final

import pybreaker

from crossdock.breakers.model import Policy, State

_STATES: Final[dict[str, State]] = {
    pybreaker.STATE_CLOSED: "closed",
    pybreaker.STATE_OPEN: "open",
    pybreaker.STATE_HALF_OPEN: "half-open",
}


class _Failed(Exception):
    """Stands for a call that failed."""


class Machine:
    """The state of one breaker; knows no time."""

    __slots__ = ("_breaker",)

    def __init__(self, policy: Policy) -> None:
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=policy.consecutive,
            success_threshold=policy.closes_after,
            throw_new_error_on_trip=False,
        )

    @property
    def state(self) -> State:
        """Where it is."""
        return _STATES[self._breaker.current_state]

    @property
    def good(self) -> int:
        """Probes that did well since it is half-open."""
        count: int = self._breaker.success_counter
        return count

    def succeeded(self) -> None:
        """Count a call that went well; enough of them close one that is half-open."""
        if self.state != "open":  # else its timer would be asked
            self._breaker.call(_succeed)

    def failed(self) -> None:
        """Count a call that did not; enough of them in a row, or one probe, open it."""
        if self.state != "open":
            with suppress(_Failed):
                self._breaker.call(_fail)

    def open(self) -> None:
        """Open it, for a reason of ours or because another process did."""
        if self.state != "open":
            self._breaker.open()

    def half_open(self) -> None:
        """Let it judge by probes."""
        if self.state == "open":
            self._breaker.half_open()

    def close(self) -> None:
        """Close it."""
        if self.state != "closed":
            self._breaker.close()


def _succeed() -> None:
    return


def _fail() -> None:
    raise _Failed
