"""`/v1/sources/…`: trying a recipe or a source, and what was refused."""

from datetime import date, datetime
from typing import Annotated, Any, Final

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter, RequestBody
from msgspec import Meta

from crossdock import ids, presets
from crossdock.inbound.model import Recipe, Scheme
from crossdock.inbound.refusals import Refusals
from crossdock.inbound.sources import examples, proving
from crossdock.inbound.sources.examples import Example
from crossdock.inbound.sources.service import Sources
from crossdock.secrets.rules import MAX_LIVE
from gateway.controllers.sources.bodies import Secret
from gateway.declarations import Apart
from gateway.request import ApiRequest
from gateway.test_sends import TestSends
from gateway.wire import DEFAULT_LIMIT, Cursor, Id, Limit, tagged

Days = Annotated[
    int, QueryParameter(ge=1, le=90, description="How many days, today (UTC) included.")
]


ACCEPTED: Final = 202


class SourceCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A recipe, and a webhook to try it on."""

    preset: Annotated[str, Meta(max_length=64)] | None = None
    scheme: Scheme | None = None
    """Needed without a preset."""
    recipe: Recipe = Recipe()
    secrets: Annotated[list[Secret], Meta(max_length=MAX_LIVE)] = []
    """Those that may have signed it."""
    example: Example
    """A webhook as the provider sent it."""


class HintOut(msgspec.Struct, frozen=True, kw_only=True):
    """What would have to be another."""

    pointer: str
    """A member of the recipe, or of the example."""
    value: str
    """What it would have to be; empty where there is no one value."""
    detail: str


class CheckOut(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an example verifies, at the time when it was sent."""

    verified: bool
    refusal: str | None
    """The type of problem that its sender would get."""
    detail: str | None
    event_type: str
    provider_id: str | None
    handshake: bool
    """Whether it is a provider's question: answered, and never stored."""
    hints: list[HintOut]


class TestSend(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which sample to send; the preset's first one unless it is named."""

    sample: Annotated[str, Meta(max_length=64)] | None = None
    """By its name in the preset."""
    event_type: Annotated[str, Meta(max_length=128)] | None = None
    """Or the first one of this type."""


class TestSendOut(msgspec.Struct, frozen=True, kw_only=True):
    """What the source answered."""

    status: int
    id: str | None
    """The event's, where it was accepted."""
    problem: dict[str, Any] | None
    """Where it was refused: as its sender would see it."""


class RefusalOut(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook that was refused, without its body."""

    at: datetime
    reason: str
    """The type of problem that its sender got."""
    detail: str
    method: str
    address: str
    headers: list[tuple[str, str]]
    """All names; `***` for values that are not known to be harmless."""
    size: int
    body_sha256: str | None
    """In hex; `null` where the body was not read."""


class RefusalPage(msgspec.Struct, frozen=True):
    """Refusals, newest first; the last 50 are kept."""

    items: list[RefusalOut]
    next_cursor: str | None


class RefusalCountOut(msgspec.Struct, frozen=True, kw_only=True):
    """How many were refused on one day, for one reason."""

    day: date
    reason: str
    count: int


class RefusalCountsOut(msgspec.Struct, frozen=True):
    """What was refused, day by day."""

    counts: list[RefusalCountOut]
    """Newest day first."""


class SourceTrialController(Controller):
    """Trying sources."""

    path = "/v1/sources"
    tags = ("Sources",)

    @post(
        "/check",
        permissions={"sources:write"},
        status_code=200,
        no_key="nothing changes, so it may be sent any number of times.",
    )
    async def check_source(self, data: RequestBody[SourceCheck]) -> CheckOut:
        """Try a recipe on a webhook that you paste, and save nothing."""
        chosen = presets.chosen(data.preset, data.scheme, data.recipe)
        pasted = examples.read(data.example)
        found = await proving.attempt(chosen.scheme, chosen.recipe, data.secrets, pasted)
        return CheckOut(
            verified=found.verified,
            refusal=found.refusal,
            detail=found.detail,
            event_type=found.event_type,
            provider_id=found.provider_id,
            handshake=found.handshake,
            hints=[
                HintOut(pointer=hint.pointer, value=hint.value, detail=hint.detail)
                for hint in found.hints
            ],
        )

    @post(
        "/{source_id:str}/test",
        permissions={"sources:write"},
        status_code=200,
        idempotency=Apart(),
    )
    async def test_source(
        self,
        *,
        request: ApiRequest,
        test_sends: NamedDependency[TestSends],
        source_id: Id,
        data: RequestBody[TestSend | None] = None,
    ) -> TestSendOut:
        """Send a signed sample to the source, by the way that every webhook takes."""
        wish = data or TestSend()
        key = ids.decode("src", source_id)
        reply = await test_sends.send(
            request.tenant_id,
            key,
            sample=wish.sample,
            event_type=wish.event_type,
            address=request.origin.address,
        )
        said: dict[str, Any] = msgspec.json.decode(reply.body or b"{}")
        accepted = reply.status == ACCEPTED
        return TestSendOut(
            status=reply.status,
            id=said.get("id") if accepted else None,
            problem=None if accepted else said,
        )

    @get("/{source_id:str}/refusals", permissions={"sources:read"})
    async def list_source_refusals(
        self,
        *,
        request: ApiRequest,
        sources: NamedDependency[Sources],
        refusals: NamedDependency[Refusals],
        source_id: Id,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> RefusalPage:
        """List what the source refused lately, newest first."""
        key = ids.decode("src", source_id)
        await sources.get(request.tenant_id, key)
        filters = {"source": source_id}
        window = request.window("refusals", limit, cursor, filters)
        found = await refusals.page(request.tenant_id, key, window)
        return RefusalPage(
            [
                RefusalOut(
                    at=ids.time_of(item.id),
                    reason=item.reason,
                    detail=item.detail,
                    method=item.method,
                    address=item.address,
                    headers=item.headers,
                    size=item.size,
                    body_sha256=None if item.body_sha256 is None else item.body_sha256.hex(),
                )
                for item in found.items
            ],
            request.next_cursor("refusals", found, filters),
        )

    @get("/{source_id:str}/refusals/counts", permissions={"sources:read"})
    async def count_source_refusals(
        self,
        request: ApiRequest,
        sources: NamedDependency[Sources],
        refusals: NamedDependency[Refusals],
        source_id: Id,
        days: Days = 7,
    ) -> Response[RefusalCountsOut]:
        """Count what the source refused, by day and reason."""
        key = ids.decode("src", source_id)
        await sources.get(request.tenant_id, key)
        found = await refusals.counts(request.tenant_id, key, days)
        counts = [RefusalCountOut(day=one.day, reason=one.reason, count=one.count) for one in found]
        return tagged(RefusalCountsOut(counts))
