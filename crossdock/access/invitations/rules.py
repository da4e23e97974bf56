"""Rules of invitations: their tokens, and when one is open. Pure."""

from datetime import datetime
from typing import Final

from crossdock.access.invitations.model import Invitation
from crossdock.access.tokentext import Token, TokenForm
from crossdock.errors import Invalid, Unauthenticated, Violation
from crossdock.identity.throttle import Limit

LETTERS: Final = Limit(burst=50, every_s=72.0)
"""Invitations of one tenant: fifty at once, fifty an hour. A quota does not stop who revokes them
and begins again, and each is a letter to somebody who may not have asked for it."""

REPEATS: Final = Limit(burst=5, every_s=1200.0)
"""Invitations of one address by one tenant."""

RECEIVED: Final = Limit(burst=20, every_s=1200.0)
"""Invitations of one address by all tenants: whoever has many is no better off than with one. It is
so wide that one tenant alone can't use it up."""


class InvitationToken(Token, frozen=True):
    """An invitation's token as its holder has it; its id is the invitation's."""

    FORM = TokenForm("cdi")


def parse(text: str, environment: str) -> InvitationToken:
    """Return the token behind its text; nothing is known yet of whether it exists.

    Raises:
        Invalid: it is no invitation's token, mistyped, or another environment's.
    """
    try:
        return InvitationToken.parse(text, environment)
    except Unauthenticated as error:
        raise no_good() from error


def is_open(invitation: Invitation, now: datetime) -> bool:
    """Tell whether an invitation can be accepted."""
    ended = invitation.accepted_at is not None or invitation.revoked_at is not None
    return not ended and now < invitation.expires_at


def no_good() -> Invalid:
    """Return the one answer to every token that opens nothing."""
    detail = "This invitation is unknown, used, revoked or over; ask for another."
    return Invalid(detail, Violation("/token", detail))
