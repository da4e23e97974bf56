"""What identity leaves in the audit."""

from typing import Any
from uuid import UUID

from crossdock import ids
from crossdock.access.model import Principal
from crossdock.audit.model import Entry
from crossdock.identity.origin import Origin


def done(action: str, user_id: UUID, origin: Origin, **detail: Any) -> Entry:
    """Return the entry of what a user has done to their own account."""
    return Entry(
        action=action,
        actor_kind="user",
        actor_id=user_id,
        target=ids.encode("usr", user_id),
        address=origin.address or None,
        detail=detail,
    )


def done_by(caller: Principal, action: str, target: str, origin: Origin, **detail: Any) -> Entry:
    """Return the entry of what a caller has done to something."""
    return Entry(
        action=action,
        actor_kind=caller.actor.kind,
        actor_id=caller.actor.id,
        target=target,
        address=origin.address or None,
        detail=detail,
    )


def refused(action: str, user_id: UUID | None, origin: Origin, reason: str, **detail: Any) -> Entry:
    """Return the entry of what somebody tried who did not prove to be that user."""
    return Entry(
        action=f"{action}.refused",
        actor_kind="anonymous",
        target=None if user_id is None else ids.encode("usr", user_id),
        address=origin.address or None,
        detail={"reason": reason, **detail},
    )


def asked(action: str, user_id: UUID, origin: Origin) -> Entry:
    """Return the entry of what anybody may ask for, and only that user is given."""
    return Entry(
        action=action,
        actor_kind="anonymous",
        target=ids.encode("usr", user_id),
        address=origin.address or None,
    )
