"""Entity tags, and ids and moments in parameters."""

import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock import ids
from crossdock.errors import Invalid, Malformed
from gateway import wire


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        (None, None),
        ("*", None),
        (" * ", None),
        ('"3"', {3}),
        ('"3", "4"', {3, 4}),
        ('"3","4" ,"5"', {3, 4, 5}),
        ('W/"3"', set()),
        ('"abc"', set()),
        ('"3", W/"4"', {3}),
        ('"99999999999999999999"', set()),
        ('"٣"', None),
    ],
)
def test_if_match_names_the_versions_it_allows(
    header: str | None, allowed: set[int] | None
) -> None:
    if header == '"٣"':
        with pytest.raises(Malformed):
            wire.versions(header)
        return
    assert wire.versions(header) == allowed


@pytest.mark.parametrize("header", ["3", '"3', '"3" "4"', ",", '"3";"4"', "\x00", "**"])
def test_what_is_no_list_of_entity_tags_is_malformed(header: str) -> None:
    with pytest.raises(Malformed):
        wire.versions(header)


@given(st.text(max_size=40))
def test_no_header_breaks_it(header: str) -> None:
    try:
        found = wire.versions(header)
    except Malformed:
        return
    assert found is None or all(isinstance(version, int) for version in found)


def test_an_id_of_another_kind_is_no_filter() -> None:
    key = ids.new()
    assert wire.query_id("src", "source_id", ids.encode("src", key)) == key
    assert wire.query_id("src", "source_id", None) is None
    for text in (ids.encode("dst", key), str(uuid.UUID(int=1)), "", "src_"):
        with pytest.raises(Invalid) as error:
            wire.query_id("src", "source_id", text)
        assert error.value.violations[0].pointer == "?source_id"


def test_a_moment_needs_its_offset() -> None:
    aware = datetime(2026, 1, 1, tzinfo=UTC)
    assert wire.query_moment("after", aware) == aware
    with pytest.raises(Invalid):
        wire.query_moment("after", aware.replace(tzinfo=None))


def test_bytes_are_text_or_base64() -> None:
    assert wire.as_text("ü".encode()) == ("ü", None)
    assert wire.as_text(b"\xff") == (None, "/w==")
    assert wire.as_text(b"") == ("", None)
