"""The routes of the REST API, read off the application."""

import re
from typing import Final

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

PUBLIC: Final = frozenset(
    {
        ("GET", "/.well-known/jwks.json"),
        ("GET", "/health/components"),
        ("GET", "/health/live"),
        ("GET", "/health/ready"),
        ("POST", "/v1/auth/login"),
        ("POST", "/v1/auth/password/reset"),
        ("POST", "/v1/auth/password/reset/confirm"),
        ("POST", "/v1/auth/refresh"),
        ("POST", "/v1/invitations/accept"),
        ("POST", "/v1/signup"),
        ("POST", "/v1/signup/verify"),
    }
)
"""All that is open to everybody: written out, so that nothing joins it unseen."""
PAGES: Final = ("/docs", "/problems", "/schema")
"""What is below these is open, too: pages for people, and the API's document. They hold nothing of
anybody's, and are no part of the document."""


NOBODYS: Final = frozenset({"/v1/source-presets/{preset_name}"})
"""What is named in their paths is the same for everybody."""


ENDLESS: Final = frozenset({"/v1/events/stream"})
"""What answers for as long as anybody listens: no walk through all routes waits for its end."""


def handlers(app: Litestar) -> list[tuple[str, str, HTTPRouteHandler]]:
    """Return method, path and handler of every route of ours."""
    return [
        (method, re.sub(r"{(\w+):\w+}", r"{\1}", route.path), handler)
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        for method in sorted(handler.http_methods)
        if method != "OPTIONS" and not route.path.startswith(PAGES)
    ]


def name_of(handler: HTTPRouteHandler) -> str:
    """Return the name of a handler's function, which the document calls its operation."""
    return handler.handler_name.rsplit(".", 1)[-1]


def takes_body(handler: HTTPRouteHandler) -> bool:
    """Tell whether a handler reads a body."""
    return "data" in handler.parsed_fn_signature.parameters
