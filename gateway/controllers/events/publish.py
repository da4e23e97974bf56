"""What is sent and answered where a tenant publishes events itself: `POST /v1/events`."""

import base64
import binascii
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from crossdock import ids
from crossdock.errors import Invalid, Malformed, Refused, Violation
from crossdock.inbound.publish.model import OwnEvent
from crossdock.inbound.publish.service import Publishing
from gateway.problems import Problem, problem
from gateway.request import JSON
from gateway.wire import SOURCE_ID, body_id

MAX_BATCH: Final = 100
BYTES: Final = "application/octet-stream"
PATH: Final = "/v1/events"

OwnId = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$(?!\n)")]
TypeName = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$(?!\n)")]
MediaType = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[\x20-\x7e]+$(?!\n)")]


class EventPublish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An event to be published: with `payload`, or with `payload_base64`."""

    id: OwnId
    """Your own id for it. Published again under the same id, it is the same event: nothing is
    delivered twice."""
    event_type: TypeName
    payload: msgspec.Raw | UnsetType = UNSET
    """Any JSON; what is delivered are these very bytes."""
    payload_base64: Annotated[str, Meta(extra_json_schema={"contentEncoding": "base64"})] | None = (
        None
    )
    """Any bytes."""
    content_type: MediaType | None = None
    """Of those bytes; a `payload` is `application/json`."""
    source_id: Annotated[str, Meta(pattern=SOURCE_ID)] | None = None
    """Your own source, of the scheme `api`; there is but one, so it need not be named."""


class EventBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Events to be published."""

    events: Annotated[list[EventPublish], Meta(min_length=1, max_length=MAX_BATCH)]


class PublishedOut(msgspec.Struct, frozen=True):
    """An event that is stored."""

    id: str
    """Leads to it as soon as it is processed; of a copy, to the first one."""


class PublishedItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one of them."""

    index: int
    """Its place in the request, from 0."""
    status: int
    """As if it had been published alone: 202, or the problem's."""
    id: str | None = None
    """The event's."""
    problem: Problem | None = None
    """Why there is none."""


class PublishedList(msgspec.Struct, frozen=True):
    """What became of each, in the order of the request."""

    items: list[PublishedItem]


async def publish(publishing: Publishing, tenant_id: UUID, wish: EventPublish) -> PublishedOut:
    """Publish one event.

    Raises:
        Refused: it is not taken.
        Unavailable: it is not stored, or nobody knows.
    """
    return PublishedOut(ids.encode("evt", await publishing.publish(tenant_id, _event(wish))))


async def publish_all(publishing: Publishing, tenant_id: UUID, wish: EventBatch) -> PublishedList:
    """Publish some events, each by itself.

    Raises:
        Refused: none is taken.
        Unavailable: not all are stored, or nobody knows.
    """
    read = [_read(one) for one in wish.events]
    wanted = [one for one in read if isinstance(one, OwnEvent)]
    outcomes = iter(await publishing.publish_all(tenant_id, wanted))
    found = (one if isinstance(one, Refused) else next(outcomes) for one in read)
    return PublishedList([_item(index, one) for index, one in enumerate(found)])


def _read(wish: EventPublish) -> OwnEvent | Refused:
    try:
        return _event(wish)
    except Refused as refused:
        return refused


def _event(wish: EventPublish) -> OwnEvent:
    """Return an event as it is published.

    Raises:
        Invalid: it has no payload, or two, or one that is not base64; or a media type for JSON.
        Malformed: its JSON is not UTF-8.
    """
    fields: dict[str, Any] = {
        "id": wish.id,
        "event_type": wish.event_type,
        "source_id": None
        if wish.source_id is None
        else body_id("src", "/source_id", wish.source_id),
    }
    if (wish.payload is UNSET) == (wish.payload_base64 is None):
        words = "Give either `payload` or `payload_base64`."
        raise Invalid(None, Violation("/payload", words))
    if isinstance(wish.payload, msgspec.Raw):
        if wish.content_type is not None:
            words = "A `payload` is application/json; send other bytes as `payload_base64`."
            raise Invalid(None, Violation("/content_type", words))
        return OwnEvent(body=_json(wish.payload), content_type=JSON, pointer="/payload", **fields)
    return OwnEvent(
        body=_bytes(wish.payload_base64 or ""),
        content_type=wish.content_type or BYTES,
        pointer="/payload_base64",
        **fields,
    )


def _json(raw: msgspec.Raw) -> bytes:
    body = bytes(raw)
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise Malformed("The body is not JSON: it is not UTF-8.") from error
    return body


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid(None, Violation("/payload_base64", "This is not base64.")) from error


def _item(index: int, outcome: UUID | Refused) -> PublishedItem:
    if isinstance(outcome, UUID):
        return PublishedItem(index=index, status=202, id=ids.encode("evt", outcome))
    why = problem(
        outcome.status,
        outcome.problem,
        str(outcome),
        instance=f"{PATH}/batch",
        errors=[
            Violation(f"/events/{index}{one.pointer}", one.detail) for one in outcome.violations
        ],
    )
    return PublishedItem(index=index, status=outcome.status, problem=why)
