"""The console's session: tokens in cookies that no script reads, and nobody else's page can use.

A browser sends cookies with whatever asks it to, so a cookie alone changes nothing. What changes
something also needs a token that only our own pages were told (`X-CSRF-Token`), and the browser's
word that one of them asks: `Sec-Fetch-Site`, or `Origin`. The token is a MAC of the session's id:
the session's own, with no storage, and ending with it. Going on with a session needs no such token,
for that is how a page that was loaded anew gets it; all it could change is the cookie itself.

Cookies are `__Host-` (RFC 6265bis, 4.1.3.2): only this host sets them, over HTTPS, for all paths.
"""

import base64
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from litestar import Response
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie

from crossdock import ids
from crossdock.errors import Forbidden, Unauthenticated
from crossdock.identity.sessions.model import TokenPair
from crossdock.secrets.derive import derive
from crossdock.secrets.seal import key_from_text

ACCESS: Final = "__Host-crossdock"
REFRESH: Final = "__Host-crossdock-refresh"
CSRF: Final = "x-csrf-token"

_LABEL: Final = "crossdock csrf token 1"
_USUAL_PORTS: Final = {"http": 80, "https": 443}

Connection = ASGIConnection[Any, Any, Any, Any]
T = TypeVar("T")


class BrowserSessionOut(msgspec.Struct, frozen=True, kw_only=True):
    """A session whose tokens are in cookies."""

    csrf_token: str
    """For the header `X-CSRF-Token` of every request that changes something."""
    expires_in: int
    """Seconds until the session has to be refreshed."""
    refresh_expires_at: datetime
    session_id: str


class Browsers:
    """Gives browsers their sessions, and tells their own requests from others'."""

    def __init__(self, identity_key: bytes, public_url: str) -> None:
        self._key = derive(identity_key, _LABEL)
        self._origin = origin_of(public_url)

    @classmethod
    def from_text(cls, text: str | None, public_url: str, *, setting: str) -> "Browsers":
        """Return them by a base64 key; `setting` is its name in errors.

        Raises:
            ConfigurationError: there is no key, or it isn't 32 bytes in base64.
        """
        return cls(key_from_text(text, setting=setting), public_url)

    def csrf_token(self, session_id: UUID) -> str:
        """Return the token of a session."""
        digest = hmac.digest(self._key, session_id.bytes, "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def check_token(self, connection: Connection, session_id: UUID | None) -> None:
        """Check that whoever asks was told the token of the cookie's session.

        Raises:
            Forbidden: there is none, or it is another session's.
        """
        sent = connection.headers.getall(CSRF, [])
        wanted = "" if session_id is None else self.csrf_token(session_id)
        is_right = len(sent) == 1 and hmac.compare_digest(sent[0].encode(), wanted.encode())
        if not wanted or not is_right:
            raise Forbidden("A session in a cookie changes things only with its X-CSRF-Token.")

    def check_page(self, connection: Connection) -> None:
        """Check that the browser says that one of our own pages asks.

        Raises:
            Forbidden: it says that another does, or nothing.
        """
        origins = connection.headers.getall("origin", [])
        sites = connection.headers.getall("sec-fetch-site", [])
        told = [origin == self._origin for origin in origins]
        told += [site == "same-origin" for site in sites]
        if not told or not all(told):
            raise Forbidden("A session in a cookie is for pages that are served from here.")

    def opened(self, pair: TokenPair) -> Response[Any]:
        """Return the answer that puts a session's tokens into cookies."""
        left_s = (pair.refresh_expires_at - datetime.now(UTC)).total_seconds()
        shown = BrowserSessionOut(
            csrf_token=self.csrf_token(pair.session_id),
            expires_in=pair.expires_in,
            refresh_expires_at=pair.refresh_expires_at,
            session_id=ids.encode("ses", pair.session_id),
        )
        return Response(
            shown,
            cookies=[
                _cookie(ACCESS, pair.access_token, pair.expires_in),
                _cookie(REFRESH, pair.refresh_token, max(0, int(left_s))),
            ],
        )


def closed(content: T) -> Response[T]:
    """Return an answer that takes the cookies away."""
    return Response(content, cookies=[_cookie(ACCESS, "", 0), _cookie(REFRESH, "", 0)])


def is_by_cookie(connection: Connection) -> bool:
    """Tell whether a cookie says who asks: it does where no credential is shown."""
    return not connection.headers.getall("authorization", []) and _has(connection, ACCESS)


def cookie_of(connection: Connection, name: str) -> str:
    """Return the value of a cookie.

    Raises:
        Unauthenticated: there is none, or more than one to choose from.
    """
    found = list(_values(connection, name))
    if len(found) != 1 or not found[0]:
        raise Unauthenticated
    return found[0]


def has_refresh(connection: Connection) -> bool:
    """Tell whether a request carries a session to go on with."""
    return _has(connection, REFRESH)


def origin_of(url: str) -> str:
    """Return the origin of an address as browsers write it (RFC 6454, 6.1)."""
    parts = urlsplit(url.lower())
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    port = parts.port
    suffix = "" if port in {None, _USUAL_PORTS.get(parts.scheme)} else f":{port}"
    return f"{parts.scheme}://{shown}{suffix}"


def _has(connection: Connection, name: str) -> bool:
    return any(True for _ in _values(connection, name))


def _values(connection: Connection, name: str) -> Iterable[str]:
    """Return all values under a cookie's name; its case counts."""
    for header in connection.headers.getall("cookie", []):
        for pair in header.split(";"):
            key, found, value = pair.strip(" \t").partition("=")
            if found and key == name:
                yield value


def _cookie(name: str, value: str, max_age_s: int) -> Cookie:
    return Cookie(
        key=name,
        value=value,
        path="/",
        max_age=max_age_s,
        secure=True,
        httponly=True,
        samesite="strict",
    )
