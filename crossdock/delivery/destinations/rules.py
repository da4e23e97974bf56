"""Rules of destinations: what fits together, and how it is spelled. Pure.

Addresses are the guard's business (`crossdock.delivery.guard`), certificates are
`certificates`' and headers are `headers`'.
"""

import re
from ipaddress import AddressValueError, IPv4Address
from types import NoneType
from typing import Final
from urllib.parse import urlsplit

from crossdock.delivery.destinations.credentials import (
    Auth,
    BasicAuth,
    BearerAuth,
    ClientCredentials,
)
from crossdock.delivery.destinations.model import (
    DestinationEdit,
    InboxSettings,
    Kind,
    NatsSettings,
    Order,
    Settings,
    StorageSettings,
)
from crossdock.errors import Violation

_AUTHS: Final[dict[Kind, frozenset[str]]] = {
    "http": frozenset({"basic", "bearer", "oauth2", "mtls"}),
    "nats": frozenset(),
    "inbox": frozenset(),
    "storage": frozenset({"s3"}),
}
_SETTINGS: Final[dict[Kind, tuple[type, ...]]] = {
    "http": (NoneType,),
    "nats": (NatsSettings,),
    "inbox": (InboxSettings, NoneType),
    "storage": (StorageSettings,),
}
_SUBJECT: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_BUCKET: Final = re.compile(
    r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
)
_PREFIX: Final = re.compile(r"(?:[A-Za-z0-9!_.*'()=-]+/)*[A-Za-z0-9!_.*'()=-]*")
_REGION: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_ESCAPES: Final = re.compile(r"~(?![01])")


def type_of(auth: Auth | None) -> str:
    """Return the name of a way to convince a destination."""
    return "none" if auth is None else str(auth.__struct_config__.tag)


def check_kind(edit: DestinationEdit, kind: Kind) -> list[Violation]:
    """Return what does not belong to a destination of that kind, or is missing."""
    found = []
    if kind == "http" and not edit.url:
        found.append(Violation("/url", "A destination of the kind `http` has a URL."))
    if kind != "http" and edit.url:
        found.append(Violation("/url", f"A destination of the kind `{kind}` has no URL."))
    if kind != "http" and edit.headers:
        detail = f"A destination of the kind `{kind}` has no headers of its own."
        found.append(Violation("/headers", detail))
    if not isinstance(edit.settings, _SETTINGS[kind]):
        detail = f"These are not what a destination of the kind `{kind}` has."
        found.append(Violation("/settings", detail))
    named = type_of(edit.auth)
    if named != "none" and named not in _AUTHS[kind]:
        detail = f"A destination of the kind `{kind}` is not called with `{named}`."
        found.append(Violation("/auth/type", detail))
    if kind == "storage" and edit.auth is None:
        found.append(Violation("/auth", "A destination of the kind `storage` needs keys: `s3`."))
    if _sets_authorization(edit):
        detail = "`auth` sets this header already."
        found.append(Violation("/headers/authorization", detail))
    return found


def _sets_authorization(edit: DestinationEdit) -> bool:
    """Tell whether the same header would be there twice."""
    return isinstance(edit.auth, BasicAuth | BearerAuth | ClientCredentials) and any(
        name.lower() == "authorization" for name in edit.headers
    )


def check_settings(settings: Settings | None) -> list[Violation]:
    """Return what is wrong with the spelling of what only one kind has."""
    match settings:
        case NatsSettings():
            holds = _SUBJECT.fullmatch(settings.subject) is not None
            detail = "A subject is tokens of letters, digits, `-` and `_`, with dots between them."
            return [] if holds else [Violation("/settings/subject", detail)]
        case StorageSettings():
            return _check_storage(settings)
        case InboxSettings() | None:
            return []


def _check_storage(settings: StorageSettings) -> list[Violation]:
    found = []
    if not _is_bucket(settings.bucket):
        detail = "A bucket's name is lower-case letters, digits, hyphens and dots, as S3 has them."
        found.append(Violation("/settings/bucket", detail))
    if not _PREFIX.fullmatch(settings.prefix) or _climbs(settings.prefix):
        detail = "A prefix is letters, digits and !_.*'()=- between single slashes; no `.` or `..`."
        found.append(Violation("/settings/prefix", detail))
    if not _REGION.fullmatch(settings.region):
        detail = "A region is lower-case letters and digits, with hyphens between them."
        found.append(Violation("/settings/region", detail))
    if settings.endpoint is not None and not _is_bare(settings.endpoint):
        detail = "An endpoint is a scheme and a host; no path, no query."
        found.append(Violation("/settings/endpoint", detail))
    return found


def _is_bucket(name: str) -> bool:
    if not _BUCKET.fullmatch(name) or name.startswith("xn--"):
        return False
    try:
        IPv4Address(name)
    except AddressValueError:
        return True
    return False


def _climbs(prefix: str) -> bool:
    return any(part in {".", ".."} for part in prefix.split("/"))


def _is_bare(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
    except ValueError:
        return False
    return parts.path in {"", "/"} and not parts.query


def check_order(order: Order) -> list[Violation]:
    """Return what is wrong with the key that deliveries are ordered by."""
    if order.by == "source":
        return []
    if not order.by.startswith("/") or _ESCAPES.search(order.by):
        return [Violation("/order/by", "This is neither `source` nor a JSON pointer (RFC 6901).")]
    return []


def check_text(edit: DestinationEdit) -> list[Violation]:
    """Return which sources have characters that the database can't store."""
    return [
        Violation(f"/{name}", "It has characters that can't be stored.")
        for name, text in (("filter", edit.filter), ("transform", edit.transform))
        if text is not None and ("\0" in text or not _is_text(text))
    ]


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def address_of(kind: Kind, url: str, settings: Settings | None) -> str:
    """Return what is kept as the URL: where it is called, or nothing where no call is made."""
    if kind == "storage" and isinstance(settings, StorageSettings):
        return settings.endpoint or f"https://s3.{settings.region}.amazonaws.com"
    return url if kind == "http" else ""


def settings_of(kind: Kind, given: Settings | None) -> Settings | None:
    """Return the settings of a destination of that kind; an inbox needs none to be given."""
    return InboxSettings() if kind == "inbox" and given is None else given
