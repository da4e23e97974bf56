"""The guard in front of every handler: who is asking, and may they?

A handler declares exactly one of these. One that declares nothing, or two, is closed to everybody;
a test finds it before that.

- `public=True`: anybody, with no credential.
- `user=True`: what a signed-in person does about their own account. Neither keys nor an operator's
  support access have one.
- `permissions={"resource:action"}`: whoever holds all of them in their own tenant; an empty set is
  for any credential.
- `operator={"resource:action"}`: the same, but only for those who belong to the platform's tenant.

The same guard charges each request to whoever sends it (`gateway.limits`).

A browser's session is in a cookie, which counts where no `Authorization` header is there: see
`gateway.cookies`.

Here, and nowhere else in the gateway, is the tenant of a request bound (`crossdock.context`).
"""

from functools import partial
from typing import Any, Final, Literal, Protocol, cast

import msgspec
import structlog
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard, HTTPScope
from opentelemetry import trace

from crossdock import context, ids
from crossdock.access.model import Principal
from crossdock.access.rules import KEY_PREFIX, authorise
from crossdock.errors import Forbidden, InvalidToken, Unauthenticated
from crossdock.tenancy.rules import PLATFORM
from gateway.cookies import ACCESS, Browsers, cookie_of, is_by_cookie
from gateway.limits import Meter

SCHEME: Final = "bearer"
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, 9.2.1): all that support access may use."""

AGAIN: Final = "crossdock.again"
"""Where a request's scope keeps what verifies its caller once more: for what outlasts a moment."""

AnyConnection = ASGIConnection[Any, Any, Any, Any]


class Verifier(Protocol):
    """Knows one kind of credential."""

    def knows(self, text: str) -> bool:
        """Tell whether it was good when it was last verified here, a short while ago."""

    async def verify(self, text: str) -> Principal:
        """Return who presents it.

        Raises:
            Unauthenticated: it is unknown, mistyped, expired or revoked.
        """


class Access(msgspec.Struct, frozen=True):
    """What a handler declares."""

    kind: Literal["public", "user", "permissions", "operator"]
    permissions: frozenset[str] = frozenset()


def guard_with(keys: Verifier, tokens: Verifier, meter: Meter, browsers: Browsers) -> Guard:
    """Return the guard of a whole application, for API keys and for access tokens."""

    async def guard(connection: AnyConnection, handler: BaseRouteHandler) -> None:
        access = access_of(handler)
        scope = connection.scope
        if access is not None and access.kind == "public":
            (meter.free if handler.opt.get("unmetered") else meter.stranger)(scope)
            return
        in_cookie = is_by_cookie(connection)
        text = cookie_of(connection, ACCESS) if in_cookie else bearer(connection)
        verifier = keys if text.startswith(KEY_PREFIX) and not in_cookie else tokens
        if not verifier.knows(text):
            meter.look(scope)
        try:
            principal = await verifier.verify(text)
        except Unauthenticated as error:
            meter.refused(scope)
            raise InvalidToken from error
        enter(principal)
        connection.scope["auth"] = principal
        cast("Any", scope)[AGAIN] = partial(_again, verifier, text, access)
        meter.caller(scope, principal)
        method = cast("HTTPScope", scope)["method"]
        if in_cookie and method not in SAFE:
            browsers.check_page(connection)
            browsers.check_token(connection, principal.session_id)
        admit(principal, access, method=method)

    return guard


async def _again(verifier: Verifier, text: str, access: Access | None) -> Principal:
    """Return who presents a credential by now, if that still admits to what was asked for.

    Raises:
        Refused: it does not.
        Unavailable: nobody can say at the moment.
    """
    principal = await verifier.verify(text)
    admit(principal, access, method="GET")
    return principal


def enter(principal: Principal) -> None:
    """Make the rest of a request its caller's tenant's: rows, log and trace.

    `gateway.context.Scoped` ends it with the request.
    """
    context.bind(principal.tenant_id)
    tenant = ids.encode("ten", principal.tenant_id)
    structlog.contextvars.bind_contextvars(tenant=tenant)
    trace.get_current_span().set_attribute("crossdock.tenant", tenant)


def admit(principal: Principal, access: Access | None, *, method: str) -> None:
    """Check that a caller may use a handler that declares this.

    Raises:
        Forbidden: it may not, or the handler does not say who may.
        TenantSuspended: its tenant is not active, and this would change something.
    """
    if access is None:
        raise Forbidden
    kind = principal.actor.kind
    if kind == "operator" and method not in SAFE:
        raise Forbidden("Support access is for looking: it changes nothing.")
    if access.kind == "user":
        if kind != "user":
            raise Forbidden("This is for people who are signed in, about their own account.")
        return
    if access.kind == "operator" and (principal.tenant_id != PLATFORM or kind == "operator"):
        raise Forbidden("This is for the operators of this installation.")
    authorise(principal, access.permissions)


def access_of(handler: BaseRouteHandler) -> Access | None:
    """Return what a handler declares, or `None` where that is not exactly one thing."""
    if handler.name is None and getattr(handler, "http_methods", None) == {"OPTIONS"}:
        # Litestar's own, one a path: it answers with the methods there are.
        return Access("permissions")
    found = [
        access
        for kind in ("public", "user", "permissions", "operator")
        if (access := _declared(kind, handler.opt.get(kind))) is not None
    ]
    return found[0] if len(found) == 1 else None


def _declared(kind: Any, value: Any) -> Access | None:
    if value is None:
        return None
    if kind in {"public", "user"}:
        return Access(kind) if value is True else None
    return Access(kind, frozenset(value))


def bearer(connection: AnyConnection) -> str:
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
