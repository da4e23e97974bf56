"""Whom nobody lets in, whatever they know. Pure."""

from crossdock.errors import Refused, TenantSuspended, Unauthenticated
from crossdock.identity.accounts.model import Account

SUSPENDED = "This tenant is suspended; whoever runs this installation knows why."


def barred(account: Account) -> tuple[Refused, str] | None:
    """Return why an account doesn't get in, and what to write down of it.

    Who is told has proved who they are. A tenant that is being terminated still lets its people in,
    to read and take along what is theirs; guards see to it that they change nothing.
    """
    if account.state != "active":
        return Unauthenticated(), "disabled"
    if account.tenant_state == "suspended":
        return TenantSuspended(SUSPENDED), "suspended"
    if account.tenant_state not in {"active", "terminating"}:
        return Unauthenticated(), account.tenant_state
    return None
