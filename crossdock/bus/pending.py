"""Messages that wait for the broker's word: who waits, since when, and how many may."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Final

from crossdock.errors import BrokerUnavailable


class Pending:
    """Tokens and the futures behind them, oldest first.

    A token is a number that grows by one a message and ends the reply subject. Deadlines cost
    nothing a message: each tick notes how far the tokens had come, and later ends what is older.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s: Final = timeout_s
        self._marks: deque[tuple[float, int]] = deque()
        self.next = 1
        """The token of the next message."""
        self.futures: Final[dict[int, asyncio.Future[None]]] = {}

    def __len__(self) -> int:
        return len(self.futures)

    def resolve(self, tokens: Iterable[int]) -> None:
        """These are stored; a token that is not known any more had its deadline before."""
        pop = self.futures.pop
        for token in tokens:
            future = pop(token, None)
            if future is not None and not future.done():
                future.set_result(None)

    def fail(self, tokens: Iterable[int], reason: str) -> None:
        """These were refused, or nobody will ever know."""
        for token in tokens:
            future = self.futures.pop(token, None)
            if future is not None and not future.done():
                future.set_exception(BrokerUnavailable(reason))
                future.exception()  # seen: a request that went away leaves no complaint in the log

    def fail_all(self, reason: str) -> None:
        """The connection is gone."""
        self.fail(list(self.futures), reason)

    def tick(self, now: float) -> bool:
        """End what waits longer than the timeout; tell whether anything did."""
        self._marks.append((now, self.next))
        reached = 0
        while self._marks and now - self._marks[0][0] >= self._timeout_s:
            reached = self._marks.popleft()[1]
        expired = []
        for token in self.futures:
            if token >= reached:
                break
            expired.append(token)
        self.fail(expired, f"the broker did not acknowledge within {self._timeout_s:g} s")
        return bool(expired)
