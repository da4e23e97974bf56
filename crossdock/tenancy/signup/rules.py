"""Rules of signing up. Pure."""

import hashlib
import re
from datetime import datetime
from typing import Final

from crossdock.errors import Conflict, Invalid, Violation
from crossdock.tenancy import rules
from crossdock.tenancy.signup.model import Signup

TOKEN_BYTES: Final = 32
SUFFIX_BYTES: Final = 3
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def token_hash(token: str) -> bytes:
    """Return by what a token is found, which is all that is kept of it.

    Raises:
        Invalid: it can't be one.
    """
    if _TOKEN.fullmatch(token) is None:
        raise unknown_token()
    return hashlib.sha256(token.encode()).digest()


def unknown_token() -> Invalid:
    """Return the answer to a token that belongs to no signup."""
    what = "This token is none, or its signup is long over."
    return Invalid(what, Violation("/token", "Take it from the letter, or sign up again."))


def rivalled() -> Invalid:
    """Return the answer to a token without the password that goes with it, where that matters."""
    what = (
        "Somebody signed up with this address more than once. Send the `password` of this signup"
        " beside the token; if you did not choose it, the letter is not about yours."
    )
    return Invalid(what, Violation("/password", "It is not the one of this signup."))


def verified(slug: str) -> Conflict:
    """Return the answer to a token that has done its work."""
    return Conflict(f"This signup was verified; the tenant {slug} is there. Sign in.")


def check_open(signup: Signup, now: datetime) -> None:
    """Check that a signup can still be verified.

    Raises:
        Invalid: it was not verified in time.
    """
    if now >= signup.expires_at:
        what = "This signup has expired. Sign up again; the new letter has a new token."
        raise Invalid(what, Violation("/token", "It has expired."))


def made_slug(tenant_name: str, suffix: str, *, is_taken: bool) -> str:
    """Return a slug for a tenant whose founder chose none.

    Args:
        tenant_name: what it is made from.
        suffix: random letters and digits that set it apart where that alone will not do.
        is_taken: whether another tenant has what the name alone would give.
    """
    plain = rules.slug_of(tenant_name)
    if not is_taken and len(plain) >= rules.MIN_OWN_SLUG and plain not in rules.RESERVED:
        return plain
    room = rules.MAX_SLUG - len(suffix) - 1
    return f"{plain[:room].strip('-') or 'tenant'}-{suffix}"


def taken(slug: str) -> Conflict:
    """Return the answer to a founder whose slug another tenant has by now."""
    return Conflict(
        f"The slug {slug} belongs to another tenant by now."
        " Send the same token again, with another `slug` beside it."
    )
