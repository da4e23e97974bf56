"""Requests that may be larger than others: how large, and how much of them is held at once.

A handler says so with both of these:

    request_max_body_size=large.MOST_BYTES, before_request=large.admit

What is taken is given back when the request ends (`gateway.context`).
"""

from functools import partial
from typing import Any, Final

from litestar import Request, Response

from crossdock import native
from gateway import parameters
from gateway.edge.unread import UNKNOWN
from gateway.ingest.room import Room
from gateway.request import MAX_BODY_BYTES

MOST_BYTES: Final = 8 * 1024 * 1024
"""Room for 5 MiB in base64, and what stands around it."""

COPIES: Final = 2
"""As which a body is held: as it came, and decoded."""

GIVE_BACK: Final = "crossdock.give_back"
"""Where a request's scope keeps what ends its hold."""


async def admit(request: Request[Any, Any, Any]) -> Response[None] | None:
    """Take room for a request's body, after all that is checked of any request.

    Raises:
        Refused: as `gateway.parameters.check`.
        Busy: too much is held already.
    """
    early = await parameters.check(request)
    length = native.content_length(list(request.scope["headers"]))
    size = COPIES * (MOST_BYTES if length == UNKNOWN else min(length, MOST_BYTES))
    if early is None and size > COPIES * MAX_BODY_BYTES:
        room: Room = request.app.state.room
        tenant_id = request.auth.tenant_id.bytes
        room.take(tenant_id, size)
        scope: Any = request.scope
        scope[GIVE_BACK] = partial(room.give_back, tenant_id, size)
    return early


def done(scope: Any) -> None:
    """Give back what a request took, if it did."""
    give_back = scope.pop(GIVE_BACK, None)
    if give_back is not None:
        give_back()
