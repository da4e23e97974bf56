"""`/v1/alerts`: what the tenant should know without looking."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from crossdock import ids
from crossdock.alerts.model import Alert
from crossdock.alerts.service import Alerts
from gateway.request import ApiRequest
from gateway.wire import DEFAULT_LIMIT, Cursor, Limit

AlertState = Literal["open", "resolved"]
State = Annotated[
    AlertState | None,
    QueryParameter(name="state", description="Only those that last, or only those that passed."),
]


class AlertOut(msgspec.Struct, frozen=True, kw_only=True):
    """Something worth knowing, told once."""

    id: str
    kind: str
    """What sort of thing, for example `quota`."""
    subject: str
    """Of what, for example `sources`."""
    level: int
    """How far it has gone; of quotas, per cent."""
    period: str | None
    """The day it is about; `null` where it is about none."""
    detail: dict[str, Any]
    state: AlertState
    created_at: datetime
    resolved_at: datetime | None


class AlertPage(msgspec.Struct, frozen=True):
    """Alerts, newest first."""

    items: list[AlertOut]
    next_cursor: str | None


class AlertController(Controller):
    """Alerts."""

    path = "/v1/alerts"
    tags = ("Alerts",)

    @get("/", permissions={"alerts:read"})
    async def list_alerts(
        self,
        *,
        request: ApiRequest,
        alerts: NamedDependency[Alerts],
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
        in_state: State = None,
    ) -> AlertPage:
        """List alerts, newest first."""
        filters = {"state": in_state}
        window = request.window("alerts", limit, cursor, filters)
        is_open = None if in_state is None else in_state == "open"
        found = await alerts.page(request.tenant_id, window, is_open=is_open)
        return AlertPage(
            [_shown(alert) for alert in found.items],
            request.next_cursor("alerts", found, filters),
        )


def _shown(alert: Alert) -> AlertOut:
    return AlertOut(
        id=ids.encode("alt", alert.id),
        kind=alert.kind,
        subject=alert.subject,
        level=alert.level,
        period=alert.period or None,
        detail=alert.detail,
        state="open" if alert.resolved_at is None else "resolved",
        created_at=alert.created_at,
        resolved_at=alert.resolved_at,
    )
