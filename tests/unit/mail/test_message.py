"""Messages: read again by the standard library's parser, they are what was meant."""

from base64 import b64encode
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock import ids
from crossdock.errors import ConfigurationError
from crossdock.mail.letters import plain
from crossdock.mail.message import ID_HEADER, Sender, compose
from crossdock.mail.model import Mail
from crossdock.mail.transport import Undeliverable

SENDER = Sender("Crossdock <no-reply@hooks.example.com>")
HEADERS = {
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "Crossdock-Mail",
    "Crossdock-Kind",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
}


def read(message: EmailMessage) -> Any:
    """A message as a program that gets its bytes sees it."""
    return BytesParser(policy=policy.default).parsebytes(bytes(message))


@given(subject=st.text(max_size=300), text=st.text(max_size=300))
def test_any_subject_and_text_arrive_whole_and_add_no_header(subject: str, text: str) -> None:
    subject = plain(subject, 200)
    text = "".join(c for c in text if c.isprintable() or c == "\n") + "\n"
    message = read(compose(ids.new(), Mail("ann@example.com", subject, text), SENDER))
    assert set(message.keys()) == HEADERS
    assert str(message["Subject"]) == subject
    assert message.get_content().replace("\r\n", "\n") == text
    assert not message.defects


@given(st.sampled_from("qb"), st.sampled_from(["", "ü ", "x " * 60]), st.text(max_size=40))
def test_words_that_are_encoded_already_hide_nothing(how: str, before: str, inside: str) -> None:
    hidden = f"{inside}\r\nBcc: x@example.com\r\n\r\nbody".encode("utf-8", "replace")
    word = b64encode(hidden) if how == "b" else quoted(hidden)
    subject = f"{before}=?utf-8?{how}?{word.decode()}?= after"
    with pytest.raises(ValueError, match="says"):
        Mail("ann@example.com", subject, "t")
    with pytest.raises(ValueError, match="address"):
        Mail(f"{subject.replace(' ', '')}@example.com", "s", "t")
    mail = Mail("ann@example.com", plain(subject, 1000), "t\n")
    message = read(compose(ids.new(), mail, SENDER))
    assert set(message.keys()) == HEADERS
    assert message.get_content() == "t\r\n"


def quoted(text: bytes) -> bytes:
    """Text as RFC 2047's Q encoding has it."""
    return b"".join(b"=%02X" % byte for byte in text)


def test_a_repeat_is_the_same_message() -> None:
    mail_id, mail = ids.new(), Mail("ann@example.com", "Hello", "Text\n", "signup")
    once, again = (compose(mail_id, mail, SENDER) for _ in range(2))
    assert bytes(once) == bytes(again)
    assert once["Message-ID"] == f"<{mail_id.hex}@hooks.example.com>"
    assert once[ID_HEADER] == ids.encode("mal", mail_id)
    made = parsedate_to_datetime(str(once["Date"]))
    assert made == ids.time_of(mail_id).replace(microsecond=0)
    other = compose(ids.new(), mail, SENDER)
    assert other["Message-ID"] != once["Message-ID"]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("ann@example.com", "ann@example.com"),
        ("ann@MÜNCHEN.de", "ann@xn--mnchen-3ya.de"),
        ("ann@localhost", "ann@localhost"),
        ("jürgen@münchen.de", "jürgen@xn--mnchen-3ya.de"),
        ("ann+tag@example.com", "ann+tag@example.com"),
    ],
)
def test_addresses_beyond_ascii_are_made_fit(address: str, shown: str) -> None:
    message = compose(ids.new(), Mail(address, "s", "t\n"), SENDER)
    line = next(line for line in bytes(message).splitlines() if line.startswith(b"To: "))
    assert line.decode() == f"To: {shown}"


@pytest.mark.parametrize("address", ["jürgen@exa..com", "a(b)@example.com", "ü@-x.com"])
def test_an_address_that_is_none_is_final(address: str) -> None:
    with pytest.raises(Undeliverable):
        compose(ids.new(), Mail(address, "s", "t\n"), SENDER)


def test_an_ascii_text_keeps_its_lines_whole() -> None:
    token = "    " + "x" * 200
    message = compose(ids.new(), Mail("a@example.com", "s", f"{token}\n"), SENDER)
    assert token.encode() in bytes(message)
    long = compose(ids.new(), Mail("a@example.com", "s", "x" * 5000 + "\n"), SENDER)
    assert max(map(len, bytes(long).splitlines())) <= 998
    assert read(long).get_content() == "x" * 5000 + "\r\n"


def test_a_sender_may_have_any_name() -> None:
    sender = Sender('"Crossdock, Zürich" <mail@zürich.example>')
    message = read(compose(ids.new(), Mail("a@example.com", "s", "t\n"), sender))
    [address] = message["From"].addresses
    assert address == Address("Crossdock, Zürich", "mail", "xn--zrich-kva.example")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Crossdock",
        "a@b\r\nBcc: c@d",
        "A\n <a@b.c>",
        "jürgen@example.com",
        "a@b, c@d",
        "=?utf-8?q?a=0D=0ABcc:_x=40y.z?= <a@b.c>",
        "@",
        "a@",
    ],
)
def test_a_sender_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="SENDER"):
        Sender(text)
