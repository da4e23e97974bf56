"""E-mail addresses: what is one, which are the same, and what other tables know of one."""

import hashlib
from typing import Final

from email_validator import EmailNotValidError, validate_email

from crossdock.errors import Invalid, Violation
from crossdock.mail.model import ENCODED

MAX_CHARACTERS: Final = 254
"""RFC 5321 §4.5.3.1.3, as corrected: what fits between angle brackets."""


def normalise(text: str, *, pointer: str = "/email") -> str:
    """Return the one way to write an address: the same account by every spelling of it.

    The whole of it is in lower case. RFC 5321 lets a mailbox tell `Ann` from `ann`; none that
    people use does, and two accounts that differ in nothing else would only help an impostor.

    Raises:
        Invalid: it is no address that a letter could be sent to; nobody is asked.
    """
    reason = "That is not an e-mail address."
    if len(text) <= MAX_CHARACTERS:
        try:
            found = validate_email(
                text, check_deliverability=False, test_environment=True, strict=True
            )
        except EmailNotValidError as error:
            reason = str(error)
        except ValueError:  # text that is no Unicode
            pass
        else:
            # What begins an encoded word (RFC 2047) may be a mailbox's name, but no header's.
            if ENCODED not in found.normalized:
                return found.normalized.lower()
    raise Invalid(None, Violation(pointer, reason))


def hash_of(normalised: str) -> bytes:
    """Return by what the control database finds an address without keeping it."""
    return hashlib.sha256(normalised.encode()).digest()
