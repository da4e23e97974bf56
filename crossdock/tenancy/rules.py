"""Rules of tenants: their names and slugs, and which state follows which. Pure."""

import re
import unicodedata
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from crossdock.db import control
from crossdock.errors import Conflict, Invalid, Violation
from crossdock.tenancy.model import Tenant, TenantState
from crossdock.versions import edition

PLATFORM: Final = control.PLATFORM
"""The tenant whose users are the operators. It is no customer, and nothing ends it."""

MAX_SLUG: Final = 63
MIN_OWN_SLUG: Final = 3
"""Of a slug that somebody chooses who signs up; shorter ones are the operators' to give."""
MAX_NAME: Final = 100
MAX_REASON: Final = 500
GRACE_DAYS: Final = 30
RETENTION_DAYS: Final = 30
"""How long events are stored, unless told."""
MAX_GRACE_DAYS: Final = 365

_SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

_WORDS: Final = """
    abuse account accounts admin administrator api app apps assets auth billing blog cdn console
    crossdock dashboard demo dev docs download email events faq ftp gateway graphql health help
    hostmaster imap in internal invite invoice jobs legal localhost login logout mail me metrics
    ns1 ns2 null oauth operator operators owner payments platform pop postmaster pricing privacy
    proxy root saml schema security settings shop signin signup smtp sso staging static status
    support system team tenant tenants terms test undefined user users v1 v2 webhook webhooks
    webmaster wiki www
"""
RESERVED: Final = frozenset(_WORDS.split())
"""Words that a tenant's own name would be taken for: hosts, paths, and whoever runs the place."""

_PUNYCODE: Final = "xn--"
"""A host name that begins so is shown in other letters, which may look like another's."""

_SWITCHES: Final[dict[TenantState, frozenset[TenantState]]] = {
    "active": frozenset({"provisioning", "suspended", "terminating"}),
    "suspended": frozenset({"active"}),
    "terminating": frozenset({"active", "suspended"}),
    "terminated": frozenset({"terminating"}),
}
"""From which states each one may follow. To resume what is terminating is to cancel its end."""


def slug_of(name: str) -> str:
    """Return a slug made from a name, or nothing where no letter or digit is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:MAX_SLUG].strip("-")


def check(name: str, slug: str) -> None:
    """Check a tenant's name and slug.

    Raises:
        Invalid: one of them is not fit to be one.
    """
    check_name(name)
    if _SLUG.fullmatch(slug) is None or slug.startswith(_PUNYCODE):
        limit = "A slug is 1 to 63 lower-case letters, digits and inner dashes."
        raise Invalid(limit, Violation("/slug", limit))


def check_name(name: str, where: str = "/name") -> None:
    """Check the name of a tenant or of somebody.

    Raises:
        Invalid: it is not fit to be one.
    """
    if not 0 < len(name) <= MAX_NAME or not name.isprintable() or not name.strip():
        limit = f"A name is 1 to {MAX_NAME} printable characters."
        raise Invalid(limit, Violation(where, limit))


def check_own(name: str, slug: str) -> None:
    """Check what somebody chooses who signs up: besides all else it must be nobody else's word.

    Raises:
        Invalid: the name or the slug is not fit to be one.
    """
    check_name(name, "/tenant_name")
    check(name, slug)
    if len(slug) < MIN_OWN_SLUG:
        limit = f"A slug has at least {MIN_OWN_SLUG} characters."
        raise Invalid(limit, Violation("/slug", limit))
    if slug in RESERVED:
        raise Invalid(f"The slug {slug} is reserved.", Violation("/slug", "Choose another."))


def check_reason(reason: str) -> None:
    """Check why an operator does something; the tenant's people will read it.

    Raises:
        Invalid: it says nothing, or too much.
    """
    if not 0 < len(reason) <= MAX_REASON or not reason.isprintable() or not reason.strip():
        limit = f"A reason is 1 to {MAX_REASON} printable characters."
        raise Invalid(limit, Violation("/reason", limit))


def switch(tenant: Tenant, state: TenantState) -> bool:
    """Tell whether a tenant must be written to be in `state`; it may be in it already.

    Raises:
        Conflict: there is no way from where it is to there.
    """
    check_ordinary(tenant.id)
    if tenant.state == state:
        return False
    if tenant.state not in _SWITCHES.get(state, ()):
        raise Conflict(f"{tenant.slug} is {tenant.state}; it can't become {state}.")
    return True


def own_version(tenant: Tenant) -> int:
    """Return a number for what a tenant's own people can change of it.

    Not its `version`: that one counts what gateways must know, such as a day's quota that ran out.
    """
    return edition(tenant.name)


def operators_version(tenant: Tenant) -> int:
    """Return a number for what operators can change of a tenant."""
    return edition(tenant.plan, tenant.quotas, tenant.state, tenant.reason, tenant.terminate_at)


def check_ordinary(tenant_id: UUID) -> None:
    """Check that a tenant is a customer, and not the platform itself.

    Raises:
        Conflict: without it nobody could undo what was asked for.
    """
    if tenant_id == PLATFORM:
        raise Conflict("The platform's own tenant is always active, and has no limits.")


def end_of_grace(now: datetime, days: int) -> datetime:
    """Return when the data of a tenant goes that ends now.

    Raises:
        Invalid: that is no number of days.
    """
    if not 0 <= days <= MAX_GRACE_DAYS:
        limit = f"The grace is 0 to {MAX_GRACE_DAYS} days."
        raise Invalid(limit, Violation("/grace_days", limit))
    return now + timedelta(days=days)


def ends_sooner(tenant: Tenant, moment: datetime | None) -> bool:
    """Tell whether a tenant that is ending would end earlier at a moment."""
    ends = tenant.terminate_at
    return moment is not None and ends is not None and moment < ends
