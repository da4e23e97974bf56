"""What is checked of every request before its handler: query, headers, bodies, and OPTIONS.

A query parameter that nobody declared is refused: a misspelt filter must not filter nothing. So is
a precondition that nobody would look at, and a body that nobody would read.
"""

from functools import lru_cache
from typing import Any, Final, get_args

import msgspec
from litestar import Request, Response
from litestar.handlers import BaseRouteHandler
from litestar.params import HeaderParameter, ParameterKwarg, PathParameter, QueryParameter

from crossdock.errors import Invalid, Malformed, Violation
from gateway import entity_tags

SAFE: Final = frozenset({"GET", "HEAD"})

_ONCE: Final = {
    name.lower().encode(): name
    for name in ("Content-Type", "Idempotency-Key", "If-Match", "If-None-Match")
}
"""Headers that say one thing: of two, nobody knows which one the sender means."""
_CONDITIONS: Final = frozenset({b"if-none-match"})
_ALL_CONDITIONS: Final = _CONDITIONS | {b"if-match"}
_NOTHING: Final = frozenset({b"", b"{}"})


class Shape(msgspec.Struct, frozen=True):
    """What a handler takes."""

    query: frozenset[str]
    listed: frozenset[str]
    """Those of them that may be there more than once."""
    worded: frozenset[str]
    """Those of them that take any text, `null` too."""
    takes_body: bool
    takes_if_match: bool


async def check(request: Request[Any, Any, Any]) -> Response[None] | None:
    """Check a request, or answer it at once (`before_request`).

    Raises:
        Malformed: a header is there twice, or is one that this does not take.
        Invalid: a query parameter is unknown, or is there twice; or this takes no body.
    """
    if request.method == "OPTIONS":
        return _methods(request)
    shape = shape_of(request.route_handler)
    _check_headers(request, shape)
    _refuse_unknown(request, shape)
    if not shape.takes_body and request.method not in SAFE:
        await _refuse_body(request)
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


def _check_headers(request: Request[Any, Any, Any], shape: Shape) -> None:
    seen = [name for name, _ in request.scope["headers"] if name in _ONCE]
    found = [
        Violation(f"{_ONCE[name]}:", "This header is there more than once.")
        for name in sorted(set(seen))
        if seen.count(name) > 1
    ]
    if request.method not in SAFE:
        conditions = set(seen) & (_CONDITIONS if shape.takes_if_match else _ALL_CONDITIONS)
        found += [
            Violation(f"{_ONCE[name]}:", "This can't be made to depend on it.")
            for name in sorted(conditions)
        ]
    if found:
        raise Malformed(None, *found)
    if b"if-none-match" in seen:
        entity_tags.parse(entity_tags.IF_NONE_MATCH, request.headers["if-none-match"])


def _refuse_unknown(request: Request[Any, Any, Any], shape: Shape) -> None:
    sent = request.query_params
    if not sent:
        return
    known = shape.query
    found = [Violation(f"?{name}", "There is no such parameter.") for name in sent.keys() - known]
    found += [
        Violation(f"?{name}", "This parameter is there more than once.")
        for name in (sent.keys() & known) - shape.listed
        if len(sent.getall(name)) > 1
    ]
    # What is optional would take it for nothing, and filter nothing.
    found += [
        Violation(f"?{name}", "Leave a parameter out that is to have no value.")
        for name in (sent.keys() & known) - shape.worded
        if sent[name].lower() == "null"
    ]
    if found:
        raise Invalid(None, *sorted(found, key=lambda violation: violation.pointer))


async def _refuse_body(request: Request[Any, Any, Any]) -> None:
    """Refuse a body that would not be read: what its sender asks for would be left undone."""
    headers = request.headers
    if "transfer-encoding" not in headers and headers.get("content-length", "0") == "0":
        return
    if (await request.body()).strip() not in _NOTHING:
        raise Invalid(None, Violation("", "This takes no body."))


@lru_cache(maxsize=1024)
def shape_of(handler: BaseRouteHandler) -> Shape:
    """Return what a handler takes."""
    parameters = handler.parsed_fn_signature.parameters
    definitions = {
        name_on_the_wire(handler, name): parameter.kwarg_definition
        for name, parameter in parameters.items()
    }
    return Shape(
        query=frozenset(
            name for name, found in definitions.items() if isinstance(found, QueryParameter)
        ),
        listed=frozenset(
            name_on_the_wire(handler, name)
            for name, parameter in parameters.items()
            if parameter.is_non_string_sequence
        ),
        worded=frozenset(
            name_on_the_wire(handler, name)
            for name, parameter in parameters.items()
            if str in (parameter.annotation, *get_args(parameter.annotation))
        ),
        takes_body="data" in parameters,
        takes_if_match=isinstance(definitions.get("If-Match"), HeaderParameter),
    )


def pointer_of(handler: BaseRouteHandler, name: str) -> str:
    """Return where a sender finds a handler's parameter: see `crossdock.errors.Violation`."""
    parameter = handler.parsed_fn_signature.parameters.get(name)
    definition = None if parameter is None else parameter.kwarg_definition
    shown = name_on_the_wire(handler, name)
    if isinstance(definition, PathParameter):
        return f"{{{shown}}}"
    return f"{shown}:" if isinstance(definition, HeaderParameter) else f"?{shown}"


def name_on_the_wire(handler: BaseRouteHandler, name: str) -> str:
    """Return what senders call a handler's parameter."""
    parameter = handler.parsed_fn_signature.parameters.get(name)
    definition = None if parameter is None else parameter.kwarg_definition
    return (isinstance(definition, ParameterKwarg) and definition.name) or name
