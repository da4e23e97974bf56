"""Rotation: a new secret comes first, the old ones stay valid for an overlap.

A list of secrets is newest first. The first is the current one and has no end; each other one has
its own. Pure: the clock, in unix seconds, is an argument.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

import msgspec

from crossdock.errors import Conflict, Invalid, NotFound, Violation
from crossdock.secrets.model import SealedSecret

DEFAULT_OVERLAP: Final = timedelta(hours=24)
MAX_OVERLAP: Final = timedelta(days=7)
MAX_LIVE: Final = 10

Secrets = tuple[SealedSecret, ...]


def live(secrets: Iterable[SealedSecret], now: float) -> Secrets:
    """Return the secrets that verify or sign at `now`, in order; an end is exclusive."""
    return tuple(s for s in secrets if s.not_after is None or now < s.not_after)


def next_end(secrets: Iterable[SealedSecret], now: float) -> float | None:
    """Return the moment when `live` will change by itself, or `None` when it will not."""
    return min((s.not_after for s in live(secrets, now) if s.not_after is not None), default=None)


def rotate(
    secrets: Iterable[SealedSecret],
    new: SealedSecret,
    *,
    now: float,
    overlap: timedelta = DEFAULT_OVERLAP,
) -> Secrets:
    """Return the list with `new` as the current secret; the others end after `overlap` or sooner.

    Raises:
        Invalid: the overlap is not between nothing and seven days.
        Conflict: ten secrets would still be live besides the new one.
    """
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        limit = f"must be between 0 and {MAX_OVERLAP.days} days"
        raise Invalid("The overlap is out of range.", Violation("/overlap_s", limit))
    end = now + overlap.total_seconds()
    kept = live((_ending(secret, end) for secret in secrets), now)
    if len(kept) >= MAX_LIVE:
        raise Conflict(
            f"{MAX_LIVE} secrets are live already; revoke one, or rotate with a shorter overlap."
        )
    return (msgspec.structs.replace(new, not_after=None), *kept)


def revoke(secrets: Iterable[SealedSecret], secret_id: str, *, now: float) -> Secrets:
    """Return the list without one of its overlapping secrets, at once.

    Raises:
        NotFound: no live secret has that id.
        Conflict: it is the current one; rotate without overlap instead.
    """
    kept = live(secrets, now)
    chosen = next((secret for secret in kept if secret.id == secret_id), None)
    if chosen is None:
        raise NotFound("No live secret has that id.")
    if chosen.not_after is None:
        raise Conflict("That is the current secret: rotate it with an overlap of 0 instead.")
    return tuple(secret for secret in kept if secret is not chosen)


def _ending(secret: SealedSecret, end: float) -> SealedSecret:
    if secret.not_after is not None and secret.not_after <= end:
        return secret
    return msgspec.structs.replace(secret, not_after=end)
