"""Charges requests to whoever sends them, and says in every answer what is left.

A request is charged once. Whose credential is good is charged by it, and everything else by its
address: public handlers, refused credentials, and what leads nowhere. Probes, published keys and
explanations of problems (`unmetered=True` on the handler) are free, for they must not be refused.
"""

from collections.abc import Callable
from typing import Any, Final, Self
from uuid import UUID

from litestar import Request, Response
from litestar.exceptions import HTTPException

from crossdock.access.model import Principal
from crossdock.config import Settings
from crossdock.errors import Refused, TooManyRequests
from crossdock.limits.service import Limits, over
from crossdock.native import Taken
from crossdock.secrets.derive import derive
from gateway.asgi import Application, Header, Message, Receive, Scope, Send, problem
from gateway.edge.addresses import Proxies
from gateway.problems import instance_of
from proto.settings import TenantSettings

TAKEN: Final = "crossdock.taken"
"""Where a request's scope keeps what was decided of it."""

BAD_REQUEST: Final = 400
TOO_MANY: Final = 429
SERVER_ERROR: Final = 500
_RETRY: Final = b"retry-after"
_FORWARDED: Final = b"x-forwarded-for"

_LABEL: Final = "rate limits of addresses"

Answering = Callable[[Request[Any, Any, Any], Exception], Response[bytes]]


class Meter:
    """Charges the requests of one gateway process."""

    def __init__(self, limits: Limits, proxies: Proxies) -> None:
        self.limits: Final = limits
        self._proxies = proxies

    @classmethod
    def open(cls, settings: Settings, tenant: Callable[[UUID], TenantSettings | None]) -> Self:
        """Open the table that the settings name, or one of this process's own.

        Args:
            settings: all of them.
            tenant: returns what is known of a tenant.

        Raises:
            ConfigurationError: a setting is out of range.
        """
        # Every gateway of an installation has this key, and nobody else.
        salt = derive((settings.keys.identity or "").encode(), _LABEL)
        limits = Limits(settings.limits, tenant=tenant, salt=salt)
        return cls(limits, Proxies(settings.gateway.trusted_proxies))

    def caller(self, scope: Any, principal: Principal) -> None:
        """Charge a request to its verified caller.

        Raises:
            TooManyRequests: the caller, or its tenant, has none left.
        """
        _decide(scope, self.limits.take(self.limits.of_caller(principal)))

    def stranger(self, scope: Any) -> None:
        """Charge a request to its address.

        Raises:
            TooManyRequests: the address has none left.
        """
        _decide(scope, self.take_address(scope))

    def look(self, scope: Any) -> None:
        """Refuse a credential from where too many were refused, before it costs a look-up.

        Only one that is not known to be good is looked at: nobody locks out their neighbours.

        Raises:
            TooManyRequests: there were too many.
        """
        seen = self.limits.peek(self.limits.of_guesses(self.address(scope)))
        if not seen.admitted:
            _decide(scope, seen)

    def refused(self, scope: Any) -> None:
        """Charge a credential that is no good to its address.

        Raises:
            TooManyRequests: there were too many.
        """
        _decide(scope, self.limits.take(self.limits.of_guesses(self.address(scope))))

    def free(self, scope: Any) -> None:
        """Charge nothing, and tell what is left to the address."""
        scope[TAKEN] = self.peek_address(scope)

    def take_address(self, scope: Any) -> Taken:
        """Count against the address of a request."""
        return self.limits.take(self.limits.of_address(self.address(scope)))

    def peek_address(self, scope: Any) -> Taken:
        """Return what is left to the address of a request."""
        return self.limits.peek(self.limits.of_address(self.address(scope)))

    def address(self, scope: Any) -> str:
        """Return where a request comes from, past the proxies that are trusted."""
        client = scope.get("client")
        forwarded = [
            value.decode("latin-1") for name, value in scope["headers"] if name == _FORWARDED
        ]
        return self._proxies.client(client[0] if client else "", forwarded)

    def charging(self, answer: Answering) -> Answering:
        """Return a handler of errors that charges refusals nobody was charged for to the address.

        No credential, a path that leads nowhere, a method that is not taken: once an address has
        had too many of them, it is told that instead.
        """

        def charge(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
            if TAKEN not in request.scope and _is_refusal(error):
                try:
                    self.stranger(request.scope)
                except TooManyRequests as over:
                    return answer(request, over)
            return answer(request, error)

        return charge


class Metered:
    """Middleware around everything: every answer says what is left."""

    def __init__(self, app: Application, meter: Meter) -> None:
        self._app = app
        self._meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["method"] == "OPTIONS" and not _has_credential(scope):
            # A browser's question whether it may ask: the edge answers it without any handler.
            taken = scope[TAKEN] = self._meter.take_address(scope)
            if not taken.admitted:
                await _refuse(scope, taken, send)
                return

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                if TAKEN not in scope:
                    self._meter.free(scope)
                message["headers"] = told(message, scope[TAKEN])
            await send(message)

        await self._app(scope, receive, tell)


def told(message: Message, taken: Taken) -> list[Header]:
    """Return the headers of an answer with those of the limits.

    Where a request is refused for its number, by a limit or by a count of tries, nobody is asked to
    come again before the limits would let them.
    """
    headers = list(message.get("headers", ()))
    if message["status"] != TOO_MANY:
        return [*headers, *(pair for pair in taken.headers if pair[0] != _RETRY)]
    waits = [int(value) for name, value in headers if name.lower() == _RETRY]
    wait = max(taken.retry_after_s, taken.reset_s, *waits, 1)
    kept = [pair for pair in headers if pair[0].lower() != _RETRY]
    added = [pair for pair in taken.headers if pair[0] != _RETRY]
    return [*kept, *added, (_RETRY, b"%d" % wait)]


async def _refuse(scope: Scope, taken: Taken, send: Send) -> None:
    error = over(taken)
    instance = instance_of(scope["path"])
    refusal = problem(429, error.problem, str(error), instance=instance, policies=error.policies)
    await send({**refusal.start, "headers": told(refusal.start, taken)})
    await send(refusal.body)


def _has_credential(scope: Scope) -> bool:
    return any(name == b"authorization" for name, _ in scope["headers"])


def _decide(scope: Any, taken: Taken) -> None:
    scope[TAKEN] = taken
    if not taken.admitted:
        raise over(taken)


def _is_refusal(error: Exception) -> bool:
    if isinstance(error, HTTPException):
        return error.status_code < SERVER_ERROR
    return isinstance(error, Refused)
