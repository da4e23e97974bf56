"""All that is checked of a destination before it is saved, in one place."""

from datetime import datetime

import msgspec

from crossdock.delivery import rules as delivery_rules
from crossdock.delivery.destinations import rules
from crossdock.delivery.destinations.certificates import check_certificate
from crossdock.delivery.destinations.credentials import Auth, ClientCredentials, MutualTls
from crossdock.delivery.destinations.headers import check_headers
from crossdock.delivery.destinations.model import DestinationEdit, Kind, StorageSettings
from crossdock.delivery.guard import Guard
from crossdock.errors import Invalid, Violation
from crossdock.routing import check_filter
from crossdock.transforms.rules import check_transform


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What an installation allows any destination."""

    timeout_s: float
    concurrency: int


def check(
    edit: DestinationEdit,
    kind: Kind,
    guard: Guard,
    limits: Limits,
    now: datetime,
    *,
    credentials: bool = True,
) -> None:
    """Hold a destination to all rules that need no database.

    Args:
        edit: The destination.
        kind: Of what kind it is.
        guard: Says what may be called.
        limits: The installation's.
        now: The moment at which certificates must be valid.
        credentials: Whether headers and `auth` are new; what was saved is not refused later only
            because it has expired since.

    Raises:
        Invalid: it breaks some; the pointers say where.
    """
    found = rules.check_kind(edit, kind)
    if kind == "http" and edit.url:
        found += guard.check_url(edit.url)
    found += delivery_rules.check_types(edit.event_types)
    found += rules.check_settings(edit.settings)
    found += rules.check_text(edit) or _check_sources(edit)
    if isinstance(edit.settings, StorageSettings) and edit.settings.endpoint is not None:
        found += guard.check_url(edit.settings.endpoint, "/settings/endpoint")
    if edit.order is not None:
        found += rules.check_order(edit.order)
    if edit.retry is not None:
        found += delivery_rules.check_policy(edit.retry)
    found += _check_limits(edit, limits)
    if credentials:
        found += check_headers(edit.headers)
        found += _check_auth(edit.auth, guard, now)
    if found:
        raise Invalid(None, *found)


def _check_sources(edit: DestinationEdit) -> list[Violation]:
    """Return what is wrong with the filter and the script, each with the place in it."""
    found = [] if edit.filter is None else check_filter(edit.filter)
    if edit.transform is not None:
        found += check_transform(edit.transform)
    return found


def _check_limits(edit: DestinationEdit, limits: Limits) -> list[Violation]:
    found = []
    if edit.timeout_s is not None and edit.timeout_s > limits.timeout_s:
        limit = f"The limit here is {limits.timeout_s:g} seconds."
        found.append(Violation("/timeout_s", limit))
    if edit.concurrency is not None and edit.concurrency > limits.concurrency:
        limit = f"The limit here is {limits.concurrency}."
        found.append(Violation("/concurrency", limit))
    return found


def _check_auth(auth: Auth | None, guard: Guard, now: datetime) -> list[Violation]:
    match auth:
        case ClientCredentials():
            found = guard.check_url(auth.token_url, "/auth/token_url")
            is_open = auth.token_url.lower().startswith("http:")
            if not found and is_open and not guard.allow_loopback:
                # RFC 6749, 3.2: what goes there is a secret.
                found.append(Violation("/auth/token_url", "must be an https URL"))
            return found
        case MutualTls():
            return check_certificate(auth, now)
        case _:
            return []
