"""What crosses the boundary of publishing."""

from uuid import UUID

import msgspec

from crossdock.errors import Forbidden

MAX_ID: int = 255


class OwnEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as its tenant publishes it."""

    id: str
    """The tenant's own: 1 to 255 visible ASCII characters. The same again is the same event."""
    event_type: str
    body: bytes
    content_type: str
    pointer: str
    """Where the body stands in the request, for whoever is told what is wrong with it."""
    source_id: UUID | None = None
    """The source that the tenant takes for its own, if it names one."""


class SourcePaused(Forbidden):
    """The source of your own events is paused."""

    problem = "source-paused"


class SourceDisabled(Forbidden):
    """The source of your own events is disabled."""

    problem = "source-disabled"
