"""Sources as they are answered."""

from datetime import UTC, datetime
from typing import Any, Final

from litestar import Response

from crossdock import ids
from crossdock.inbound.model import OpenedSource
from gateway.controllers.sources.bodies import SourceOut, SourceWithSecret
from gateway.request import ApiRequest
from gateway.wire import live_secrets, tagged

HIDDEN: Final = "***"


def shown(opened: OpenedSource, request: ApiRequest) -> SourceOut:
    """Return a source as its owner sees it."""
    return SourceOut(**_fields(opened, request))


def with_secret(
    opened: OpenedSource, request: ApiRequest, **headers: str
) -> Response[SourceWithSecret]:
    """Return a source with the secret that was made just now."""
    fields = _fields(opened, request)
    return tagged(
        SourceWithSecret(**fields, secret=opened.new_secret),
        opened.source.version,
        shown=SourceOut(**fields),
        **headers,
    )


def _fields(opened: OpenedSource, request: ApiRequest) -> dict[str, Any]:
    source = opened.source
    # Whoever has the token can send: operators who look into the tenant see that there is one.
    token = HIDDEN if request.auth.actor.kind == "operator" else opened.token
    return {
        "id": ids.encode("src", source.id),
        "name": source.name,
        "preset": source.preset,
        "scheme": source.scheme,
        "state": source.state,
        "pause_mode": source.pause_mode,
        "recipe": source.recipe,
        "secrets": live_secrets(source.secrets, datetime.now(UTC)),
        "ingest_url": f"{request.public_url}/in/{token}" if opened.has_door else None,
        "max_body_bytes": source.max_body_bytes,
        "webhooks_per_minute": source.webhooks_per_minute,
        "content_types": source.content_types,
        "indexed_fields": source.indexed_fields,
        "encrypts": source.encrypts,
        "created_at": source.created_at,
        "updated_at": source.updated_at,
    }
