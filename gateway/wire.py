"""What controllers share of the wire: ids as text, parameters, entity tags."""

import base64
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeAlias, TypeVar
from uuid import UUID

import msgspec
from litestar import Response
from litestar.params import BodyKwarg, HeaderParameter, PathParameter, QueryParameter

from crossdock import ids, paging
from crossdock.errors import Invalid, NotFound, Violation
from crossdock.secrets import rules as rotation
from crossdock.secrets.model import SealedSecret
from gateway.entity_tags import tag_of
from gateway.request import MERGE_PATCH

T = TypeVar("T")

MergePatch: TypeAlias = Annotated[T, BodyKwarg(media_type=MERGE_PATCH)]
"""The body of a PATCH, RFC 7396."""

Id = Annotated[str, PathParameter(description="The id, with its prefix.")]

Limit = Annotated[
    int,
    QueryParameter(ge=1, le=paging.MAX_LIMIT, description="How many items a page has at most."),
]
Cursor = Annotated[
    str | None,
    QueryParameter(pattern="^[A-Za-z0-9_-]{44}$", description="`next_cursor` of the page before."),
]
IfMatch = Annotated[
    str | None,
    HeaderParameter(
        name="If-Match",
        description="The `ETag` that was read: 412 if it has changed since.",
        # For the document only: what does not fit is 400, as for any malformed header, not 422.
        schema_extra={"pattern": r'^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$'},
    ),
]

SOURCE_ID: Final = "^src_[0-7][0-9a-hjkmnp-tv-z]{25}$"
DESTINATION_ID: Final = "^dst_[0-7][0-9a-hjkmnp-tv-z]{25}$"
DELIVERY_ID: Final = "^dlv_[0-7][0-9a-hjkmnp-tv-z]{25}$"
EVENT_ID: Final = "^evt_[0-7][0-9a-hjkmnp-tv-z]{25}$"
"""Ids in bodies and queries. In paths any text is taken: what is no id is of nothing, so 404."""

MOMENT: Final = {"format": "date-time"}
"""What the document says of a moment in a query; `query_moment` reads it."""
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]

DEFAULT_LIMIT: Final = paging.DEFAULT_LIMIT


def query_id(kind: ids.Kind, name: str, text: str | None) -> UUID | None:
    """Return the id in a query parameter.

    Raises:
        Invalid: it is not an id of that kind.
    """
    if text is None:
        return None
    try:
        return ids.decode(kind, text)
    except NotFound as error:
        raise Invalid(None, Violation(f"?{name}", f"This is not an id `{kind}_…`.")) from error


def query_moment(name: str, text: str | None) -> datetime | None:
    """Return the moment in a query parameter.

    Raises:
        Invalid: it is none (RFC 3339), or has no offset from UTC, so nobody knows which it is.
    """
    if text is None:
        return None
    try:
        return msgspec.convert(text, _Moment).astimezone(UTC)
    except (msgspec.ValidationError, OverflowError) as error:
        detail = "A moment is `2026-01-31T12:00:00Z`, or with another offset from UTC."
        raise Invalid(None, Violation(f"?{name}", detail)) from error


def body_id(kind: ids.Kind, pointer: str, text: str) -> UUID:
    """Return the id in a member of a body.

    Raises:
        Invalid: it is not an id of that kind.
    """
    try:
        return ids.decode(kind, text)
    except NotFound as error:
        raise Invalid(None, Violation(pointer, f"This is not an id `{kind}_…`.")) from error


def tagged(
    content: T, version: int | None = None, *, shown: object = None, **headers: str
) -> Response[T]:
    """Return an answer that carries the `ETag` of a resource.

    Args:
        content: The answer.
        version: The resource's, where it can be edited.
        shown: What a GET shows of it, where the answer has more: a secret that was just made.
        headers: Others.
    """
    tag = tag_of(content if shown is None else shown, version)
    return Response(content, headers={"ETag": tag, **headers})


class LiveSecret(msgspec.Struct, frozen=True):
    """A live secret, by its id; the secret itself is never shown."""

    id: str
    ends_at: datetime | None
    """`null` for the current one."""


def live_secrets(secrets: Iterable[SealedSecret], now: datetime) -> list[LiveSecret]:
    """Return what may be shown of secrets."""
    return [
        LiveSecret(
            secret.id,
            None if secret.not_after is None else datetime.fromtimestamp(secret.not_after, UTC),
        )
        for secret in rotation.live(secrets, now.timestamp())
    ]


def as_text(body: bytes) -> tuple[str | None, str | None]:
    """Return bytes as text, or where they are none as base64: one of the two is `None`."""
    try:
        return body.decode(), None
    except UnicodeDecodeError:
        return None, base64.b64encode(body).decode()


def without_unset(patch: Any) -> dict[str, Any]:
    """Return a merge patch as plain objects, as its sender wrote it."""
    plain: dict[str, Any] = msgspec.to_builtins(patch)
    return plain
