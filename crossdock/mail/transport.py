"""The ways a letter can leave, and what can go wrong on them."""

from email.message import EmailMessage
from typing import Protocol

from crossdock.errors import CrossdockError


class Unsent(CrossdockError):
    """A mail could not be sent for now; trying again later may help."""


class Undeliverable(CrossdockError):
    """A mail was refused for good; trying again would not help."""


class Transport(Protocol):
    """Takes messages out of the house."""

    async def send(self, message: EmailMessage) -> None:
        """Send a message; once this returns, somebody else answers for it.

        Raises:
            Unsent: not now.
            Undeliverable: not ever.
        """


class Nowhere:
    """Where neither a folder nor a server was named: letters wait, and say why."""

    async def send(self, message: EmailMessage) -> None:
        """Send nothing."""
        del message
        raise Unsent("No way out is set: name CROSSDOCK_MAIL__SMTP_HOST or CROSSDOCK_MAIL__FOLDER.")
