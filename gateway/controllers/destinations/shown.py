"""What is shown of destinations, and what is made of what was sent about them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response

from crossdock import ids
from crossdock.delivery.destinations.editing import settings_from
from crossdock.delivery.destinations.model import (
    Destination,
    DestinationEdit,
    OpenedDestination,
    Settings,
    Visible,
)
from crossdock.delivery.destinations.service import Destinations
from gateway.controllers.destinations.bodies import (
    DestinationCreate,
    DestinationOut,
    DestinationPatch,
    DestinationSettings,
    DestinationWithSecret,
    SigningKey,
)
from gateway.wire import body_id, live_secrets, tagged, without_unset


def edit_of(data: DestinationCreate) -> DestinationEdit:
    """Return a destination that was sent, as the domain has it."""
    given = None if data.settings is None else without_unset(data.settings)
    return DestinationEdit(
        name=data.name,
        url=data.url or "",
        settings=settings_from(data.kind, given),
        source_ids=_source_ids(data.source_ids),
        event_types=tuple(data.event_types),
        filter=data.filter,
        transform=data.transform,
        headers=data.headers,
        auth=data.auth,
        retry=data.retry,
        timeout_s=data.timeout_s,
        rate=data.rate,
        concurrency=data.concurrency,
        order=data.order,
        breaker=data.breaker,
    )


def changes_of(data: DestinationPatch) -> dict[str, Any]:
    """Return a patch as the domain has it: with its own ids."""
    changes = without_unset(data)
    if changes.get("source_ids") is not None:
        changes["source_ids"] = [str(key) for key in _source_ids(changes["source_ids"])]
    return changes


def shown(destination: Destination, destinations: Destinations) -> DestinationOut:
    """Return what is shown of a destination."""
    return DestinationOut(**_fields(destination, destinations.visible(destination)))


def with_secret(
    opened: OpenedDestination, destinations: Destinations, **headers: str
) -> Response[DestinationWithSecret]:
    """Return the answer that shows a new secret, once."""
    destination = opened.destination
    fields = _fields(destination, destinations.visible(destination))
    return tagged(
        DestinationWithSecret(**fields, secret=opened.new_secret),
        destination.version,
        shown=DestinationOut(**fields),
        **headers,
    )


def _source_ids(texts: Sequence[str]) -> tuple[UUID, ...]:
    return tuple(body_id("src", f"/source_ids/{index}", text) for index, text in enumerate(texts))


def _settings(settings: Settings | None) -> DestinationSettings | None:
    if settings is None:
        return None
    return DestinationSettings(**msgspec.structs.asdict(settings))


def _fields(destination: Destination, visible: Visible) -> dict[str, Any]:
    live = live_secrets(destination.secrets, datetime.now(UTC))
    return {
        "id": ids.encode("dst", destination.id),
        "name": destination.name,
        "kind": destination.kind,
        "url": destination.url if destination.kind == "http" else None,
        "settings": _settings(destination.settings),
        "state": destination.state,
        "disabled_reason": destination.disabled_reason,
        "disabled_at": destination.disabled_at,
        "source_ids": [ids.encode("src", key) for key in destination.source_ids],
        "event_types": list(destination.event_types),
        "filter": destination.filter,
        "transform": destination.transform,
        "headers": list(visible.header_names),
        "auth": visible.auth,
        "signing": destination.signing,
        "secrets": [
            SigningKey(secret.id, secret.ends_at, visible.public_keys.get(secret.id))
            for secret in live
        ],
        "retry": destination.retry,
        "timeout_s": destination.timeout_s,
        "rate": destination.rate,
        "concurrency": destination.concurrency,
        "order": destination.order,
        "breaker": destination.breaker,
        "failing_since": destination.failing_since,
        "created_at": destination.created_at,
        "updated_at": destination.updated_at,
    }
