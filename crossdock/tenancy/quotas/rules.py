"""What a tenant is told of its quotas. Pure, but for the id of an alert."""

from datetime import UTC, datetime
from uuid import UUID

from crossdock import ids
from crossdock.alerts.model import Alert
from crossdock.tenancy import plans
from crossdock.tenancy.model import Quota

KIND = "quota"
"""Of alerts that tell of a quota; their level is per cent, their detail `used` and `limit`."""


def alert(
    tenant_id: UUID, quota: Quota, used: int, limit: int | None, now: datetime
) -> Alert | None:
    """Return the alert for what is used of a limit, if it has reached a level.

    It is raised once a day: who makes room and fills it again the same day has been told.
    """
    level = plans.level(used, limit)
    if level is None:
        return None
    return Alert(
        tenant_id=tenant_id,
        id=ids.new(),
        kind=KIND,
        subject=quota,
        level=level,
        period=now.astimezone(UTC).date().isoformat(),
        detail={"used": used, "limit": limit},
        created_at=now,
        resolved_at=None,
    )
