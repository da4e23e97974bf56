"""The live table."""

import statistics
import time

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from crossdock.demo.receiver import BROKEN, MOODY, STEADY, Receiver
from crossdock.demo.traffic import Tally


class Board:
    """What sender and receiver have counted so far, as two tables."""

    def __init__(self, tally: Tally, receiver: Receiver) -> None:
        self.tally = tally
        self.receiver = receiver
        self.phase = "starting"
        self.dead_lettered = 0
        self.replayed = 0
        self._started = time.perf_counter()

    def begin(self, phase: str) -> None:
        """Start the clock that rates are reckoned by."""
        self.phase = phase
        self._started = time.perf_counter()

    def __rich__(self) -> RenderableType:
        """Draw the tables as they are at this moment."""
        elapsed = time.perf_counter() - self._started
        head = Text.assemble(("Crossdock", "bold"), f"  {self.phase}  {elapsed:.0f} s")
        return Group(head, self._sent(), self._received())

    def _sent(self) -> Table:
        table = Table(
            "sent in", "webhooks", "a second", "p50 ms", "p99 ms", title="the sender's side"
        )
        tally = self.tally
        table.add_row("accepted (202)", str(tally.accepted), *_speed(tally.answers))
        table.add_row("  of them duplicates", str(tally.duplicates))
        for reason, number in sorted(tally.refused.items()):
            table.add_row(f"refused: {reason}", str(number))
        table.add_row("sent", str(tally.sent), end_section=True)
        return table

    def _received(self) -> Table:
        receiver = self.receiver
        table = Table(
            "came out", "webhooks", "a second", "p50 ms", "p99 ms", title="the receiver's side"
        )
        steady = len(receiver.taken[STEADY])
        table.add_row("delivered, steady", str(steady), *_speed(receiver.arrivals))
        table.add_row("delivered, after refusals", str(len(receiver.taken[MOODY])))
        table.add_row("delivered, by replay", str(len(receiver.taken[BROKEN])))
        table.add_row("retried", str(receiver.retried))
        table.add_row("dead-lettered", str(self.dead_lettered))
        table.add_row("replayed", str(self.replayed), end_section=True)
        return table


def _speed(done: list[tuple[float, float]]) -> tuple[str, str, str]:
    """Return rate, median and 99th percentile of (when it was done, how many seconds it took)."""
    if len(done) < 2:  # noqa: PLR2004 - a rate takes two
        return "", "", ""
    ordered = sorted(seconds for _, seconds in done)
    p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    rate = len(done) / max(done[-1][0] - done[0][0], 0.001)
    return f"{rate:.0f}", f"{statistics.median(ordered) * 1000:.1f}", f"{p99 * 1000:.1f}"
