"""Rules of sessions: how long they last, and what a refresh token that was used before means.

Pure. All moments are of the shard's clock, so that no gateway's clock decides.
"""

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from crossdock.config import IdentitySettings
from crossdock.identity.sessions.model import Session, Standing, Step


def ends(began: datetime, now: datetime, settings: IdentitySettings) -> tuple[datetime, datetime]:
    """Return when a session that is used now ends if it idles, and when it ends in any case."""
    last = began + timedelta(seconds=settings.refresh_absolute_s)
    return min(now + timedelta(seconds=settings.refresh_idle_s), last), last


def is_live(session: Session, now: datetime) -> bool:
    """Tell whether a session can be gone on with."""
    return session.revoked_at is None and now < session.idle_ends_at and now < session.ends_at


def repeats(step: Step, now: datetime, grace_s: float) -> Literal["answer", "reuse"]:
    """Tell what it means that a used refresh token comes again.

    `answer`: the loser of a race, or a client that lost the answer, wants what it was given. That
    is so within the grace after its use, and while nobody has used the answer. Anything else is
    `reuse`: two hold the family's tokens, and one of them has stolen them.
    """
    if step.used_at is None or step.successor_used:
        return "reuse"
    return "answer" if now - step.used_at <= timedelta(seconds=grace_s) else "reuse"


def access_seconds(session_ends_at: datetime, now: datetime, settings: IdentitySettings) -> float:
    """Return the life of an access token in seconds: to its session's end, or a second at least."""
    return max(1.0, min(settings.access_ttl_s, (session_ends_at - now).total_seconds()))


def counts(standing: Standing, user_id: UUID, issued_at: float) -> bool:
    """Tell whether a token of that user, issued at that unix second, still counts.

    It is what the directory says from memory: the session goes on, and the token is not older than
    its user's or its tenant's `not_before`.
    """
    if standing.session_user != user_id or standing.session_ended:
        return False
    if standing.user_state != "active":
        return False
    bounds = (standing.user_not_before, standing.tenant_not_before)
    return all(bound is None or issued_at >= bound.timestamp() for bound in bounds)
