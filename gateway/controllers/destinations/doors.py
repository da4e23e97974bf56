"""`/v1/destinations`: made, changed, switched off and on."""

from datetime import timedelta

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import RequestBody

from crossdock import ids
from crossdock.delivery.destinations.service import Destinations
from gateway.controllers.destinations.bodies import (
    DestinationCreate,
    DestinationOut,
    DestinationPage,
    DestinationPatch,
    DestinationWithSecret,
    SigningSecretRotation,
)
from gateway.controllers.destinations.shown import changes_of, edit_of, shown, with_secret
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
)


class DestinationController(Controller):
    """Destinations."""

    path = "/v1/destinations"
    tags = ("Destinations",)

    @post("/", permissions={"destinations:write"}, idempotency=Atomic(secret=True))
    async def create_destination(
        self,
        request: ApiRequest,
        destinations: NamedDependency[Destinations],
        data: RequestBody[DestinationCreate],
    ) -> Response[DestinationWithSecret]:
        """Make a destination; the answer has its signing secret, and nothing shows it again."""
        made = await destinations.create(
            request.tenant_id, edit_of(data), kind=data.kind, signing=data.signing
        )
        location = f"/v1/destinations/{ids.encode('dst', made.destination.id)}"
        return with_secret(made, destinations, Location=location)

    @get("/", permissions={"destinations:read"})
    async def list_destinations(
        self,
        request: ApiRequest,
        destinations: NamedDependency[Destinations],
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> DestinationPage:
        """List destinations, newest first."""
        window = request.window("destinations", limit, cursor, {})
        found = await destinations.page(request.tenant_id, window)
        return DestinationPage(
            [shown(item, destinations) for item in found.items],
            request.next_cursor("destinations", found, {}),
        )

    @get("/{destination_id:str}", permissions={"destinations:read"})
    async def get_destination(
        self, request: ApiRequest, destinations: NamedDependency[Destinations], destination_id: Id
    ) -> Response[DestinationOut]:
        """Show a destination."""
        key = ids.decode("dst", destination_id)
        found = await destinations.get(request.tenant_id, key)
        return tagged(shown(found, destinations), found.version)

    @patch("/{destination_id:str}", permissions={"destinations:write"}, idempotency=Atomic())
    async def patch_destination(
        self,
        request: ApiRequest,
        destinations: NamedDependency[Destinations],
        destination_id: Id,
        data: MergePatch[DestinationPatch],
        if_match: IfMatch = None,
    ) -> Response[DestinationOut]:
        """Change a destination."""
        changed = await destinations.patch(
            request.tenant_id,
            ids.decode("dst", destination_id),
            changes_of(data),
            versions(if_match),
        )
        return tagged(shown(changed, destinations), changed.version)

    @delete("/{destination_id:str}", permissions={"destinations:write"}, idempotency=Atomic())
    async def delete_destination(
        self,
        request: ApiRequest,
        destinations: NamedDependency[Destinations],
        destination_id: Id,
        if_match: IfMatch = None,
    ) -> None:
        """Delete a destination; what is on its way there is cancelled."""
        key = ids.decode("dst", destination_id)
        await destinations.delete(request.tenant_id, key, versions(if_match))

    @post(
        "/{destination_id:str}/disable",
        permissions={"destinations:write"},
        status_code=200,
        idempotency=Atomic(),
    )
    async def disable_destination(
        self,
        request: ApiRequest,
        destinations: NamedDependency[Destinations],
        destination_id: Id,
        if_match: IfMatch = None,
    ) -> Response[DestinationOut]:
        """Stop delivering there until it is enabled."""
        key = ids.decode("dst", destination_id)
        allowed = versions(if_match)
        changed = await destinations.switch(request.tenant_id, key, "disabled", allowed)
        return tagged(shown(changed, destinations), changed.version)

    @post(
        "/{destination_id:str}/enable",
        permissions={"destinations:write"},
        status_code=200,
        idempotency=Atomic(),
    )
    async def enable_destination(
        self,
        request: ApiRequest,
        destinations: NamedDependency[Destinations],
        destination_id: Id,
        if_match: IfMatch = None,
    ) -> Response[DestinationOut]:
        """Deliver there again."""
        key = ids.decode("dst", destination_id)
        allowed = versions(if_match)
        changed = await destinations.switch(request.tenant_id, key, "enabled", allowed)
        return tagged(shown(changed, destinations), changed.version)

    @post(
        "/{destination_id:str}/rotate-secret",
        permissions={"destinations:write"},
        status_code=200,
        idempotency=Atomic(secret=True),
    )
    async def rotate_destination_secret(
        self,
        request: ApiRequest,
        destinations: NamedDependency[Destinations],
        destination_id: Id,
        data: RequestBody[SigningSecretRotation],
        if_match: IfMatch = None,
    ) -> Response[DestinationWithSecret]:
        """Sign with a new secret, and with the old ones for a while more."""
        changed = await destinations.rotate_secret(
            request.tenant_id,
            ids.decode("dst", destination_id),
            timedelta(seconds=data.overlap_s),
            versions(if_match),
            signing=data.signing,
        )
        return with_secret(changed, destinations)
