"""When to try a letter again, and when to give it up. Pure: clock and chance are passed in."""

from datetime import datetime, timedelta
from typing import Final

GIVE_UP: Final = timedelta(days=1)
"""After this a letter is of no use to anybody: most of what they carry has ended long before."""

FIRST_WAIT_S: Final = 10.0
LONGEST_WAIT_S: Final = 3600.0
SPREAD: Final = 0.25
"""How much of a wait chance may take away, so that many letters don't come back at once."""


def next_try(attempts: int, created_at: datetime, now: datetime, chance: float) -> datetime | None:
    """Return when to try again after so many attempts, or `None` to give up.

    Args:
        attempts: how often it was tried, from 1.
        created_at: when the letter was posted.
        now: the present moment.
        chance: between 0 and 1.
    """
    doubled = FIRST_WAIT_S * 2.0 ** min(attempts - 1, 20)
    wait = min(doubled, LONGEST_WAIT_S) * (1 - SPREAD * chance)
    due = now + timedelta(seconds=wait)
    return due if due - created_at <= GIVE_UP else None
