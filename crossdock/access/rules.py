"""Permissions, and the text of an API key; what such texts are made of is in `tokentext.py`."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from crossdock.access.model import Principal, StoredKey
from crossdock.access.permissions import PERMISSIONS, PLATFORM_PERMISSIONS, effective
from crossdock.access.tokentext import Token, TokenForm
from crossdock.errors import (
    Forbidden,
    Invalid,
    TenantSuspended,
    Violation,
)

MAX_PERMISSIONS: Final = 64
"""On one key or role; there are fewer, so this only bounds what is read."""

KEY_PREFIX: Final = "cdk_"

MAX_OVERLAP: Final = timedelta(days=7)
"""How long a key that was rotated may go on beside its successor."""

LAST_USED_GRAIN: Final = timedelta(minutes=5)
"""How coarse `last_used_at` is: it costs a write, and nobody needs it to the second."""


class KeyText(Token, frozen=True):
    """An API key as its holder has it; its id is the key's."""

    FORM = TokenForm("cdk")


def check_permissions(
    wanted: frozenset[str], held: frozenset[str], *, platform: bool = False
) -> None:
    """Check that a key may be made with these permissions by somebody who holds those.

    Args:
        wanted: The key's permissions.
        held: Its maker's.
        platform: Whether it is to be a key of the platform's own tenant.

    Raises:
        Invalid: one of them does not exist, or there are none.
        Forbidden: one of them is not the maker's to give.
    """
    unknown = sorted(wanted - (PLATFORM_PERMISSIONS if platform else PERMISSIONS))
    if unknown or not wanted:
        raise Invalid(
            "A key needs permissions that exist.",
            *(Violation("/permissions", f"{name!r} is no permission.") for name in unknown),
            *(() if wanted else (Violation("/permissions", "Name at least one."),)),
        )
    if missing := sorted(wanted - held):
        raise Forbidden(f"Nobody grants what they do not hold: {', '.join(missing)}.")


def authorise(principal: Principal, wanted: frozenset[str]) -> None:
    """Check that a principal may do what needs these permissions.

    Raises:
        Forbidden: it lacks one of them.
        TenantSuspended: its tenant is not active, and this would change something.
    """
    if missing := sorted(wanted - principal.permissions):
        raise Forbidden(f"This key lacks the permission {', '.join(missing)}.")
    if principal.tenant_state != "active" and any(not name.endswith(":read") for name in wanted):
        raise TenantSuspended


def check_end(expires_at: datetime, now: datetime) -> None:
    """Check that a key can end at that moment.

    Raises:
        Invalid: it has passed, or lies outside of UTC's calendar, where the database can't follow.
    """
    try:
        passed = expires_at.astimezone(UTC) <= now
    except OverflowError as error:
        raise Invalid(None, Violation("/expires_at", "That moment is too far away.")) from error
    if passed:
        raise Invalid(None, Violation("/expires_at", "That moment has passed."))


def is_live(*, now: datetime, expires_at: datetime | None, revoked_at: datetime | None) -> bool:
    """Tell whether a key still opens anything."""
    return revoked_at is None and (expires_at is None or now < expires_at)


def permits(stored: StoredKey, custom: Mapping[str, Collection[str]]) -> frozenset[str] | None:
    """Return what a key may do by now, or `None` where it opens nothing.

    A key that a person made is never more than that person: what they lost, it lost, and it stops
    while they are disabled.

    Args:
        stored: The key.
        custom: The tenant's own roles, each with all of its permissions.
    """
    if stored.created_by is None:
        return stored.permissions
    if stored.creator_roles is None:
        return None
    return stored.permissions & effective(stored.creator_roles, custom)


def rotated_end(expires_at: datetime | None, now: datetime, overlap: timedelta) -> datetime:
    """Return when a key ends that was rotated: after the overlap, and no later than before.

    Raises:
        Invalid: the overlap is out of range.
    """
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        limit = f"An overlap is 0 to {MAX_OVERLAP.total_seconds():.0f} seconds."
        raise Invalid(None, Violation("/overlap_s", limit))
    end = now + overlap
    return end if expires_at is None else min(end, expires_at)


def is_use_news(last_used_at: datetime | None, now: datetime) -> bool:
    """Tell whether a use of a key is worth writing down."""
    return last_used_at is None or now - last_used_at > LAST_USED_GRAIN
