"""What is checked of every request before its handler: query parameters, and OPTIONS.

A query parameter that nobody declared is refused: a misspelt filter must not filter nothing.
"""

from typing import Any

from litestar import Request, Response
from litestar.handlers import BaseRouteHandler
from litestar.params import ParameterKwarg, QueryParameter

from crossdock.errors import Invalid, Violation


async def check(request: Request[Any, Any, Any]) -> Response[None] | None:
    """Check a request, or answer it at once (`before_request`).

    Raises:
        Invalid: a query parameter is unknown, or is there twice.
    """
    if request.method == "OPTIONS":
        return _methods(request)
    _refuse_unknown(request)
    return None


def _methods(request: Request[Any, Any, Any]) -> Response[None]:
    """Tell which methods there are; Litestar's own answer forgets some of a path's handlers."""
    allowed = {
        method
        for route in request.app.routes
        if route.path_format == request.scope["path_template"]
        for method in getattr(route, "methods", ())
    }
    return Response(None, status_code=204, headers={"Allow": ", ".join(sorted(allowed))})


def _refuse_unknown(request: Request[Any, Any, Any]) -> None:
    sent = request.query_params
    if not sent:
        return
    known = declared(request.route_handler)
    found = [Violation(f"?{name}", "There is no such parameter.") for name in sent.keys() - known]
    found += [
        Violation(f"?{name}", "This parameter is there more than once.")
        for name in sent.keys() & known
        if len(sent.getall(name)) > 1
    ]
    if found:
        raise Invalid(None, *sorted(found, key=lambda violation: violation.pointer))


def declared(handler: BaseRouteHandler) -> set[str]:
    """Return the names of a handler's query parameters."""
    return {
        name_on_the_wire(handler, name)
        for name, parameter in handler.parsed_fn_signature.parameters.items()
        if isinstance(parameter.kwarg_definition, QueryParameter)
    }


def name_on_the_wire(handler: BaseRouteHandler, name: str) -> str:
    """Return what senders call a handler's parameter."""
    parameter = handler.parsed_fn_signature.parameters.get(name)
    definition = None if parameter is None else parameter.kwarg_definition
    return (isinstance(definition, ParameterKwarg) and definition.name) or name
