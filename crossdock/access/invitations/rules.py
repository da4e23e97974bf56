"""Rules of invitations: their tokens, and when one is open. Pure."""

import hmac
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from crossdock.access import tokentext
from crossdock.access.invitations.model import Invitation
from crossdock.access.tokentext import TokenForm
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

_FORM: Final = TokenForm("cdi")


class InvitationToken(msgspec.Struct, frozen=True):
    """An invitation's token as its holder has it."""

    tenant_id: UUID
    invitation_id: UUID
    secret: bytes

    @property
    def hash(self) -> bytes:
        """What is stored of it."""
        return tokentext.secret_hash(self.secret)

    def matches(self, token_hash: bytes) -> bool:
        """Tell whether it is the one whose hash is stored, in constant time."""
        return hmac.compare_digest(self.hash, token_hash)

    def format(self, environment: str) -> str:
        """Return its text.

        Raises:
            ConfigurationError: the environment's name has no place in a token.
        """
        return _FORM.format(environment, self.tenant_id, self.invitation_id, self.secret)


def parse(text: str, environment: str) -> InvitationToken:
    """Return the token behind its text; nothing is known yet of whether it exists.

    Raises:
        Invalid: it is no invitation's token, mistyped, or another environment's.
    """
    try:
        return InvitationToken(*_FORM.parse(text, environment))
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
