"""`/v1/routing/dry-run`: what a filter and a transformation would make of events."""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import RequestBody
from msgspec import UNSET, Meta, UnsetType

from crossdock import ids
from crossdock.dry_runs import Chosen, DryRuns, Newest, Sample, Trial, Wish
from crossdock.dry_runs.model import MOST_CHOSEN, MOST_NEWEST
from crossdock.errors import Invalid, Violation
from crossdock.routing.model import Why
from gateway.controllers.destinations.bodies import EventTypes, Filter, Script, SourceIds
from gateway.controllers.events.publish import MediaType, TypeName
from gateway.declarations import Apart
from gateway.request import ApiRequest
from gateway.wire import DESTINATION_ID, EVENT_ID, SOURCE_ID, as_text, body_id

_JSON: Final = "application/json"
HeaderText = Annotated[str, Meta(max_length=4096)]


class NewestEvents(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The newest stored events, newest first."""

    limit: Annotated[int, Meta(ge=1, le=MOST_NEWEST)]
    source_id: Annotated[str, Meta(pattern=SOURCE_ID)] | None = None
    event_type: Annotated[str, Meta(max_length=128)] | None = None


class SampleEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An event that there is not."""

    event_type: TypeName
    payload: msgspec.Raw
    """Any JSON; a string is a body of that text."""
    headers: Annotated[dict[str, HeaderText], Meta(max_length=32)] = {}
    content_type: MediaType = _JSON
    source_id: Annotated[str, Meta(pattern=SOURCE_ID)] | None = None


class DryRunWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to try, and on which events: one of `event_ids`, `newest` and `sample`."""

    destination_id: Annotated[str, Meta(pattern=DESTINATION_ID)] | None = None
    """Whose settings stand for what is not given here."""
    source_ids: SourceIds | UnsetType = UNSET
    event_types: EventTypes | UnsetType = UNSET
    filter: Filter | UnsetType | None = UNSET
    transform: Script | UnsetType | None = UNSET
    event_ids: (
        Annotated[
            list[Annotated[str, Meta(pattern=EVENT_ID)]],
            Meta(min_length=1, max_length=MOST_CHOSEN),
        ]
        | None
    ) = None
    newest: NewestEvents | None = None
    sample: SampleEvent | None = None


class WouldBeSent(msgspec.Struct, frozen=True, kw_only=True):
    """What would be sent instead of the event."""

    content_type: str
    headers: dict[str, str]
    """Those that the script added to ours and the destination's."""
    payload: str | None
    """The first 64 KiB of the body, where they are UTF-8 text."""
    payload_base64: str | None
    """The same, where they are not."""
    size: int
    """Bytes of the whole body."""


class ScriptFailure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a script came to nothing."""

    kind: Literal["threw", "invalid", "too_large", "timeout", "memory", "unavailable"]
    message: str
    line: int | None
    column: int | None


class DryRunItem(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of one event."""

    event_id: str | None
    """`null` for a sample."""
    event_type: str
    source_id: str | None
    wanted: bool
    why_not: Why | None
    """What speaks against it: `source`, `type`, `filter`; `filter_error` where the filter could not
    be judged; `about` for an alert about the destination itself."""
    filter_error: str | None
    transformed: WouldBeSent | None
    """`null` also where there is no script."""
    transformed_away: bool
    """The script returned nothing: the delivery would be cancelled."""
    failure: ScriptFailure | None
    duration_ms: float


class DryRunOut(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of each event."""

    items: list[DryRunItem]
    left: int
    """Events for which there was no time: all of them have ten seconds together."""


class DryRunController(Controller):
    """Dry runs."""

    path = "/v1/routing"
    tags = ("Destinations",)

    @post(
        "/dry-run",
        permissions={"destinations:read", "events:read"},
        status_code=200,
        idempotency=Apart(),
    )
    async def dry_run(
        self,
        request: ApiRequest,
        dry_runs: NamedDependency[DryRuns],
        data: RequestBody[DryRunWish],
    ) -> DryRunOut:
        """Try a filter and a transformation on events; nothing is sent or stored."""
        tried = await dry_runs.run(request.tenant_id, _wish(data))
        return DryRunOut(items=[_shown(one) for one in tried.trials], left=tried.left)


def _wish(data: DryRunWish) -> Wish:
    given: dict[str, Any] = {}
    if data.source_ids is not UNSET:
        given["source_ids"] = tuple(
            body_id("src", f"/source_ids/{at}", one) for at, one in enumerate(data.source_ids)
        )
    if data.event_types is not UNSET:
        given["event_types"] = tuple(data.event_types)
    if data.filter is not UNSET:
        given["filter"] = data.filter
    if data.transform is not UNSET:
        given["transform"] = data.transform
    destination = data.destination_id
    return Wish(
        on=_on(data),
        destination_id=None
        if destination is None
        else body_id("dst", "/destination_id", destination),
        given=given,
    )


def _on(data: DryRunWish) -> Chosen | Newest | Sample:
    match data.event_ids, data.newest, data.sample:
        case list(event_ids), None, None:
            pairs = enumerate(event_ids)
            return Chosen(tuple(body_id("evt", f"/event_ids/{at}", one) for at, one in pairs))
        case None, NewestEvents() as newest, None:
            source_id = _source_id("/newest/source_id", newest.source_id)
            return Newest(newest.limit, source_id, newest.event_type)
        case None, None, SampleEvent() as sample:
            return Sample(
                event_type=sample.event_type,
                source_id=_source_id("/sample/source_id", sample.source_id),
                content_type=sample.content_type,
                headers=tuple((name.lower(), value) for name, value in sample.headers.items()),
                body=_body(bytes(sample.payload)),
            )
    detail = "Name one of `event_ids`, `newest` and `sample`."
    raise Invalid(None, Violation("", detail))


def _source_id(pointer: str, text: str | None) -> UUID | None:
    return None if text is None else body_id("src", pointer, text)


def _body(payload: bytes) -> bytes:
    """Return a sample's body: a string stands for its text, whatever else for its own JSON."""
    if not payload.startswith(b'"'):
        return payload
    try:
        return msgspec.json.decode(payload, type=str).encode()
    except UnicodeEncodeError as error:
        detail = "A text has no halves of characters."
        raise Invalid(None, Violation("/sample/payload", detail)) from error


def _shown(trial: Trial) -> DryRunItem:
    sent, failure = trial.sent, trial.failure
    text, base64 = (None, None) if sent is None else as_text(sent.body)
    return DryRunItem(
        event_id=None if trial.event_id is None else ids.encode("evt", trial.event_id),
        event_type=trial.event_type,
        source_id=None if trial.source_id is None else ids.encode("src", trial.source_id),
        wanted=trial.why_not is None,
        why_not=trial.why_not,
        filter_error=trial.detail or None,
        transformed=None
        if sent is None
        else WouldBeSent(
            content_type=sent.content_type,
            headers=sent.headers,
            payload=text,
            payload_base64=base64,
            size=sent.size,
        ),
        transformed_away=trial.dropped,
        failure=None
        if failure is None
        else ScriptFailure(
            kind=failure.kind, message=failure.message, line=failure.line, column=failure.column
        ),
        duration_ms=trial.duration_ms,
    )
