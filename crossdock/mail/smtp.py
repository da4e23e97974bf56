"""Sending by SMTP, a connection a letter: letters are rare, and nothing is shared that could break.

Which refusals are final: those of the recipient and of the content with a 5xx answer. One of the
connection, of the login or of the sender is about our settings; the letter waits until they are
mended.
"""

import ssl
from contextlib import suppress
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Final, NoReturn

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from crossdock.config import MailSettings
from crossdock.errors import ConfigurationError
from crossdock.mail.transport import Undeliverable, Unsent

STEP_TIMEOUT_S: Final = 10.0
"""How long a server may take to accept a connection, and to answer each command."""

PERMANENT: Final = 500


class SmtpTransport:
    """Sends by the mail server that settings name."""

    def __init__(self, settings: MailSettings, *, step_timeout_s: float = STEP_TIMEOUT_S) -> None:
        """Read the settings.

        Raises:
            ConfigurationError: they don't fit together, or the certificates can't be read.
        """
        if (settings.smtp_user is None) != (settings.smtp_password is None):
            raise ConfigurationError(
                "CROSSDOCK_MAIL__SMTP_USER and CROSSDOCK_MAIL__SMTP_PASSWORD go together."
            )
        self._settings = settings
        self._timeout_s = step_timeout_s
        self._tls = None if settings.smtp_tls == "none" else _tls(settings)

    async def send(self, message: EmailMessage) -> None:
        """Send a message.

        Raises:
            Unsent: the server is away, or says to come again, or refuses us.
            Undeliverable: the server refuses this recipient or this message for good.
        """
        client = self._client(message)
        try:
            await self._connect(client)
            await self._transmit(client, message)
            with suppress(SMTPException, OSError):  # it has the message already
                await client.quit()
        finally:
            client.close()

    def _client(self, message: EmailMessage) -> SMTP:
        settings = self._settings
        _, sender = parseaddr(str(message["From"]))
        return SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            # Else the library asks the DNS, and blocks the loop while it waits.
            local_hostname=sender.rpartition("@")[2],
            timeout=self._timeout_s,
            use_tls=settings.smtp_tls == "tls",
            start_tls=settings.smtp_tls == "starttls",
            tls_context=self._tls,
            username=settings.smtp_user,
            password=settings.smtp_password,
        )

    async def _connect(self, client: SMTP) -> None:
        """Connect, secure the connection and log in."""
        try:
            await client.connect()
        except (SMTPException, OSError) as error:
            raise Unsent(f"The mail server did not let us in: {_words(error)}") from error

    async def _transmit(self, client: SMTP, message: EmailMessage) -> None:
        try:
            await client.send_message(message)
        except SMTPRecipientsRefused as error:
            _refuse(error.recipients[0], "recipient")
        except SMTPDataError as error:
            _refuse(error, "message")
        except (SMTPNotSupported, ValueError) as error:
            raise Undeliverable(f"The mail server can't take it: {_words(error)}") from error
        except (SMTPException, OSError) as error:
            raise Unsent(f"The mail server did not take it: {_words(error)}") from error


def _refuse(answer: SMTPResponseException, what: str) -> NoReturn:
    reason = f"The mail server refused the {what}: {_words(answer)}"
    kind = Undeliverable if answer.code >= PERMANENT else Unsent
    raise kind(reason) from answer


def _words(error: Exception) -> str:
    if isinstance(error, SMTPResponseException):
        return f"{error.code} {error.message}"
    return str(error) or type(error).__name__


def _tls(settings: MailSettings) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if settings.smtp_ca is not None:
        try:
            context.load_verify_locations(cafile=settings.smtp_ca)
        except OSError as error:  # what is no certificate is an SSLError, which is one
            raise ConfigurationError(
                f"CROSSDOCK_MAIL__SMTP_CA={settings.smtp_ca}: {error.strerror or error}."
            ) from error
    return context
