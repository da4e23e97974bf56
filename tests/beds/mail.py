"""A real SMTP server in this process, that a test can have refuse, stall and die."""

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from crossdock.config import MailSettings

OK = "250 OK"


class Arrived:
    """A message as the server got it."""

    def __init__(self, server: SMTP, session: Session, envelope: Envelope) -> None:
        assert isinstance(envelope.content, bytes)
        self.raw = envelope.content
        self.sender = envelope.mail_from
        self.recipients = envelope.rcpt_tos
        assert server.transport is not None
        self.was_secure = server.transport.get_extra_info("sslcontext") is not None
        self.login: Any = session.auth_data
        self.greeted_as = session.host_name

    @property
    def message(self) -> Any:
        """What was sent, parsed."""
        return BytesParser(policy=policy.SMTPUTF8).parsebytes(self.raw)

    @property
    def id(self) -> str:
        """Its Message-ID."""
        return str(self.message["Message-ID"])


class MailServer:
    """A server, and what it got."""

    def __init__(self) -> None:
        self.port = 0
        self.arrived: list[Arrived] = []
        self.connections = 0
        self.at_mail: list[str] = []
        """What it says to the next senders, before it takes them again."""
        self.at_recipient: list[str] = []
        """The same of recipients."""
        self.at_data: list[str] = []
        """The same of messages; `die` aborts the connection, `take and die` does so afterwards."""
        self.hold: asyncio.Event | None = None
        """While it is there and not set, messages are taken and not answered."""
        self.holding = 0

    # The hooks of aiosmtpd.

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a sender."""
        if self.at_mail:
            return self.at_mail.pop(0)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return OK

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient."""
        if self.at_recipient:
            return self.at_recipient.pop(0)
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return OK

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Take a message."""
        answer = self.at_data.pop(0) if self.at_data else OK
        if answer in {OK, "take and die"}:
            self.arrived.append(Arrived(server, session, envelope))
        if self.hold is not None:
            self.holding += 1
            await self.hold.wait()
        if answer.endswith("die"):
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        return answer

    def settings(self, **changes: Any) -> MailSettings:
        """How to send by it."""
        plain: dict[str, Any] = {
            "smtp_host": "127.0.0.1",
            "smtp_port": self.port,
            "smtp_tls": "none",
            "sender": "Crossdock <no-reply@hooks.example.com>",
        }
        return MailSettings(**plain | changes)


@asynccontextmanager
async def mail_server(
    *,
    certificate: Path | None = None,
    implicit_tls: bool = False,
    login: tuple[str, str] | None = None,
    utf8: bool = True,
) -> AsyncIterator[MailServer]:
    """Serve for as long as the block lasts.

    Args:
        certificate: with it the server offers STARTTLS, and asks for it.
        implicit_tls: it speaks TLS from the first byte instead.
        login: the one user and password it knows, and asks for.
        utf8: whether it takes addresses beyond ASCII.
    """
    found, loop = MailServer(), asyncio.get_running_loop()
    context = None if certificate is None else serving(certificate)

    def authenticate(
        _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        pair = (data.login.decode(), data.password.decode())
        return AuthResult(success=pair == login, auth_data=pair[0], handled=False)

    def protocol() -> SMTP:
        found.connections += 1
        starts_tls = context is not None and not implicit_tls
        with warnings.catch_warnings():
            # It does not see TLS that was there before it, and warns of logins in the clear.
            warnings.filterwarnings("ignore", "Requiring AUTH while not requiring TLS")
            return SMTP(
                found,
                hostname="mail.example.com",
                loop=loop,
                enable_SMTPUTF8=utf8,
                tls_context=context if starts_tls else None,
                require_starttls=starts_tls,
                authenticator=authenticate,
                auth_required=login is not None,
                auth_require_tls=starts_tls,
            )

    server = await loop.create_server(
        protocol, "127.0.0.1", 0, ssl=context if implicit_tls else None
    )
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        if found.hold is not None:
            found.hold.set()
        server.close()


def serving(certificate: Path) -> ssl.SSLContext:
    """The server's side of TLS; the key lies beside the certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_name("server.key"))
    return context
