"""Ids and moments in parameters, and bytes in answers."""

import uuid
from datetime import UTC, datetime

import pytest

from crossdock import ids
from crossdock.errors import Invalid
from gateway import wire


def test_an_id_of_another_kind_is_no_filter() -> None:
    key = ids.new()
    assert wire.query_id("src", "source_id", ids.encode("src", key)) == key
    assert wire.query_id("src", "source_id", None) is None
    for text in (ids.encode("dst", key), str(uuid.UUID(int=1)), "", "src_"):
        with pytest.raises(Invalid) as error:
            wire.query_id("src", "source_id", text)
        assert error.value.violations[0].pointer == "?source_id"


def test_a_moment_has_its_offset() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for text in ("2026-01-01T12:00:00Z", "2026-01-01T14:00:00+02:00"):
        assert wire.query_moment("after", text) == noon
    assert wire.query_moment("after", None) is None


@pytest.mark.parametrize(
    "text", ["2026-01-01T12:00:00", "0.5", "1767268800", "null", "", "9999-12-31T23:59:59-23:59"]
)
def test_nothing_else_passes_for_a_moment(text: str) -> None:
    with pytest.raises(Invalid) as error:
        wire.query_moment("after", text)
    assert error.value.violations[0].pointer == "?after"


def test_bytes_are_text_or_base64() -> None:
    assert wire.as_text("ü".encode()) == ("ü", None)
    assert wire.as_text(b"\xff") == (None, "/w==")
    assert wire.as_text(b"") == ("", None)
