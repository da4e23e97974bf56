"""Sending by SMTP, against a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path

import pytest

from crossdock import ids
from crossdock.config import MailSettings
from crossdock.errors import ConfigurationError
from crossdock.mail.letters import Letters, token_of
from crossdock.mail.message import Sender, compose
from crossdock.mail.model import Mail
from crossdock.mail.smtp import SmtpTransport
from crossdock.mail.transport import Undeliverable, Unsent
from tests.beds.mail import MailServer, mail_server
from tests.beds.tls import certify

SENDER = Sender("Crossdock <no-reply@hooks.example.com>")
LOGIN = ("postman", "ünsafe?")


def message(
    to: str = "ann@example.com", subject: str = "Hello", text: str = "Text\n"
) -> EmailMessage:
    return compose(ids.new(), Mail(to, subject, text), SENDER)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certify(tmp_path_factory.mktemp("tls"))


def transport(settings: MailSettings) -> SmtpTransport:
    return SmtpTransport(settings, step_timeout_s=5)


async def test_a_letter_arrives_as_it_was_written(server: MailServer) -> None:
    mail = Letters("https://hooks.example.com").verify_address(
        "ann@example.com",
        name="Änne Müller",
        tenant="東京 & Söhne",
        token="cds_dev_" + "x" * 90,
        expires_at=ids.time_of(ids.new()),
    )
    mail_id = ids.new()
    await transport(server.settings()).send(compose(mail_id, mail, SENDER))
    [arrived] = server.arrived
    assert arrived.recipients == ["ann@example.com"]
    assert arrived.sender == "no-reply@hooks.example.com"
    assert arrived.greeted_as == "hooks.example.com"
    assert arrived.id == f"<{mail_id.hex}@hooks.example.com>"
    assert str(arrived.message["Subject"]) == mail.subject
    assert str(arrived.message["From"]) == "Crossdock <no-reply@hooks.example.com>"
    text = arrived.message.get_content().replace("\r\n", "\n")
    assert text == mail.text
    assert token_of(text) == "cds_dev_" + "x" * 90


async def test_a_line_that_is_a_dot_ends_nothing(server: MailServer) -> None:
    text = "before\n.\nMAIL FROM:<x@example.com>\n..\nFrom here\n"
    await transport(server.settings()).send(message(text=text))
    [arrived] = server.arrived
    assert arrived.message.get_content().replace("\r\n", "\n") == text


async def test_an_address_beyond_ascii_is_carried_where_the_server_can(server: MailServer) -> None:
    await transport(server.settings()).send(message("jürgen@münchen.de", "Grüße"))
    [arrived] = server.arrived
    assert arrived.recipients == ["jürgen@xn--mnchen-3ya.de"]
    assert str(arrived.message["Subject"]) == "Grüße"


async def test_an_address_beyond_ascii_is_refused_where_it_cannot() -> None:
    async with mail_server(utf8=False) as server:
        with pytest.raises(Undeliverable, match="SMTPUTF8"):
            await transport(server.settings()).send(message("jürgen@münchen.de"))
        await transport(server.settings()).send(message("ann@münchen.de"))
        assert server.arrived[0].recipients == ["ann@xn--mnchen-3ya.de"]


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_tls_and_a_login(certificate: Path, tls: str) -> None:
    async with mail_server(
        certificate=certificate, implicit_tls=tls == "tls", login=LOGIN
    ) as server:
        user, password = LOGIN
        secure = {"smtp_tls": tls, "smtp_ca": certificate, "smtp_user": user}
        await transport(server.settings(**secure, smtp_password=password)).send(message())
        [arrived] = server.arrived
        assert arrived.was_secure
        assert arrived.login == user
        with pytest.raises(Unsent, match="535") as refused:
            await transport(server.settings(**secure, smtp_password="wrong-one")).send(message())
        assert "wrong-one" not in str(refused.value)
        assert len(server.arrived) == 1


async def test_a_certificate_nobody_vouches_for_is_refused(certificate: Path) -> None:
    async with mail_server(certificate=certificate) as server:
        with pytest.raises(Unsent, match=r"(?i)certificate"):
            await transport(server.settings(smtp_tls="starttls")).send(message())
        # Nor is one of another name, whoever vouches for it.
        elsewhere = server.settings(smtp_tls="starttls", smtp_ca=certificate, smtp_host="localhost")
        with pytest.raises(Unsent, match=r"(?i)hostname"):
            await transport(elsewhere).send(message())
        assert server.arrived == []


async def test_no_letter_leaves_in_the_clear_where_tls_was_wanted(server: MailServer) -> None:
    with pytest.raises(Unsent, match=r"(?i)starttls"):
        await transport(server.settings(smtp_tls="starttls")).send(message())
    assert server.arrived == []


@pytest.mark.parametrize("code", ["421 Later", "450 Greylisted", "451 Busy"])
async def test_a_temporary_refusal_is_not_final(server: MailServer, code: str) -> None:
    way = transport(server.settings())
    server.at_recipient = [code]
    with pytest.raises(Unsent, match=code[:3]):
        await way.send(message())
    server.at_data = [code]
    with pytest.raises(Unsent, match=code[:3]):
        await way.send(message())
    server.at_mail = [code]
    with pytest.raises(Unsent, match=code[:3]):
        await way.send(message())
    await way.send(message())
    assert len(server.arrived) == 1


@pytest.mark.parametrize("code", ["550 No such user", "552 Full", "554 Spam"])
async def test_a_refusal_of_the_recipient_or_of_the_message_is_final(
    server: MailServer, code: str
) -> None:
    way = transport(server.settings())
    server.at_recipient = [code]
    with pytest.raises(Undeliverable, match=code):
        await way.send(message())
    server.at_data = [code]
    with pytest.raises(Undeliverable, match=code):
        await way.send(message())
    assert server.arrived == []


async def test_a_refusal_of_the_sender_is_about_settings_and_not_final(server: MailServer) -> None:
    server.at_mail = ["553 Not yours"]
    with pytest.raises(Unsent, match="553 Not yours"):
        await transport(server.settings()).send(message())


@pytest.mark.parametrize("when", ["die", "take and die"])
async def test_a_server_that_dies_in_the_middle_has_not_taken_it(
    server: MailServer, when: str
) -> None:
    server.at_data = [when]
    with pytest.raises(Unsent):
        await transport(server.settings()).send(message())


async def test_no_server_is_not_final() -> None:
    async with mail_server() as server:
        settings = server.settings()
    with pytest.raises(Unsent, match="did not let us in"):
        await transport(settings).send(message())


@asynccontextmanager
async def speaking(first: bytes | None) -> AsyncIterator[int]:
    """A server that says one thing, or nothing at all, and then nothing more."""
    gone = asyncio.Event()

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if first is not None:
            writer.write(first)
            await writer.drain()
        await gone.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        gone.set()
        server.close()


@pytest.mark.parametrize(
    "first", [None, b"220 here\r\n", b"554 Not you\r\n", b"\xff\x00\r\n", b"2"]
)
async def test_a_server_that_says_nothing_useful_is_left_in_time(first: bytes | None) -> None:
    async with speaking(first) as port:
        settings = MailSettings(smtp_host="127.0.0.1", smtp_port=port, smtp_tls="none")
        with pytest.raises(Unsent):
            await SmtpTransport(settings, step_timeout_s=0.3).send(message())


async def test_settings_that_do_not_fit_are_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="SMTP_PASSWORD"):
        SmtpTransport(MailSettings(smtp_host="x", smtp_user="u"))
    with pytest.raises(ConfigurationError, match="SMTP_CA"):
        SmtpTransport(MailSettings(smtp_host="x", smtp_ca=tmp_path / "none.pem"))
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    with pytest.raises(ConfigurationError, match="SMTP_CA"):
        SmtpTransport(MailSettings(smtp_host="x", smtp_ca=broken))
