"""The letters themselves: plain, short, and each one names the tenant it is about.

A letter with a token shows it alone on a line, between the words that carry the rest, and then
the command that uses it, ready to paste. What people have chosen themselves, names above all, is
made harmless first: a name is one short line, so that nobody writes letters of their own by
giving themselves a long one; and no command holds anything but our address and our token.
"""

import re
import textwrap
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from crossdock.mail.model import ENCODED, Kind, Mail, is_breaking

MAX_NAME: Final = 80
MAX_REASON: Final = 400
WIDTH: Final = 72

_INDENT: Final = "    "
_LINK: Final = re.compile(r"[a-z][a-z0-9+.-]*:/+|\bwww\.", re.IGNORECASE)
"""How an address begins that mail programs make something to click of."""
_TOKEN: Final = re.compile(rf"^{_INDENT}([A-Za-z0-9_.~-]+)$", re.MULTILINE)


class Letters:
    """Writes letters with commands in them; those without are written where they are sent from."""

    def __init__(self, public_url: str) -> None:
        """Take the address at which people reach it."""
        self._url = public_url.rstrip("/")

    @property
    def url(self) -> str:
        """Where people reach it, without a slash at the end."""
        return self._url

    def verify_address(
        self, to: str, *, name: str, tenant: str, token: str, expires_at: datetime
    ) -> Mail:
        """Ask whoever signed up to prove that the address is theirs."""
        return written(
            "signup",
            to,
            f"Verify your address for {unlinked(tenant)}",
            f"Hello {unlinked(name)},",
            f"somebody signed up with this address to make the tenant “{unlinked(tenant)}”."
            f" If it was you, verify it before {moment_of(expires_at)}. This is the token:",
            _alone(token),
            self._command("/v1/signup/verify", {"token": token}),
            "If it was not you, do nothing: without the token there will be no such tenant. Do not"
            " use it even so: whoever signed up has chosen the password.",
        )

    def invitation(
        self,
        to: str,
        *,
        inviter: str,
        tenant: str,
        roles: Iterable[str],
        token: str,
        expires_at: datetime,
    ) -> Mail:
        """Invite somebody to a tenant."""
        what = ", ".join(map(plain, roles))
        body = {"token": token, "name": "YOUR NAME", "password": "A LONG PASSWORD"}
        return written(
            "invitation",
            to,
            f"You are invited to {unlinked(tenant)}",
            "Hello,",
            f"{unlinked(inviter)} invites you to the tenant “{unlinked(tenant)}”, as {what}."
            f" The invitation holds until {moment_of(expires_at)}. This is its token:",
            _alone(token),
            self._command("/v1/invitations/accept", body),
            "If you don't know what this is about, do nothing: the invitation ends by itself.",
        )

    def password_reset(self, to: str, *, tenant: str, token: str, expires_at: datetime) -> Mail:
        """Let somebody choose a new password."""
        body = {"token": token, "new_password": "A LONG PASSWORD"}
        return written(
            "password-reset",
            to,
            f"A new password for {plain(tenant)}",
            "Hello,",
            f"somebody asked for a new password of your account at “{plain(tenant)}”. If it was"
            f" you, choose one before {moment_of(expires_at)}. This is the token; it works once:",
            _alone(token),
            self._command("/v1/auth/password/reset/confirm", body),
            "If it was not you, do nothing: your password stays as it is.",
        )

    def quota_reached(
        self,
        to: str,
        *,
        tenant: str,
        resource: str,
        percent: int,
        used: int,
        limit: int,
    ) -> Mail:
        """Tell an owner that the tenant comes near one of its limits, or has reached it."""
        full = percent >= 100  # noqa: PLR2004 - per cent
        what = plain(resource)
        after = (
            "Nothing more of these is taken until there is room again."
            if full
            else "At 100 % nothing more of these is taken."
        )
        return written(
            "alert",
            to,
            f"{plain(tenant)} has used {percent} % of its {what}",
            "Hello,",
            f"the tenant “{plain(tenant)}” has used {used:,} of {limit:,} {what}, which is"
            f" {percent} % of what its plan allows. {after}",
            "Make room, or ask whoever runs this installation for another plan. See usage with:",
            f"{_INDENT}curl -sS {self._url}/v1/tenant/usage -H 'authorization: Bearer YOUR KEY'",
        )

    def alert(self, to: str, *, tenant: str, what: str, detail: str) -> Mail:
        """Tell an owner of something else that the tenant should know."""
        return written(
            "alert",
            to,
            f"{plain(tenant)}: {plain(what)}",
            "Hello,",
            f"the tenant “{plain(tenant)}” has an alert: {plain(what)}."
            f" {plain(detail, MAX_REASON)}".rstrip(),
        )

    def support_opened(
        self, to: str, *, tenant: str, operator: str, reason: str, ends_at: datetime
    ) -> Mail:
        """Tell an owner that an operator may look into the tenant, and why."""
        return written(
            "support",
            to,
            f"Support has opened access to {plain(tenant)}",
            "Hello,",
            f"{plain(operator)}, who helps to run this installation, may look into the tenant"
            f" “{plain(tenant)}” until {moment_of(ends_at)}. They gave this reason:",
            f"{_INDENT}“{plain(reason, MAX_REASON)}”",
            "All they do is in your audit. You can end it at any time:",
            f"{_INDENT}curl -sS {self._url}/v1/support-accesses -H 'authorization: Bearer YOUR KEY'"
            f"\n{_INDENT}curl -sS -X DELETE {self._url}/v1/support-accesses/ITS-ID"
            " -H 'authorization: Bearer YOUR KEY'",
        )

    def _command(self, path: str, body: dict[str, Any]) -> str:
        """Return the command line that posts a body; nothing in it was chosen by anybody."""
        data = msgspec.json.encode(body).decode()
        return (
            f"{_INDENT}curl -sS {self._url}{path} -H 'content-type: application/json' -d '{data}'"
        )


def token_of(text: str) -> str | None:
    """Return the token that a letter's text carries, if it does."""
    found = _TOKEN.search(text)
    return None if found is None else found[1]


def plain(text: str, limit: int = MAX_NAME) -> str:
    """Return text that people chose as one line of bounded length, with nothing hidden in it."""
    shown = "".join(" " if c.isspace() or is_breaking(c) else c for c in text)
    shown = " ".join("".join(c for c in shown if c.isprintable()).split())
    shown = shown.replace(ENCODED, "= ?")
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def unlinked(text: str) -> str:
    """Return `plain` text without links, for letters that a stranger can send to anybody."""
    return _LINK.sub(" ", plain(text)).strip()


def written(kind: Kind, to: str, subject: str, *paragraphs: str) -> Mail:
    """Return a letter of these paragraphs; of what people chose, they hold only what is `plain`."""
    text = "\n\n".join(map(_folded, paragraphs)) + "\n"
    return Mail(to=to, subject=subject, text=text, kind=kind)


def _folded(paragraph: str) -> str:
    """Return prose in lines that any program shows whole; what is set in stays as it is."""
    if paragraph.startswith(_INDENT):
        return paragraph
    return textwrap.fill(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False)


def _alone(token: str) -> str:
    """Return a token's line.

    Raises:
        ValueError: it could break out of its line or of the command below it.
    """
    line = f"{_INDENT}{token}"
    if _TOKEN.fullmatch(line) is None:
        raise ValueError("A token in a letter is made of letters, digits and -_.~ alone.")
    return line


def moment_of(moment: datetime) -> str:
    """Return a moment for people of any country to read."""
    return f"{moment.astimezone(UTC):%d %B %Y, %H:%M} UTC"
