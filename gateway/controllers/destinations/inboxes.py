"""`/v1/destinations/{id}/inbox`: what came to destinations that only show it."""

from datetime import datetime

import msgspec
from litestar import Controller, delete, get
from litestar.di import NamedDependency

from crossdock import ids
from crossdock.delivery.inbox.model import InboxMessage
from crossdock.delivery.inbox.service import Inboxes
from gateway.declarations import Atomic
from gateway.request import ApiRequest
from gateway.wire import DEFAULT_LIMIT, Cursor, Id, Limit, as_text


class InboxMessageOut(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt that came to an inbox."""

    id: str
    event_id: str
    received_at: datetime
    outcome: str
    """What it answered: a status, or `reset` or `hang`."""
    headers: list[tuple[str, str]]
    """As an endpoint would get them, signature and all."""
    body: str | None
    """Its first 64 KiB, where they are text."""
    body_base64: str | None
    """The same, where they are not."""


class InboxPage(msgspec.Struct, frozen=True):
    """What came, newest first: the newest 1,000 are kept."""

    items: list[InboxMessageOut]
    next_cursor: str | None


class InboxController(Controller):
    """Inboxes."""

    path = "/v1/destinations"
    tags = ("Destinations",)

    @get("/{destination_id:str}/inbox", permissions={"destinations:read", "events:read"})
    async def list_inbox(
        self,
        request: ApiRequest,
        inboxes: NamedDependency[Inboxes],
        destination_id: Id,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> InboxPage:
        """List what came to an inbox, newest first; other destinations show nothing."""
        bound = {"destination_id": destination_id}
        window = request.window("inbox", limit, cursor, bound)
        key = ids.decode("dst", destination_id)
        found = await inboxes.page(request.tenant_id, key, window)
        return InboxPage(
            [_shown(item) for item in found.items],
            request.next_cursor("inbox", found, bound),
        )

    @delete("/{destination_id:str}/inbox", permissions={"destinations:write"}, idempotency=Atomic())
    async def empty_inbox(
        self, request: ApiRequest, inboxes: NamedDependency[Inboxes], destination_id: Id
    ) -> None:
        """Forget all that came to a destination of the kind `inbox`."""
        await inboxes.empty(request.tenant_id, ids.decode("dst", destination_id))


def _shown(message: InboxMessage) -> InboxMessageOut:
    text, encoded = as_text(message.body)
    return InboxMessageOut(
        id=ids.encode("msg", message.id),
        event_id=ids.encode("evt", message.event_id),
        received_at=ids.time_of(message.id),
        outcome=message.outcome,
        headers=message.headers,
        body=text,
        body_base64=encoded,
    )
