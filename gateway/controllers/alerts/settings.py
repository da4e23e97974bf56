"""`/v1/alerts/settings`: who is told of what; `/v1/alerts/test`: whether it arrives."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import RequestBody
from msgspec import UNSET, Meta, UnsetType

from crossdock.alerts.model import MAX_EMAILS, AlertKind, AlertSettings
from crossdock.alerts.settings import Way, Wishes
from gateway.controllers.alerts.doors import AlertOut, shown
from gateway.declarations import Atomic
from gateway.entity_tags import versions
from gateway.request import ApiRequest
from gateway.wire import IfMatch, MergePatch, tagged, without_unset

Email = Annotated[str, Meta(min_length=3, max_length=254)]
Emails = Annotated[tuple[Email, ...], Meta(max_length=MAX_EMAILS)]
Muted = Annotated[tuple[AlertKind, ...], Meta(max_length=6)]
Seconds = Annotated[int, Meta(ge=60, le=432_000)]
DeadLetters = Annotated[int, Meta(ge=1, le=10_000)]
Refusals = Annotated[int, Meta(ge=1, le=1_000_000)]


class AlertSettingsOut(msgspec.Struct, frozen=True, kw_only=True):
    """Who is told of what, and from when on."""

    emails: list[str]
    """Who gets letters beside the owners."""
    muted: list[AlertKind]
    """Kinds that are listed, and told to nobody."""
    failing_after_s: int
    """For how long a destination must have failed."""
    dead_letters_per_hour: int
    """From so many of one destination on."""
    refusals_per_hour: int
    """From so many of one source on."""
    updated_at: datetime | None
    """`null` while they are the defaults."""


class AlertSettingsPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Changes of them (RFC 7396): what is left out stays, `null` is the default again."""

    emails: Emails | UnsetType | None = UNSET
    muted: Muted | UnsetType | None = UNSET
    failing_after_s: Seconds | UnsetType | None = UNSET
    dead_letters_per_hour: DeadLetters | UnsetType | None = UNSET
    refusals_per_hour: Refusals | UnsetType | None = UNSET


class AlertTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a test alert is told."""

    ways: Annotated[tuple[Way, ...], Meta(min_length=1, max_length=2)] = ("mail", "webhook")


class AlertTestOut(msgspec.Struct, frozen=True, kw_only=True):
    """A test alert, and whom it will reach."""

    alert: AlertOut
    letters: int
    """How many letters go out."""
    destinations: int
    """How many destinations name types that begin with `crossdock.`, and are enabled."""


class AlertSettingsController(Controller):
    """Settings of alerts."""

    path = "/v1/alerts"
    tags = ("Alerts",)

    @get("/settings", permissions={"alerts:read"})
    async def get_alert_settings(
        self, request: ApiRequest, alert_settings: NamedDependency[Wishes]
    ) -> Response[AlertSettingsOut]:
        """Show who is told of what."""
        return _tagged(await alert_settings.get(request.tenant_id))

    @patch("/settings", permissions={"alerts:write"}, idempotency=Atomic())
    async def patch_alert_settings(
        self,
        request: ApiRequest,
        alert_settings: NamedDependency[Wishes],
        data: MergePatch[AlertSettingsPatch],
        if_match: IfMatch = None,
    ) -> Response[AlertSettingsOut]:
        """Change who is told of what, and from when on."""
        changed = await alert_settings.patch(
            request.tenant_id,
            without_unset(data),
            versions(if_match),
            by=request.auth,
            address=request.origin.address or None,
        )
        return _tagged(changed)

    @post("/test", permissions={"alerts:write"}, status_code=202, idempotency=Atomic())
    async def test_alerts(
        self,
        request: ApiRequest,
        alert_settings: NamedDependency[Wishes],
        data: RequestBody[AlertTest],
    ) -> AlertTestOut:
        """Send a test alert, once a minute at most, to see that alerts arrive."""
        tried = await alert_settings.test(request.tenant_id, data.ways)
        return AlertTestOut(
            alert=shown(tried.alert), letters=tried.letters, destinations=tried.destinations
        )


def _tagged(found: AlertSettings) -> Response[AlertSettingsOut]:
    edit = found.edit
    out = AlertSettingsOut(
        emails=list(edit.emails),
        muted=list(edit.muted),
        failing_after_s=edit.failing_after_s,
        dead_letters_per_hour=edit.dead_letters_per_hour,
        refusals_per_hour=edit.refusals_per_hour,
        updated_at=found.updated_at,
    )
    return tagged(out, found.version)
