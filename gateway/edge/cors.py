"""Which other origins' pages may call the REST API (https://fetch.spec.whatwg.org/#http-cors-protocol).

Origins are named one by one and compared as text: no wildcards, and never `null`, which is what
pages without an origin share. Credentials are never allowed: a page of another origin calls with a
token of its own, and the console's cookie is for pages that are served from here.
"""

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from crossdock.errors import ConfigurationError
from gateway.asgi import Answer, Header, Scope

SETTING: Final = "CROSSDOCK_GATEWAY__CORS_ORIGINS"
PREFLIGHT_AGE_S: Final = 600

METHODS: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE"
ACCEPTED: Final = (
    b"Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Traceparent"
)
"""Headers that such a page may send, beyond those that any page may."""
EXPOSED: Final = (
    b"Allow, ETag, Idempotency-Replayed, Link, Location, RateLimit, RateLimit-Policy, Retry-After,"
    b" WWW-Authenticate"
)
"""Headers of answers that such a page may read, beyond those that any page may."""

_VARY: Final[Header] = (b"vary", b"Origin")
_ASKING: Final = b"access-control-request-method"


class Cors:
    """The origins whose pages may call."""

    def __init__(self, origins: Iterable[str]) -> None:
        """Take the origins of the settings.

        Raises:
            ConfigurationError: one of them is no origin.
        """
        self._origins: Final = frozenset(checked(text.strip()).encode() for text in origins)

    def preflight(self, scope: Scope) -> Answer | None:
        """Return the answer to a browser that asks before a page of another origin calls.

        Whoever may not gets none: then it is a request like any other, and the browser gives up.
        """
        if not self._origins or scope["method"] != "OPTIONS":
            return None
        headers = scope["headers"]
        origin = self._allowed(headers)
        if origin is None or not any(name == _ASKING for name, _ in headers):
            return None
        start = {
            "type": "http.response.start",
            "status": 204,
            "headers": [
                (b"access-control-allow-origin", origin),
                (b"access-control-allow-methods", METHODS),
                (b"access-control-allow-headers", ACCEPTED),
                (b"access-control-max-age", str(PREFLIGHT_AGE_S).encode()),
                _VARY,
            ],
        }
        return Answer(start, {"type": "http.response.body", "body": b""})

    def headers(self, scope: Scope) -> tuple[Header, ...]:
        """Return what the answer to a request says of who may read it."""
        if not self._origins:
            return ()
        origin = self._allowed(scope["headers"])
        if origin is None:
            return (_VARY,)
        return (
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", EXPOSED),
            _VARY,
        )

    def _allowed(self, headers: Iterable[Header]) -> bytes | None:
        """Return the one origin of a request, if its pages may call."""
        found = [value for name, value in headers if name == b"origin"]
        return found[0] if len(found) == 1 and found[0] in self._origins else None


def checked(text: str) -> str:
    """Return an origin as browsers write it: scheme, host, and a port that is not the usual one.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise _no_origin(text) from error
    host = parts.hostname or ""
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    if usual is None or not host or text != text.lower() or not text.isascii():
        raise _no_origin(text)
    shown = f"[{host}]" if ":" in host else host
    suffix = "" if port is None else f":{port}"
    is_whole = text == f"{parts.scheme}://{shown}{suffix}"
    if not is_whole or port in {usual, 0} or not _is_host(host):
        raise _no_origin(text)
    return text


def _is_host(host: str) -> bool:
    return all(letter.isalnum() or letter in "-.:_" for letter in host)


def _no_origin(text: str) -> ConfigurationError:
    return ConfigurationError(
        f"{SETTING}: {text!r} is no origin. One is written like https://console.example.com, in"
        " lower case, with nothing behind the host but a port that is not the usual one."
    )
