"""`/v1/alerts`: what the tenant should know without looking."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from crossdock import ids
from crossdock.alerts.model import Alert, AlertKind
from crossdock.alerts.service import Alerts
from gateway.request import ApiRequest
from gateway.wire import DEFAULT_LIMIT, Cursor, Id, Limit, tagged

AlertState = Literal["open", "resolved"]
State = Annotated[
    AlertState | None,
    QueryParameter(name="state", description="Only those that last, or only those that passed."),
]
Kind = Annotated[
    AlertKind | None, QueryParameter(name="kind", description="Only those of one sort.")
]


class AlertOut(msgspec.Struct, frozen=True, kw_only=True):
    """Something worth knowing, told once."""

    id: str
    kind: str
    """What sort of thing, for example `quota`."""
    subject: str
    """Of what: a quota's name, or the id of a destination or a source."""
    level: int
    """How far it has gone; of quotas, per cent, of all others 1."""
    period: str | None
    """The day it is about, or the moment it began; `null` where there is none."""
    detail: dict[str, Any]
    """What else is known: the subject's `name`, `since` when, the `count`, its `reasons`, the
    `last_status` and `last_error`, and once it has passed `resolved_because`."""
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
        of_kind: Kind = None,
    ) -> AlertPage:
        """List alerts, newest first."""
        filters = {"state": in_state, "kind": of_kind}
        window = request.window("alerts", limit, cursor, filters)
        is_open = None if in_state is None else in_state == "open"
        found = await alerts.page(request.tenant_id, window, is_open=is_open, kind=of_kind)
        return AlertPage(
            [shown(alert) for alert in found.items],
            request.next_cursor("alerts", found, filters),
        )

    @get("/{alert_id:str}", permissions={"alerts:read"})
    async def get_alert(
        self, request: ApiRequest, alerts: NamedDependency[Alerts], alert_id: Id
    ) -> Response[AlertOut]:
        """Show an alert."""
        found = await alerts.get(request.tenant_id, ids.decode("alt", alert_id))
        return tagged(shown(found))


def shown(alert: Alert) -> AlertOut:
    """Return an alert as its owner sees it."""
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
