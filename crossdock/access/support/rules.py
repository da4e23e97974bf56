"""Rules of support access: for how long, and for how long each token. Pure."""

from datetime import datetime
from typing import Final

from crossdock.access.support.model import SupportAccess

MIN_MINUTES: Final = 5
MAX_MINUTES: Final = 480
TOKEN_S: Final = 600.0
"""Longest life of a token: who wants to look for longer asks again, and that is seen."""


def is_open(access: SupportAccess, now: datetime) -> bool:
    """Tell whether an access lasts."""
    return access.ended_at is None and now < access.ends_at


def token_seconds(access: SupportAccess, now: datetime, longest_s: float = TOKEN_S) -> float:
    """Return the life of a token that is made now; none outlives the access."""
    return min(longest_s, TOKEN_S, (access.ends_at - now).total_seconds())
