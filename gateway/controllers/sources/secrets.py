"""`/v1/sources/{id}/…secret…`: rotating what a source verifies by."""

from datetime import timedelta

from litestar import Controller, Response, delete, post
from litestar.di import NamedDependency
from litestar.params import RequestBody

from crossdock import ids
from crossdock.inbound.sources.service import Sources
from gateway.controllers.sources.bodies import SecretRotation, SourceWithSecret
from gateway.controllers.sources.shown import with_secret
from gateway.declarations import Atomic
from gateway.entity_tags import versions
from gateway.request import ApiRequest
from gateway.wire import Id, IfMatch


class SourceSecretController(Controller):
    """Secrets of sources."""

    path = "/v1/sources"
    tags = ("Sources",)

    @post(
        "/{source_id:str}/rotate-secret",
        permissions={"sources:write"},
        status_code=200,
        idempotency=Atomic(secret=True),
    )
    async def rotate_source_secret(
        self,
        request: ApiRequest,
        sources: NamedDependency[Sources],
        source_id: Id,
        data: RequestBody[SecretRotation],
        if_match: IfMatch = None,
    ) -> Response[SourceWithSecret]:
        """Make a new secret the current one; the old ones verify for a while more."""
        changed = await sources.rotate_secret(
            request.tenant_id,
            ids.decode("src", source_id),
            data.secret,
            timedelta(seconds=data.overlap_s),
            versions(if_match),
        )
        return with_secret(changed, request)

    @delete(
        "/{source_id:str}/secrets/{secret_id:str}",
        permissions={"sources:write"},
        idempotency=Atomic(),
    )
    async def revoke_source_secret(
        self,
        *,
        request: ApiRequest,
        sources: NamedDependency[Sources],
        source_id: Id,
        secret_id: Id,
        if_match: IfMatch = None,
    ) -> None:
        """End one of the overlapping secrets at once; `If-Match` is about its source."""
        key = ids.decode("src", source_id)
        await sources.revoke_secret(request.tenant_id, key, secret_id, versions(if_match))
