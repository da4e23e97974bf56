"""`/v1/sources`: the doors through which webhooks come in."""

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import RequestBody

from crossdock import ids
from crossdock.inbound.model import SourceEdit
from crossdock.inbound.sources import examples
from crossdock.inbound.sources.examples import Example
from crossdock.inbound.sources.proving import Proof
from crossdock.inbound.sources.service import Sources
from gateway.controllers.sources.bodies import (
    PauseIn,
    SourceCreate,
    SourceOut,
    SourcePage,
    SourcePatch,
    SourceWithSecret,
)
from gateway.controllers.sources.shown import shown, with_secret
from gateway.declarations import Atomic
from gateway.entity_tags import versions
from gateway.request import ApiRequest
from gateway.wire import (
    DEFAULT_LIMIT,
    Cursor,
    Id,
    IfMatch,
    Limit,
    MergePatch,
    tagged,
    without_unset,
)


class SourceController(Controller):
    """Sources."""

    path = "/v1/sources"
    tags = ("Sources",)

    @post("/", permissions={"sources:write"}, idempotency=Atomic(secret=True))
    async def create_source(
        self,
        request: ApiRequest,
        sources: NamedDependency[Sources],
        data: RequestBody[SourceCreate],
    ) -> Response[SourceWithSecret]:
        """Make a source; the answer has its ingest URL and, if it was generated, its secret."""
        edit = SourceEdit(
            name=data.name,
            recipe=data.recipe,
            max_body_bytes=data.max_body_bytes,
            webhooks_per_minute=data.webhooks_per_minute,
            content_types=data.content_types,
            indexed_fields=data.indexed_fields,
            encrypts=data.encrypts,
        )
        made = await sources.create(
            request.tenant_id,
            data.scheme,
            edit,
            data.secrets,
            preset=data.preset,
            proof=_proof(data.example, unchecked=data.unchecked),
        )
        location = f"/v1/sources/{ids.encode('src', made.id)}"
        return with_secret(made, request, Location=location)

    @get("/", permissions={"sources:read"})
    async def list_sources(
        self,
        request: ApiRequest,
        sources: NamedDependency[Sources],
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> SourcePage:
        """List sources, newest first."""
        window = request.window("sources", limit, cursor, {})
        found = await sources.page(request.tenant_id, window)
        return SourcePage(
            [shown(item, request) for item in found.items],
            request.next_cursor("sources", found, {}),
        )

    @get("/{source_id:str}", permissions={"sources:read"})
    async def get_source(
        self, request: ApiRequest, sources: NamedDependency[Sources], source_id: Id
    ) -> Response[SourceOut]:
        """Show a source."""
        found = await sources.get(request.tenant_id, ids.decode("src", source_id))
        return tagged(shown(found, request), found.source.version)

    @patch("/{source_id:str}", permissions={"sources:write"}, idempotency=Atomic(secret=True))
    async def patch_source(
        self,
        request: ApiRequest,
        sources: NamedDependency[Sources],
        source_id: Id,
        data: MergePatch[SourcePatch],
        if_match: IfMatch = None,
    ) -> Response[SourceOut]:
        """Change a source."""
        changes = without_unset(data)
        for name in ("example", "unchecked"):
            changes.pop(name, None)
        changed = await sources.patch(
            request.tenant_id,
            ids.decode("src", source_id),
            changes,
            versions(if_match),
            proof=_proof(data.example or None, unchecked=data.unchecked is True),
        )
        return tagged(shown(changed, request), changed.source.version)

    @delete("/{source_id:str}", permissions={"sources:write"}, idempotency=Atomic())
    async def delete_source(
        self,
        request: ApiRequest,
        sources: NamedDependency[Sources],
        source_id: Id,
        if_match: IfMatch = None,
    ) -> None:
        """Delete a source: its URL answers 404 from then on. Its events stay."""
        key = ids.decode("src", source_id)
        await sources.delete(request.tenant_id, key, versions(if_match))

    @post(
        "/{source_id:str}/pause",
        permissions={"sources:write"},
        status_code=200,
        idempotency=Atomic(secret=True),
    )
    async def pause_source(
        self,
        request: ApiRequest,
        sources: NamedDependency[Sources],
        source_id: Id,
        data: RequestBody[PauseIn | None] = None,
        if_match: IfMatch = None,
    ) -> Response[SourceOut]:
        """Refuse its webhooks, or hold them back, until it is resumed."""
        key = ids.decode("src", source_id)
        mode = data.mode if data else "refuse"
        changed = await sources.pause(request.tenant_id, key, mode, versions(if_match))
        return tagged(shown(changed, request), changed.source.version)

    @post(
        "/{source_id:str}/resume",
        permissions={"sources:write"},
        status_code=200,
        idempotency=Atomic(secret=True),
    )
    async def resume_source(
        self,
        request: ApiRequest,
        sources: NamedDependency[Sources],
        source_id: Id,
        if_match: IfMatch = None,
    ) -> Response[SourceOut]:
        """Take its webhooks again; what was held back is delivered."""
        key = ids.decode("src", source_id)
        changed = await sources.resume(request.tenant_id, key, versions(if_match))
        return tagged(shown(changed, request), changed.source.version)


def _proof(example: Example | None, *, unchecked: bool) -> Proof:
    pasted = None if example is None else examples.read(example)
    return Proof(example=pasted, unchecked=unchecked)
