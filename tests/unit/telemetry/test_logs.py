"""Logs: one shape for all, and nothing secret in them."""

import logging
from typing import Literal

import msgspec
import pytest
import structlog

from crossdock.config import LogSettings
from crossdock.telemetry import logs


@pytest.fixture
def _json_logs() -> None:
    logs.configure(LogSettings(), "test")


@pytest.mark.usefixtures("_json_logs")
def test_our_own_lines_and_a_librarys_have_one_shape(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(), "test")
    structlog.get_logger("ours").info("something_happened", count=3)
    logging.getLogger("theirs").warning("it %s", "broke")
    ours, theirs = (msgspec.json.decode(line) for line in capsys.readouterr().err.splitlines())
    assert ours["event"] == "something_happened"
    assert ours["count"] == 3
    assert theirs["event"] == "it broke"
    assert ours.keys() - {"count"} == theirs.keys()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("password", "hunter2"),
        ("signing_secret", "abc"),
        ("authorization", "Bearer abc"),
        ("detail", "key whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw was refused"),
        ("detail", "cdk_dev_0123_abcdef was refused"),
        ("detail", "cdi_dev_0123_abcdef was refused"),
        ("detail", "eyJhbGciOiJFZERTQSJ9.abcdef.abcdef was refused"),
    ],
)
def test_secrets_are_masked_by_name_and_by_look(name: str, value: str) -> None:
    event = logs.redact(None, "info", {"event": "x", name: value})
    assert logs.MASK in event[name]
    assert "MfKQ9r8" not in event[name]
    assert "abcdef" not in event[name]
    assert "hunter2" not in event[name]


@pytest.mark.parametrize("style", ["json", "console"])
def test_what_others_wrote_commands_no_terminal_and_makes_no_lines(
    capsys: pytest.CaptureFixture[str], style: Literal["json", "console"]
) -> None:
    logs.configure(LogSettings(format=style), "test")
    odd = "a\r\nb\x1b[31mc\x00d\x7fe\x9b31mf\u2028g\u202eh\u2066i\x85j"
    structlog.get_logger("ours").warning("request_failed", path=odd)
    logging.getLogger("theirs").warning("it broke: %s", odd)
    said = capsys.readouterr().err
    # Not `splitlines`, which would hide what some of these do.
    assert said.count("\n") == 2
    assert not [letter for letter in said if not letter.isprintable() and letter != "\n"]
    if style == "json":
        ours, theirs = (msgspec.json.decode(line) for line in said.splitlines())
        assert (ours["path"], theirs["event"]) == (odd, f"it broke: {odd}")
    else:
        assert "\\r\\nb\\x1b[31mc\\x00d\\x7fe\\x9b31mf\\u2028g\\u202eh\\u2066i\\x85j" in said
