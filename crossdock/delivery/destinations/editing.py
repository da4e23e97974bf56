"""A destination as its owner edits it, and merge patches of that (RFC 7396). Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec

from crossdock import merge_patch
from crossdock.delivery.destinations import rules
from crossdock.delivery.destinations.credentials import Credentials
from crossdock.delivery.destinations.model import (
    Destination,
    DestinationEdit,
    Kind,
    Settings,
)
from crossdock.errors import Invalid, Violation
from crossdock.validation import convert


class _Given(msgspec.Struct, frozen=True):
    settings: Settings | None


def editable(destination: Destination, credentials: Credentials) -> DestinationEdit:
    """Return what can be changed of a destination, as it is now."""
    return DestinationEdit(
        name=destination.name,
        url=destination.url if destination.kind == "http" else "",
        source_ids=destination.source_ids,
        event_types=destination.event_types,
        retry=destination.retry,
        timeout_s=destination.timeout_s,
        settings=destination.settings,
        headers=credentials.headers,
        auth=credentials.auth,
        filter=destination.filter,
        transform=destination.transform,
        rate=destination.rate,
        concurrency=destination.concurrency,
        order=destination.order,
        breaker=destination.breaker,
    )


def patched(before: DestinationEdit, kind: Kind, changes: Mapping[str, Any]) -> DestinationEdit:
    """Return an edit with a merge patch applied.

    `auth` is replaced as a whole: parts of two ways to convince somebody are none. `headers` are
    merged by name, whatever its case.

    Raises:
        Invalid: the outcome breaks a rule of the types.
    """
    left = dict(changes)
    plain = msgspec.to_builtins(before)
    if "auth" in left:
        plain["auth"] = left.pop("auth")
    if isinstance(headers := left.get("headers"), Mapping):
        left["headers"] = {name.lower(): value for name, value in headers.items()}
    merged = merge_patch.apply(plain, left)
    if isinstance(merged.get("settings"), dict):
        merged["settings"] = _tagged(kind, merged["settings"])
    return convert(merged, DestinationEdit)


def settings_from(kind: Kind, plain: Mapping[str, Any] | None) -> Settings | None:
    """Return settings that were given as plain objects, for a destination of that kind.

    Raises:
        Invalid: they are not what that kind has.
    """
    if kind == "http":
        if plain:
            detail = "A destination of the kind `http` has no settings."
            raise Invalid(None, Violation("/settings", detail))
        return None
    if plain is None and kind != "inbox":
        detail = f"A destination of the kind `{kind}` needs settings."
        raise Invalid(None, Violation("/settings", detail))
    given = {name: value for name, value in (plain or {}).items() if value is not None}
    return convert({"settings": _tagged(kind, given)}, _Given).settings


def normal(edit: DestinationEdit, kind: Kind) -> DestinationEdit:
    """Return an edit as it is kept: names of headers in lower case, settings complete."""
    headers = {name.lower(): value for name, value in edit.headers.items()}
    settings = rules.settings_of(kind, edit.settings)
    return msgspec.structs.replace(edit, headers=headers, settings=settings)


def _tagged(kind: Kind, plain: Mapping[str, Any]) -> dict[str, Any]:
    return {**plain, "kind": kind}
