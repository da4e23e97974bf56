"""The handlers of an application, by the names their operations have."""

from typing import Any

from litestar import Litestar
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler


def operation_id(handler: BaseRouteHandler, *_: Any) -> str:
    """Return the name of a handler's operation: the function's."""
    return handler.handler_name.rsplit(".", 1)[-1]


def handlers_of(app: Litestar) -> dict[str, HTTPRouteHandler]:
    """Return an application's handlers by their operations' names."""
    return {
        operation_id(handler): handler
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        if isinstance(handler, HTTPRouteHandler)
    }
