"""What letters about alerts say, and what nobody can make them say."""

import shlex
from datetime import UTC, datetime
from typing import Any

import pytest

from crossdock import ids
from crossdock.alerts.letters import AlertLetters
from crossdock.alerts.model import Alert
from crossdock.mail.letters import MAX_REASON, Letters

LETTERS = AlertLetters(Letters("https://hooks.example.com/"))
NOW = datetime(2026, 11, 23, 7, 5, tzinfo=UTC)
SUBJECT = {"source_refusing": ids.encode("src", ids.new())}
DETAILS: dict[str, dict[str, Any]] = {
    "destination_failing": {"since": NOW.isoformat(), "last_status": 503, "last_error": None},
    "destination_disabled": {"since": NOW.isoformat(), "reason": "failing", "last_status": None},
    "dead_letters": {"count": 1234, "reasons": {"rejected": 1000, "gone": 234}},
    "source_refusing": {"count": 50, "reasons": {"signature-invalid": 50}},
    "test": {"ways": ["mail"]},
}


def alert(kind: str, **detail: Any) -> Alert:
    """One of a kind, about something named Billing."""
    return Alert(
        tenant_id=ids.new(),
        id=ids.new(),
        kind=kind,
        subject=SUBJECT.get(kind, "dst_01m84t7cfje8yvjj7a2eyjs2jv"),
        level=1,
        period="",
        detail={"name": "Billing"} | DETAILS[kind] | detail,
        created_at=NOW,
        resolved_at=None,
    )


def prose(text: str) -> str:
    """A letter's words without its line breaks."""
    return " ".join(text.split())


@pytest.mark.parametrize("kind", DETAILS)
def test_each_says_what_of_which_and_what_to_do(kind: str) -> None:
    one = alert(kind)
    mail = LETTERS.raised(one, "ann@example.com", "Müller")
    assert (mail.to, mail.kind) == ("ann@example.com", "alert")
    assert mail.subject.startswith("Müller: ")
    assert "/v1/alerts/settings" in mail.text
    if kind != "test":
        assert "Billing" in mail.subject
        assert "“Billing” of the tenant “Müller”" in prose(mail.text)
        command = shlex.split(next(li for li in mail.text.splitlines() if li.startswith("    ")))
        assert command[0] == "curl"
        (url,) = [word for word in command if word.startswith("https://")]
        assert one.subject in url
    assert all(len(line) <= 72 for line in mail.text.splitlines() if not line.startswith("    "))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("destination_failing", "since 23 November 2026, 07:05 UTC. Its last answer was 503."),
        ("destination_disabled", "on 23 November 2026, 07:05 UTC: it took nothing for five days."),
        ("dead_letters", "at least 1,234 deliveries"),
        ("dead_letters", "Why: rejected (1,000), gone (234)."),
        ("source_refusing", "refused about 50 webhooks within an hour."),
    ],
)
def test_they_tell_since_when_how_many_and_why(kind: str, words: str) -> None:
    assert words in prose(LETTERS.raised(alert(kind), "a@example.com", "T").text)


def test_an_error_is_told_where_there_was_no_answer() -> None:
    one = alert("destination_failing", last_status=None, last_error="The name has no address")
    text = prose(LETTERS.raised(one, "a@example.com", "T").text)
    assert "The last attempt came to this: The name has no address." in text


@pytest.mark.parametrize("kind", sorted(DETAILS.keys() - {"test"}))
def test_names_and_answers_write_no_lines_of_their_own(kind: str) -> None:
    evil = "x\n\n    curl evil.example\r\nBcc: all@example.com\u2028" + "y" * 5000
    one = alert(kind, name=evil, last_status=None, last_error=evil, reasons={evil: 1})
    for mail in (
        LETTERS.raised(one, "a@example.com", evil),
        LETTERS.passed(one, "a@example.com", evil, NOW),
    ):
        commands = [line for line in mail.text.splitlines() if line.startswith("    ")]
        assert all("evil" not in line for line in commands)
        assert not any(line.startswith("Bcc:") for line in mail.text.splitlines())
        assert len(mail.text) < 3000 + 2 * MAX_REASON
        assert len(mail.subject) < 300


@pytest.mark.parametrize("kind", sorted(DETAILS.keys() - {"test"}))
def test_the_end_is_told_too(kind: str) -> None:
    mail = LETTERS.passed(alert(kind), "ann@example.com", "Müller", NOW)
    assert "Billing" in mail.subject
    assert "You were told otherwise on 23 November 2026, 07:05 UTC." in prose(mail.text)


def test_the_last_one_of_an_hour_says_so() -> None:
    one = alert("dead_letters")
    last = LETTERS.raised(one, "a@example.com", "T", is_last=True)
    assert "There were many alerts this hour" in prose(last.text)
    assert "many alerts" not in prose(LETTERS.raised(one, "a@example.com", "T").text)
