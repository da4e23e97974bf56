"""What only we know of an operation: who may use it, how it is repeated, how it fails."""

from typing import Any, Final

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from gateway.auth import Access, access_of
from gateway.declarations import Declared
from gateway.openapi.examples import EXAMPLES, IDS, TEXTS
from gateway.openapi.headers import headers
from gateway.openapi.responses import content_of, problem

API_KEY: Final = "api_key"
ACCESS_TOKEN: Final = "access_token"  # noqa: S105 - a scheme's name
METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})

IDEMPOTENCY_KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": (
        "A name of your own for this request, such as a UUID: the same request with the same key"
        " has its effect once, and the same answer for 24 hours. A structured-field string, or its"
        " text without quotes."
    ),
    "schema": {
        "type": "string",
        "pattern": r'^("([!#-\[\]-~]|\\["\\]){1,255}"|[!#-~][!-~]{0,254})$',
    },
}
IF_NONE_MATCH: Final[dict[str, Any]] = {
    "name": "If-None-Match",
    "in": "header",
    "description": "An `ETag` that was read: 304 if it is still so.",
    "required": False,
    "schema": {
        "type": "string",
        "pattern": r'^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$',
    },
}
_ID_PATTERN: Final = "^{prefix}[0-7][0-9a-hjkmnp-tv-z]{{25}}$"
_OTHER_NAMES: Final = frozenset({"number", "preset_name", "secret_id"})
"""What is named in paths by no TypeID."""
_SIGNING_IN: Final = frozenset({"login", "refresh", "confirm_password_reset"})
"""Public, and about a credential all the same."""
_CREATED: Final = "201"
_NOTHING: Final = "204"


def complete(operation: dict[str, Any], handler: HTTPRouteHandler) -> None:
    """Add to an operation what Litestar does not know of it."""
    access = access_of(handler) or Access("permissions")
    declared: Declared | None = handler.opt.get("idempotency")
    operation["summary"] = _summary(operation["operationId"])
    operation["parameters"] = [_mended(item) for item in operation.get("parameters", ())]
    if declared is not None:
        operation["parameters"].append(IDEMPOTENCY_KEY | {"required": declared.required})
    texts = (operation.get("description"), _needs(access), _repeats(handler))
    operation["description"] = "\n\n".join(filter(None, texts))
    if access.kind == "public":
        operation["security"] = []
    elif access.kind == "user":
        operation["security"] = [{ACCESS_TOKEN: []}]
    _mend_body(operation.get("requestBody", {}))
    _exemplify(operation.get("requestBody", {}))
    _complete_successes(operation, handler)
    if _is_kept(handler):
        operation["parameters"].append(IF_NONE_MATCH)
        operation["responses"]["304"] = {
            "description": "It is as it was.",
            "headers": headers("ETag"),
        }
    _add_problems(operation, _problem_statuses(operation, handler, access))
    operation.pop("deprecated", None)


def _summary(name: str) -> str:
    words = name.replace("_", " ").replace("api key", "API key").replace("jwks", "JWKS")
    return words[0].upper() + words[1:]


def _needs(access: Access) -> str:
    """Return who may, in words."""
    needs = f"Needs `{'`, `'.join(sorted(access.permissions))}`."
    match access.kind:
        case "public":
            return "For anybody: no credential is looked at."
        case "user":
            return "For people who are signed in, about their own account."
        case "operator":
            return f"For operators. {needs}"
        case _:
            return needs if access.permissions else "For any credential."


def _repeats(handler: HTTPRouteHandler) -> str:
    """Return what may be sent again, in words."""
    reason = handler.opt.get("no_key")
    if reason:
        return f"Takes no `Idempotency-Key`: {reason}"
    declared: Declared | None = handler.opt.get("idempotency")
    if declared is None:
        return ""
    return f"{'Needs' if declared.required else 'Takes'} an `Idempotency-Key`."


def _mended(parameter: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter as it is on the wire: there is no null there, only absence."""
    name, kept = parameter["name"], ("name", "in", "description", "required")
    schema = {key: value for key, value in parameter["schema"].items() if key != "description"}
    choices = [choice for choice in schema.pop("oneOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        schema = choices[0] | schema
    elif choices:
        schema["oneOf"] = choices
    if "null" in schema.get("type", ()):
        schema["type"] = next(kind for kind in schema["type"] if kind != "null")
        schema["enum"] = [value for value in schema["enum"] if value is not None]
    mended = {key: parameter[key] for key in kept if key in parameter} | {"schema": schema}
    if parameter["in"] == "path" and name in IDS:
        if name not in _OTHER_NAMES:
            prefix = str(IDS[name]).partition("_")[0] + "_"
            schema["pattern"] = _ID_PATTERN.format(prefix=prefix)
        mended["example"] = IDS[name]
    return mended


def _mend_body(body: dict[str, Any]) -> None:
    """Say of a body that may be left out just that: a null is not the same."""
    for content in body.get("content", {}).values():
        choices = content["schema"].get("oneOf", ())
        left = [choice for choice in choices if choice != {"type": "null"}]
        if len(left) == 1 < len(choices):
            content["schema"] = left[0]
            body["required"] = False


def _exemplify(carrier: dict[str, Any]) -> None:
    """Add its examples to what has content with schemas of ours."""
    for media_type, content in carrier.get("content", {}).items():
        if media_type in TEXTS:
            content["example"] = TEXTS[media_type]
        schema = content["schema"]
        if "oneOf" in schema:
            # One of them may fit what is another.
            schema["anyOf"] = schema.pop("oneOf")
        names = [
            item["$ref"].rpartition("/")[2]
            for item in schema.get("anyOf", (schema,))
            if "$ref" in item
        ]
        known = {name: {"value": EXAMPLES[name]} for name in names if name in EXAMPLES}
        if known:
            content.setdefault("examples", known)


def _complete_successes(operation: dict[str, Any], handler: HTTPRouteHandler) -> None:
    """Add headers and examples to the answers of success, which Litestar knows."""
    responses = operation["responses"]
    responses.pop("400", None)
    for status, response in responses.items():
        added = ["ETag"] if _is_tagged(handler) and status.startswith("2") else []
        added += ["Location"] if status == _CREATED else []
        added += ["Idempotency-Replayed"] if "idempotency" in handler.opt else []
        response["headers"] = headers(*added)
        if status == _NOTHING:
            response.pop("content", None)
        _exemplify(response)


def _is_tagged(handler: HTTPRouteHandler) -> bool:
    """Tell whether answers may have an `ETag`: who sets headers gives a `Response`."""
    return issubclass(handler.parsed_fn_signature.return_type.origin or object, Response)


def _is_kept(handler: HTTPRouteHandler) -> bool:
    """Tell whether what was read before may be asked for only if it has changed."""
    access = access_of(handler)
    is_public = access is not None and access.kind == "public"
    return _is_tagged(handler) and "GET" in handler.http_methods and not is_public


def _add_problems(operation: dict[str, Any], statuses: set[int]) -> None:
    """Add the problems of these statuses; a status may have an answer of another kind as well."""
    responses = operation["responses"]
    for status in sorted(statuses):
        known = responses.setdefault(str(status), problem(status))
        if "content" in known:
            known["content"] |= content_of(status)
    responses["default"] = problem()


def _problem_statuses(
    operation: dict[str, Any], handler: HTTPRouteHandler, access: Access
) -> set[int]:
    parameters = operation["parameters"]
    statuses = {405, 500, 503}
    if not handler.opt.get("unmetered"):
        statuses.add(429)
    if access.kind != "public":
        statuses |= {401, 403}
    elif operation["operationId"] in _SIGNING_IN:
        statuses.add(401)
    if any(item["in"] == "path" for item in parameters):
        statuses.add(404)
    if any(item["in"] == "query" for item in parameters):
        statuses.add(422)
    if any(item["name"] == "If-Match" for item in parameters):
        statuses |= {400, 412}
    if any(item["name"] == "If-None-Match" for item in parameters):
        statuses.add(400)
    if any(item["name"] == "Idempotency-Key" for item in parameters):
        statuses |= {400, 409, 422}
    if "requestBody" in operation:
        statuses |= {400, 408, 409, 413, 415, 422}
    return statuses
