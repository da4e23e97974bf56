"""Rules of tenants: their slugs, and which state follows which. Pure."""

import re
import unicodedata
from typing import Final

from crossdock.errors import Conflict, Invalid, Violation
from crossdock.tenancy.model import Tenant, TenantState

MAX_SLUG: Final = 63
MAX_NAME: Final = 100

_SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

_SWITCHES: Final[dict[TenantState, frozenset[TenantState]]] = {
    "active": frozenset({"suspended"}),
    "suspended": frozenset({"active"}),
}
"""From which states suspend and resume lead; how a tenant ends is its lifecycle's to say."""


def slug_of(name: str) -> str:
    """Return a slug made from a name, or nothing where no letter or digit is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:MAX_SLUG].strip("-")


def check(name: str, slug: str) -> None:
    """Check a tenant's name and slug.

    Raises:
        Invalid: one of them is not fit to be one.
    """
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        limit = f"A name is 1 to {MAX_NAME} printable characters."
        raise Invalid(limit, Violation("/name", limit))
    if _SLUG.fullmatch(slug) is None:
        limit = "A slug is 1 to 63 lower-case letters, digits and inner dashes."
        raise Invalid(limit, Violation("/slug", limit))


def switch(tenant: Tenant, state: TenantState) -> bool:
    """Tell whether a tenant must be written to be in `state`; it may be in it already.

    Raises:
        Conflict: there is no way from where it is to there.
    """
    if tenant.state == state:
        return False
    if tenant.state not in _SWITCHES.get(state, ()):
        raise Conflict(f"{tenant.slug} is {tenant.state}; it can't become {state}.")
    return True
