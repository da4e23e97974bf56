"""Rust's index finds whom the rules name, in any mixture of sources, patterns and types."""

from typing import Final
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from crossdock import ids
from crossdock.delivery.rules import matches
from crossdock.inbound.persist.model import Route
from crossdock.routing import Subject, judge

SOURCES: Final = [UUID(int=number << 64 | 0x7 << 76) for number in range(1, 4)]
_part = st.text("ab.*", max_size=5)
_own = st.sampled_from(["crossdock.*", "crossdock.a", "crossdock.*.b", "cross*", "*", "crossdock*"])
patterns = st.lists(_part | _own | st.builds("crossdock.{}".format, _part), max_size=4)
types = st.text("ab.é", max_size=7) | st.builds("crossdock.{}".format, st.text("ab.", max_size=4))
routes = st.builds(
    Route,
    st.uuids(),
    st.lists(st.sampled_from(SOURCES), max_size=3),
    patterns,
    st.just(value=True),
)


def subject(event_type: str, source_id: UUID = SOURCES[0], about: str | None = "src_x") -> Subject:
    """Return an event of that type."""
    return Subject(
        event_id=ids.new(0),
        source_id=source_id,
        event_type=event_type,
        content_type="application/json",
        provider_id=None,
        headers=[] if about is None else [("crossdock-about", about)],
        body=b"{}",
    )


@given(st.lists(routes, max_size=30), types, st.sampled_from(SOURCES))
def test_the_index_and_the_rules_agree(
    given_routes: list[Route], event_type: str, source_id: UUID
) -> None:
    judged = judge(subject(event_type, source_id), given_routes)
    expected = [matches(one, source_id, event_type) for one in given_routes]
    assert [one.wanted for one in judged] == expected
    for one, route in zip(judged, given_routes, strict=True):
        listens = not route.source_ids or source_id in route.source_ids
        assert one.wanted or one.why_not == ("type" if listens else "source")


def test_our_own_types_are_for_whoever_names_them() -> None:
    every = Route(ids.new(), [], [], is_open=True)
    star = Route(ids.new(), [], ["*", "cross*", "crossdock*"], is_open=True)
    naming = Route(ids.new(), [], ["crossdock.*"], is_open=True)
    judged = judge(subject("crossdock.alert.raised"), [every, star, naming])
    assert [one.why_not for one in judged] == ["type", "type", None]
    assert [one.wanted for one in judge(subject("crossdockx"), [every, star, naming])] == [
        True,
        True,
        False,
    ]


def test_nobody_hears_of_himself_and_nobody_of_what_says_not_what_it_is_about() -> None:
    mine, other = (Route(ids.new(), [], ["crossdock.*"], is_open=True) for _ in range(2))
    about = ids.encode("dst", mine.id)
    judged = judge(subject("crossdock.alert.raised", about=about), [mine, other])
    assert [one.why_not for one in judged] == ["about", None]
    judged = judge(subject("crossdock.alert.raised", about=None), [mine, other])
    assert [one.why_not for one in judged] == ["about", "about"]
