"""`Idempotency-Key`: requests that may be sent again (IETF draft idempotency-key-header).

What stands around a handler that takes one. It begins where the caller is known and the body is
understood, and it ends before anything is sent. Which answers are kept is decided here: those that
would come out the same. How they are kept is `crossdock.idempotency`'s work.
"""

import functools
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, cast

from litestar import Litestar, Response
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from crossdock.errors import KeyMissing, Malformed, Refused
from crossdock.idempotency.model import Answer, Claim
from crossdock.idempotency.service import Idempotency
from crossdock.idempotency.vault import Vault
from crossdock.tenancy.rules import PLATFORM
from gateway.declarations import Atomic, Declared, Scoped
from gateway.errors import to_problem
from gateway.request import ApiRequest

HEADER: Final = "idempotency-key"
REPLAYED: Final = "Idempotency-Replayed"
MAX_KEY: Final = 255

UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})

KEPT_REFUSALS: Final = frozenset({400, 404, 413, 415, 422})
"""What comes out the same when it is asked again. Others pass: a conflict is solved, a permission
given, a limit is for a moment. Of strangers none is kept: nonsense costs them nothing to send, and
would cost us a row for a day."""

KEPT_HEADERS: Final = frozenset({"content-type", "location", "etag"})
SECRET_HEADERS: Final = frozenset({"set-cookie"})
"""Kept too, where the answer may hold a secret."""

_VISIBLE: Final = range(0x21, 0x7F)

Handle = Callable[..., Awaitable[Any]]


def install(app: Litestar, service: Idempotency, vault: Vault) -> None:
    """Have every handler that takes a key take it.

    Raises:
        TypeError: a handler that changes something does not say whether it takes one.
    """
    for handler in changing(app):
        declared = declaration(handler)
        if isinstance(declared, str):
            continue
        # As Litestar itself puts another function in a handler's place, at registration.
        handler._fn = _Keyed(handler, declared, service, vault).wrapped()  # noqa: SLF001


def changing(app: Litestar) -> Iterator[HTTPRouteHandler]:
    """Return the handlers that may change something."""
    seen = set()
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if handler.http_methods & UNSAFE and id(handler) not in seen:
                seen.add(id(handler))
                yield handler


def declaration(handler: HTTPRouteHandler) -> Declared | str:
    """Return what a handler declares: how it takes a key, or why it takes none.

    Raises:
        TypeError: it is not exactly one of these.
    """
    found = handler.opt.get("idempotency")
    reason = handler.opt.get("no_key")
    if isinstance(found, Declared) and reason is None:
        return found
    if found is None and isinstance(reason, str) and reason:
        return reason
    raise TypeError(f"{handler} declares neither `idempotency` nor `no_key`, or both.")


def key_of(request: ApiRequest) -> str | None:
    """Return a request's key: a structured field's string (RFC 9651, 3.3.3), or a bare word.

    Raises:
        Malformed: it is there more than once, or is none.
    """
    sent = request.headers.getall(HEADER, [])
    if not sent:
        return None
    if len(sent) > 1:
        raise Malformed("Idempotency-Key is there more than once.")
    text = sent[0].strip(" \t")
    key = _unquoted(text) if text.startswith('"') else text
    if not 1 <= len(key) <= MAX_KEY or any(ord(letter) not in _VISIBLE for letter in key):
        raise Malformed(
            f"Idempotency-Key has 1 to {MAX_KEY} visible ASCII characters, in quotes or without."
        )
    return key


def _unquoted(text: str) -> str:
    """Return what stands between quotes; an empty text, which no key is, where they don't match."""
    letters = iter(text[1:])
    found: list[str] = []
    for letter in letters:
        if letter == '"':
            return "" if next(letters, None) is not None else "".join(found)
        if letter == "\\":
            escaped = next(letters, "")
            if escaped not in {'"', "\\"}:
                return ""
            found.append(escaped)
        else:
            found.append(letter)
    return ""


class _Keyed:
    """A handler that takes a key."""

    def __init__(
        self, handler: HTTPRouteHandler, declared: Declared, service: Idempotency, vault: Vault
    ) -> None:
        self._handler = handler
        self._handle: Handle = handler.fn
        self._declared = declared
        self._vault = vault
        self._once = service.atomic if isinstance(declared, Atomic) else service.apart

    def wrapped(self) -> Handle:
        """Return the function that stands in the handler's place.

        Raises:
            TypeError: the handler does not ask for its request, or for the body that it names.
        """
        names = self._handler.parsed_fn_signature.parameters
        if "request" not in names or (isinstance(self._declared, Scoped) and "data" not in names):
            raise TypeError(f"{self._handler} takes no `request`, or no `data` to be scoped by.")

        @functools.wraps(self._handle)
        async def keyed(**arguments: Any) -> Any:
            request: ApiRequest = arguments["request"]
            key = key_of(request)
            if key is None:
                if self._declared.required:
                    raise KeyMissing
                return await self._handle(**arguments)
            acting = _Acting(self._handler, self._handle, self._declared, arguments)
            before = await self._once(await self._claim(request, key, arguments), acting.act)
            return acting.result() if before is None else _Prepared(_again(before))

        return keyed

    async def _claim(self, request: ApiRequest, key: str, arguments: dict[str, Any]) -> Claim:
        tenant_id, scope = PLATFORM, ""
        if isinstance(self._declared, Scoped):
            about = getattr(arguments["data"], self._declared.by)
            scope = f"address {request.origin.address} {about}"
        else:
            tenant_id, actor = request.tenant_id, request.auth.actor
            scope = f"{actor.kind} {actor.id}"
            if self._handler.opt.get("user"):
                # About one's own account it matters which session asks: to sign out in one is not
                # to have signed out in the other.
                scope += f" session {request.auth.session_id}"
        return Claim(
            tenant_id=tenant_id,
            digest=self._vault.digest(tenant_id, scope, key),
            fingerprint=self._vault.fingerprint(
                request.method.encode(),
                request.scope["path"].encode(),
                request.scope["query_string"],
                request.headers.get("if-match", "").encode(),
                await request.body(),
            ),
            is_secret=self._declared.secret,
        )


class _Acting:
    """One run of a handler, whose outcome is the answer now and may be kept for later."""

    def __init__(
        self,
        handler: HTTPRouteHandler,
        handle: Handle,
        declared: Declared,
        arguments: dict[str, Any],
    ) -> None:
        self._handler = handler
        self._handle = handle
        self._arguments = arguments
        self._headers = KEPT_HEADERS | SECRET_HEADERS if declared.secret else KEPT_HEADERS
        self._refusals = frozenset[int]() if isinstance(declared, Scoped) else KEPT_REFUSALS
        self._response: ASGIResponse | None = None
        self._error: Refused | None = None

    async def act(self) -> Answer | None:
        """Run it, and return what is to be kept of the answer, if it is."""
        request = self._arguments["request"]
        try:
            made = await self._handle(**self._arguments)
        except Refused as error:
            self._error = error
            if error.status not in self._refusals:
                return None
            refusal = to_problem(request, error)
            return self._kept(refusal.to_asgi_response(None, request))
        self._response = await self._rendered(made, request)
        return self._kept(self._response)

    def result(self) -> Response[Any]:
        """Return the answer, or raise the refusal, as if there had been no key."""
        if self._error is not None:
            raise self._error
        assert self._response is not None  # noqa: S101 - it has acted, so it is one of the two
        return _Prepared(self._response)

    async def _rendered(self, made: Any, request: ApiRequest) -> ASGIResponse:
        response = await self._handler.to_response(app=request.app, data=made, request=request)
        return cast("ASGIResponse", response)

    def _kept(self, response: ASGIResponse) -> Answer:
        headers = [
            (name.decode("latin-1").lower(), value.decode("latin-1"))
            for name, value in response.encode_headers()
        ]
        kept = tuple(pair for pair in headers if pair[0] in self._headers)
        return Answer(response.status_code, kept, bytes(response.body))


class _Prepared(Response[Any]):
    """A response that is rendered already."""

    def __init__(self, response: ASGIResponse) -> None:
        super().__init__(b"", status_code=response.status_code)
        self._prepared = response

    def to_asgi_response(self, *_arguments: Any, **_options: Any) -> ASGIResponse:
        """Return it."""
        return self._prepared


def _again(answer: Answer) -> ASGIResponse:
    return ASGIResponse(
        body=answer.body,
        headers=[*answer.headers, (REPLAYED, "true")],
        status_code=answer.status,
    )
