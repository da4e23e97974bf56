"""Links: which answers hold the ids that other operations take (OpenAPI 3.1, 4.8.20)."""

from typing import Any, Final, NamedTuple

from gateway.openapi.operations import METHODS

Operations = dict[str, tuple[str, dict[str, Any]]]
"""Path and operation by the operation's name."""


class _Origin(NamedTuple):
    """An operation whose answer holds an id."""

    operation: str
    pointer: str = "/id"


_OPERATORS: Final = "/v1/admin/"
"""Theirs is not the tenants', and the other way round: a link is for one caller."""
_FIRST: Final = "/items/0/id"
_ORIGINS: Final = {
    "alert_id": (_Origin("list_alerts", _FIRST), _Origin("test_alerts", "/alert/id")),
    "tenant_id": (_Origin("create_tenant"),),
    "source_id": (_Origin("create_source"), _Origin("list_sources", _FIRST)),
    "preset_name": (_Origin("list_source_presets", "/items/0/name"),),
    "secret_id": (_Origin("rotate_source_secret", "/secrets/1/id"),),
    "destination_id": (_Origin("create_destination"), _Origin("list_destinations", _FIRST)),
    "event_id": (_Origin("list_events", _FIRST),),
    "event_type_id": (_Origin("create_event_type"), _Origin("list_event_types", _FIRST)),
    "number": (_Origin("list_event_type_versions", "/items/0/number"),),
    "delivery_id": (
        _Origin("list_deliveries", _FIRST),
        _Origin("list_dead_letters", _FIRST),
        _Origin("replay_delivery"),
    ),
    "replay_id": (_Origin("create_replay"), _Origin("list_replays", _FIRST)),
    "key_id": (_Origin("create_api_key"), _Origin("rotate_api_key")),
    "user_id": (_Origin("list_users", _FIRST),),
    "session_id": (_Origin("list_sessions", _FIRST),),
    "role_id": (_Origin("create_role"),),
    "invitation_id": (_Origin("create_invitation"), _Origin("list_invitations", _FIRST)),
    "support_id": (
        _Origin("open_support", "/support_id"),
        _Origin("list_support_accesses", _FIRST),
    ),
}
"""Where the ids in paths come from."""
_SPECIAL: Final = {"get_dead_letter": (_Origin("list_dead_letters", _FIRST),)}
"""Operations that take only some of those."""


def add_links(paths: dict[str, Any]) -> None:
    """Add to the answers of operations what can be done with the ids in them."""
    found: Operations = {
        operation["operationId"]: (path, operation)
        for path, item in paths.items()
        for method, operation in item.items()
        if method in METHODS
    }
    for name, (path, operation) in found.items():
        names = _path_parameters(operation)
        if names:
            for origin in _SPECIAL.get(name, _ORIGINS.get(names[-1], ())):
                before, giving = found[origin.operation]
                if before.startswith(_OPERATORS) is path.startswith(_OPERATORS):
                    _link(giving, origin, name, path, names)


def _link(
    giving: dict[str, Any], origin: _Origin, name: str, path: str, parameters: list[str]
) -> None:
    """Add one link, if the answer and its request have all that the operation's path needs."""
    known = set(_path_parameters(giving))
    *before, last = parameters
    if not set(before) <= known:
        return
    values = {parameter: f"$request.path.{parameter}" for parameter in before}
    values[last] = f"$response.body#{origin.pointer}"
    success = min(status for status in giving["responses"] if status.startswith("2"))
    links = giving["responses"][success].setdefault("links", {})
    links[name] = {
        "operationId": name,
        "parameters": values,
        "description": f"The id that this answers with is `{last}` of `{path}`.",
    }


def _path_parameters(operation: dict[str, Any]) -> list[str]:
    return [item["name"] for item in operation.get("parameters", ()) if item["in"] == "path"]
