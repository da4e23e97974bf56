"""Logs: one shape for all, and nothing secret in them."""

import logging

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
