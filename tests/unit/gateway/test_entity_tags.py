"""Entity tags: what is made is understood, and nothing else."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.errors import Malformed
from gateway import entity_tags


class Thing(msgspec.Struct):
    """Something to show."""

    name: str


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        (None, None),
        ("*", None),
        (" * ", None),
        ('"3"', {3}),
        ('"3-00ff00ff00ff00ff"', {3}),
        ('"3", "4"', {3, 4}),
        ('"3","4-00ff00ff00ff00ff" ,"5"', {3, 4, 5}),
        ('W/"3"', set()),
        ('"abc"', set()),
        ('"3-"', set()),
        ('"3-00ff"', set()),
        ('"-3"', set()),
        ('"+3"', set()),
        ('"3", W/"4"', {3}),
        ('"00ff00ff00ff00ff"', set()),
        ('"99999999999999999999"', set()),
    ],
)
def test_if_match_names_the_versions_it_allows(
    header: str | None, allowed: set[int] | None
) -> None:
    assert entity_tags.versions(header) == allowed


@pytest.mark.parametrize(
    "header", ["", " ", "3", '"3', '"3" "4"', ",", '"3";"4"', "\x00", "**", '"٣"']
)
def test_what_is_no_list_of_entity_tags_is_malformed(header: str) -> None:
    with pytest.raises(Malformed) as error:
        entity_tags.versions(header)
    assert error.value.violations[0].pointer == "If-Match:"


@given(st.text(max_size=40))
def test_no_header_breaks_it(header: str) -> None:
    try:
        found = entity_tags.versions(header)
    except Malformed:
        return
    assert found is None or all(isinstance(version, int) for version in found)


@given(st.integers(0, 10**18 - 1), st.text())
def test_a_tag_that_was_made_here_is_understood(version: int, name: str) -> None:
    tag = entity_tags.tag_of(Thing(name), version)
    assert entity_tags.versions(tag) == frozenset({version})
    assert entity_tags.versions(f"W/{tag}") == frozenset()
    assert entity_tags.versions(entity_tags.tag_of(Thing(name))) == frozenset()


def test_a_tag_changes_with_what_is_shown_and_with_the_version() -> None:
    tags = [
        entity_tags.tag_of(Thing("a")),
        entity_tags.tag_of(Thing("b")),
        entity_tags.tag_of(Thing("a"), 1),
        entity_tags.tag_of(Thing("a"), 2),
        entity_tags.tag_of(Thing("b"), 2),
        entity_tags.tag_of(b"a"),
    ]
    assert len(set(tags)) == len(tags)
    assert entity_tags.tag_of(Thing("a"), 1) == tags[2]


async def sent(
    asked: str | None, *, method: str = "GET", status: int = 200, tag: str = '"1-ab"'
) -> Any:
    """Return the status and the body that arrive."""
    headers = [] if asked is None else [(b"if-none-match", asked.encode())]
    scope: Any = {"type": "http", "method": method, "headers": headers}
    start: Any = {
        "type": "http.response.start",
        "status": status,
        "headers": [(b"ETag", tag.encode()), (b"content-length", b"4"), (b"x-other", b"1")],
    }
    body: Any = {"type": "http.response.body", "body": b"body", "more_body": False}
    for message in (start, body):
        await entity_tags.not_modified(message, scope)
    kept = [name for name, _ in start["headers"]]
    assert (b"content-length" in kept) is (start["status"] != 304)
    assert {b"ETag", b"x-other"} <= set(kept)
    return start["status"], body["body"]


@pytest.mark.parametrize("asked", ['"1-ab"', 'W/"1-ab"', '"x", "1-ab"', "*"])
async def test_what_the_caller_has_is_not_sent_again(asked: str) -> None:
    assert await sent(asked) == (304, b"")
    assert await sent(asked, method="HEAD") == (304, b"")


@pytest.mark.parametrize("asked", [None, '"1-ac"', '"1"', '"2-ab"'])
async def test_what_the_caller_does_not_have_is_sent(asked: str | None) -> None:
    assert await sent(asked) == (200, b"body")


async def test_only_what_was_read_well_can_be_known_already() -> None:
    assert await sent('"1-ab"', method="POST") == (200, b"body")
    assert await sent('"1-ab"', status=201) == (201, b"body")
    assert await sent('"1-ab"', status=412) == (412, b"body")
