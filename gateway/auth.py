"""The guard in front of every handler: who is asking, and may they?

A handler declares `permissions={"resource:action"}`, an empty set for what any key may see, or
`public=True`. One that declares nothing is closed to everybody; a test finds it before that.
"""

from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from crossdock.access.authentication import Authenticator
from crossdock.access.rules import authorise
from crossdock.errors import Forbidden, Unauthenticated

SCHEME: Final = "bearer"

AnyConnection = ASGIConnection[Any, Any, Any, Any]


def guard_with(authenticator: Authenticator) -> Guard:
    """Return the guard of a whole application."""

    async def guard(connection: AnyConnection, handler: BaseRouteHandler) -> None:
        if handler.opt.get("public") is True:
            return
        principal = await authenticator.verify(_token(connection))
        wanted = declared_permissions(handler)
        if wanted is None:
            raise Forbidden
        authorise(principal, wanted)
        connection.scope["auth"] = principal

    return guard


def declared_permissions(handler: BaseRouteHandler) -> frozenset[str] | None:
    """Return what a handler needs, or `None` where it does not say."""
    if handler.name is None and getattr(handler, "http_methods", None) == {"OPTIONS"}:
        # Litestar's own, one a path: it answers with the methods there are.
        return frozenset()
    wanted = handler.opt.get("permissions")
    return None if wanted is None else frozenset(wanted)


def _token(connection: AnyConnection) -> str:
    """Return the bearer token (RFC 6750, 2.1).

    Raises:
        Unauthenticated: there is none, or more than one to choose from.
    """
    headers = connection.headers.getall("authorization", [])
    if len(headers) != 1:
        raise Unauthenticated
    scheme, _, token = headers[0].partition(" ")
    if scheme.lower() != SCHEME or not token:
        raise Unauthenticated
    return token.strip(" ")
