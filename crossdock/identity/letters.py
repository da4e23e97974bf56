"""The letters that identity sends."""

from datetime import datetime

from crossdock.identity.origin import Origin
from crossdock.mail.letters import Letters, plain, written
from crossdock.mail.model import Mail

_NOT_YOU = "If that was not you, set another password at once and tell those who run your tenant."


def password_reset(to: str, slug: str, token: str, ends: datetime, url: str) -> Mail:
    """Return the letter with a reset's token."""
    return Letters(url).password_reset(to, tenant=slug, token=token, expires_at=ends)


def password_changed(to: str, slug: str, origin: Origin) -> Mail:
    """Return the letter after a password was changed or reset."""
    return written(
        "password-changed",
        to,
        f"Your password for {plain(slug)} was changed",
        "Hello,",
        f"the password of your account at “{plain(slug)}” was changed{_from(origin)}."
        " All sessions have ended.",
        _NOT_YOU,
    )


def session_stolen(to: str, slug: str, origin: Origin) -> Mail:
    """Return the letter after a refresh token came twice."""
    return written(
        "session-ended",
        to,
        f"We have ended a session of yours at {plain(slug)}",
        "Hello,",
        f"a token of a session of yours at “{plain(slug)}” was used a second time{_from(origin)}."
        " Somebody may have copied it, so the session has ended.",
        "Sign in again to go on. If you do not know of two programs that share one session,"
        " change your password as well.",
    )


def second_factor_changed(to: str, slug: str, what: str, origin: Origin) -> Mail:
    """Return the letter after the second factor was switched on or off, or got other codes."""
    return written(
        "note",
        to,
        f"Your second factor for {plain(slug)} was changed",
        "Hello,",
        f"the second factor of your account at “{plain(slug)}” was changed{_from(origin)}:"
        f" {plain(what)}.",
        _NOT_YOU,
    )


def _from(origin: Origin) -> str:
    return f", from the address {plain(origin.address)}" if origin.address else ""
