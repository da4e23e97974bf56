"""The OpenAPI 3.1 document: what Litestar derives from the handlers, made true.

Litestar documents its own error shape, which never leaves here: every error is a problem. It knows
nothing of permissions, which are on the handlers. And its schemas of msgspec Structs lose that
unknown fields are refused, and the rules of what lists hold: msgspec's own schemas do not.
"""

from typing import Any, Final

import msgspec
from litestar import Litestar, Request, Router
from litestar.connection import ASGIConnection
from litestar.exceptions import NotFoundException
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import (
    Components,
    OpenAPIHeader,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Parameter,
    Reference,
    Schema,
    SecurityScheme,
)

import crossdock
from gateway import problems
from gateway.auth import Access, access_of

PATH: Final = "/schema"
API_KEY: Final = "api_key"
ACCESS_TOKEN: Final = "access_token"  # noqa: S105 - a scheme's name
_REFERENCE: Final = Reference("#/components/responses/Problem")
_METHODS: Final = ("get", "post", "put", "patch", "delete")

_TEXT: Final = Schema(type=OpenAPIType.STRING)
_PROBLEM: Final = Schema(
    title="Problem",
    description="Problem details, RFC 9457.",
    type=OpenAPIType.OBJECT,
    required=["type", "title", "status"],
    properties={
        "type": Schema(type=OpenAPIType.STRING, description="Stable: what programs compare."),
        "title": _TEXT,
        "status": Schema(type=OpenAPIType.INTEGER),
        "detail": _TEXT,
        "instance": _TEXT,
        "errors": Schema(
            type=OpenAPIType.ARRAY,
            items=Schema(
                type=OpenAPIType.OBJECT,
                required=["pointer", "detail"],
                properties={
                    "pointer": Schema(
                        type=OpenAPIType.STRING,
                        description="JSON pointer into the body, or `?name` of a parameter.",
                    ),
                    "detail": _TEXT,
                },
            ),
        ),
    },
)


def config() -> OpenAPIConfig:
    """Return the settings of the document; it is served to any key, as JSON, with no assets."""
    return OpenAPIConfig(
        title="Crossdock",
        version=crossdock.__version__,
        description="Webhooks in, durable, and on to where they are wanted.",
        use_handler_docstrings=True,
        operation_id_creator=_operation_id,
        security=[{API_KEY: []}, {ACCESS_TOKEN: []}],
        components=Components(
            security_schemes={
                API_KEY: SecurityScheme(
                    type="http", scheme="bearer", description="An API key: `cdk_…`."
                ),
                ACCESS_TOKEN: SecurityScheme(
                    type="http",
                    scheme="bearer",
                    bearer_format="JWT",
                    description="An access token: of somebody signed in, or of support access.",
                ),
            },
            responses={
                "Problem": OpenAPIResponse(
                    description="A problem.",
                    headers={
                        "Retry-After": OpenAPIHeader(
                            schema=Schema(type=OpenAPIType.INTEGER),
                            description="Seconds to wait, with 429 and 503.",
                        )
                    },
                    content={problems.CONTENT_TYPE: OpenAPIMediaType(schema=_PROBLEM)},
                )
            },
        ),
        openapi_router=Router(
            PATH,
            route_handlers=[],
            include_in_schema=False,
            opt={"permissions": frozenset()},
            guards=[_nothing_below],
        ),
        render_plugins=[_Document(path=["/", "/openapi.json"])],
    )


class _Document(JsonRenderPlugin):
    """The document as JSON, made once."""

    _text: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the document, with msgspec's schemas in place of Litestar's."""
        if self._text is None:
            _, schemas = msgspec.json.schema_components(
                _structs(request.app), ref_template="#/components/schemas/{name}"
            )
            components = {**openapi_schema["components"], "schemas": schemas}
            self._text = msgspec.json.encode({**openapi_schema, "components": components})
        return self._text


def _structs(app: Litestar) -> list[type[msgspec.Struct]]:
    """Return the types of all bodies, sent and answered."""
    found: dict[str, type[msgspec.Struct]] = {}
    for handler in _handlers(app):
        signature = handler.parsed_fn_signature
        sent = signature.parameters.get("data")
        returned = signature.return_type
        for definition in (sent, returned, *returned.inner_types):
            kind = None if definition is None else definition.annotation
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                found[kind.__name__] = kind
    return [found[name] for name in sorted(found)]


def _handlers(app: Litestar) -> list[HTTPRouteHandler]:
    return [
        handler
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        if isinstance(handler, HTTPRouteHandler)
    ]


def complete(app: Litestar) -> None:
    """Add to an application's document what only we know: problems and permissions."""
    handlers = {_operation_id(handler): handler for handler in _handlers(app)}
    for item in (app.openapi_schema.paths or {}).values():
        for method in _METHODS:
            operation = getattr(item, method)
            if operation is not None and operation.operation_id is not None:
                _complete(operation, handlers[operation.operation_id])


def _complete(operation: Operation, handler: HTTPRouteHandler) -> None:
    responses = operation.responses if operation.responses is not None else {}
    responses.pop("400", None)
    for status in sorted(_problem_statuses(operation, handler)):
        responses.setdefault(str(status), _REFERENCE)
    responses["default"] = _REFERENCE
    operation.responses = responses
    access = access_of(handler)
    if access is None:
        return
    if access.kind == "public":
        operation.security = []
    elif access.kind == "user":
        operation.security = [{ACCESS_TOKEN: []}]
    operation.description = "\n\n".join(filter(None, (operation.description, _needs(access))))


def _needs(access: Access) -> str:
    """Return who may, in words."""
    needs = f"Needs `{'`, `'.join(sorted(access.permissions))}`."
    match access.kind:
        case "public":
            return ""
        case "user":
            return "For people who are signed in, about their own account."
        case "operator":
            return f"For operators. {needs}"
        case _:
            return needs if access.permissions else "For any credential."


def _problem_statuses(operation: Operation, handler: HTTPRouteHandler) -> set[int]:
    access = access_of(handler)
    is_public = access is not None and access.kind == "public"
    if is_public and operation.request_body is None:
        return set()
    statuses = {503} if is_public else {401, 403, 503}
    parameters = [item for item in operation.parameters or () if isinstance(item, Parameter)]
    if any(item.param_in == "path" for item in parameters):
        statuses.add(404)
    if any(item.param_in == "query" for item in parameters):
        statuses.add(422)
    if any(item.name == "If-Match" for item in parameters):
        statuses |= {400, 412}
    if operation.request_body is not None:
        statuses |= {400, 408, 409, 413, 415, 422}
    return statuses


def _operation_id(handler: BaseRouteHandler, *_: Any) -> str:
    return handler.handler_name.rsplit(".", 1)[-1]


def _nothing_below(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Answer for unknown paths below the document, which Litestar would answer in HTML."""
    if connection.path_params:
        raise NotFoundException
