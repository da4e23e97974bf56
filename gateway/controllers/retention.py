"""`/v1/retention`: for how long events are kept; `/v1/retention/drops`: what went."""

from datetime import datetime

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency

from crossdock.retention.model import Drop
from crossdock.retention.service import Retention
from gateway.request import ApiRequest
from gateway.wire import DEFAULT_LIMIT, Cursor, Limit, tagged


class RetentionOut(msgspec.Struct, frozen=True):
    """For how long events are kept."""

    days: int
    """What is not finished is kept for longer."""


class DropOut(msgspec.Struct, frozen=True, kw_only=True):
    """Events of a span of time whose time was up."""

    begins: datetime
    """They were accepted at this moment or later."""
    ends: datetime
    """And before this one."""
    events: int
    """How many went."""
    bytes: int
    """Of their bodies."""
    kept: int
    """How many events of the span stayed: their deliveries are not finished, or they are held."""
    dropped_at: datetime


class DropPage(msgspec.Struct, frozen=True):
    """What went, newest first."""

    items: list[DropOut]
    next_cursor: str | None


class RetentionController(Controller):
    """Retention."""

    path = "/v1/retention"
    tags = ("Events",)

    @get("/", permissions={"events:read"})
    async def get_retention(self, retention: NamedDependency[Retention]) -> Response[RetentionOut]:
        """Tell for how long events are kept."""
        return tagged(RetentionOut(retention.days))

    @get("/drops", permissions={"events:read"})
    async def list_retention_drops(
        self,
        *,
        request: ApiRequest,
        retention: NamedDependency[Retention],
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> DropPage:
        """List what went in the past year, newest first."""
        window = request.window("retention-drops", limit, cursor, {})
        found = await retention.page(request.tenant_id, window)
        return DropPage(
            [_shown(drop) for drop in found.items],
            request.next_cursor("retention-drops", found, {}),
        )


def _shown(drop: Drop) -> DropOut:
    return DropOut(
        begins=drop.begins,
        ends=drop.ends,
        events=drop.events,
        bytes=drop.bytes,
        kept=drop.kept,
        dropped_at=drop.dropped_at,
    )
