"""Filters as Python meets them: checked before they are saved, and judged with a reason."""

import threading
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crossdock import ids, native
from crossdock.inbound.persist.model import Route
from crossdock.routing import Judged, Subject, check_filter, judge

RECEIVED: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BODY: Final = b'{"amount": 120, "customer": {"id": "c-1"}, "items": [{"n": 1}, {"n": 5}]}'

_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)
documents = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner, max_size=4
        )
    ),
    max_leaves=12,
)


def said(filter_: str | None, body: bytes | None = BODY, order_by: str | None = None) -> Judged:
    """Return what one filter says of an event."""
    event = Subject(
        event_id=UUID(int=ids.floor(RECEIVED).int | 0x7 << 76),
        source_id=UUID(int=7),
        event_type="order.paid",
        content_type="application/json",
        provider_id="p-1",
        headers=[("X-Shop", "one"), ("x-shop", "two")],
        body=body,
    )
    return judge(
        event, [Route(ids.new(), [], [], is_open=True, filter=filter_, order_by=order_by)]
    )[0]


@pytest.mark.parametrize(
    "text",
    [
        "payload.amount > 100 && payload.customer.id == 'c-1'",
        "payload.items.exists(x, x.n == 5)",
        "headers['x-shop'] == 'one' && event.provider_id == 'p-1'",
        "event.received_at == timestamp('2026-01-02T03:04:05Z')",
    ],
)
def test_what_is_true_is_wanted(text: str) -> None:
    assert check_filter(text) == []
    assert said(text).wanted


def test_what_is_not_says_why() -> None:
    assert said("payload.amount > 200") == Judged("filter")
    assert said("payload.total > 200") == Judged("filter_error", "no such key: total")
    gone = said("payload.amount > 100", body=None)
    assert gone == Judged("filter_error", "the payload cannot be opened any more")
    assert said("event.type == 'order.paid'", body=None).wanted
    assert said("payload == null", body=b"a=b").wanted
    assert "can't be used" in said("payload.").detail


def test_a_filter_is_refused_with_its_place() -> None:
    (found,) = check_filter("payload.a ==\n  && 1")
    assert found.pointer == "/filter"
    assert found.detail.startswith("Line 2, column 3: ")
    for text in ("", "payload.", "paylod.a", "'text'", "\ud800", "x" * 4097, "a\0b"):
        assert len(check_filter(text, "/f")) == 1, text
        assert check_filter(text, "/f")[0].pointer == "/f"
    assert check_filter("payload.a == '" + "x" * 4080 + "'") == []


@given(documents)
def test_a_payload_equals_itself_as_it_is_written_in_the_language(document: object) -> None:
    body = msgspec.json.encode({"a": document, "b": document})
    assert said("payload.a == payload.b", body).wanted
    assert said("payload.a != payload.b", body) == Judged("filter")
    assert said("type(payload.a) == type(payload.b) && payload.a in [payload.b]", body).wanted


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
@example(2**63 - 1, 1)
@example(-(2**63), -1)
@example(0, 0)
def test_whole_numbers_are_reckoned_with_as_in_python_or_not_at_all(one: int, other: int) -> None:
    body = msgspec.json.encode({"a": one, "b": other})
    expected = {
        "+": one + other,
        "-": one - other,
        "*": one * other,
        "/": None if other == 0 else abs(one) // abs(other) * (1 if one * other >= 0 else -1),
        "%": None if other == 0 else (abs(one) % abs(other)) * (1 if one >= 0 else -1),
    }
    if (one, other) == (-(2**63), -1):
        expected["%"] = None
    for sign, value in expected.items():
        found = said(f"payload.a {sign} payload.b == {value}", body)
        fits = value is not None and -(2**63) <= value < 2**63
        assert found.wanted if fits else found.why_not == "filter_error", (sign, found)
    assert said("payload.a < payload.b", body).wanted is (one < other)
    assert said("double(payload.a) <= payload.b", body).wanted is (float(one) <= other)


@given(st.text(max_size=40))
def test_any_text_is_a_filter_or_is_refused(text: str) -> None:
    found = check_filter(text)
    assert len(found) <= 1
    if not found:
        said(text)


WORDS: Final = """
payload headers event . .a .b ['x'] [0] ( ) ! - + * / % == != < <= in && || ? : 1 1u 2.5 'a' b'a'
null true [ ] { } , .all(x, .exists(x, .map(x, .filter(x, x) .size() .matches('a+') size( int(
string( has( timestamp( duration( type(
"""
_words = st.sampled_from(WORDS.split())


@given(st.lists(_words, max_size=25).map(" ".join), documents)
def test_any_words_of_the_language_are_judged_or_refused(text: str, document: object) -> None:
    if not check_filter(text):
        said(text, msgspec.json.encode(document))


def test_judging_lets_other_threads_go_on() -> None:
    numbers = msgspec.json.encode({"l": list(range(3_000))})
    slow = "payload.l.exists(x, payload.l.exists(y, x + y == -1))"
    matcher = native.Matcher(
        [(b"%16d" % one, [], [], f"{slow} || payload.l[0] == {one + 1}", None) for one in range(50)]
    )
    turns = 0
    done = threading.Event()
    pause = threading.Event()

    def judge_often() -> None:
        for _ in range(20):
            matcher.match(ids.new().bytes, b"s" * 16, "a", "", None, [], numbers)
        done.set()

    thread = threading.Thread(target=judge_often)
    thread.start()
    while not done.is_set():
        turns += 1
        pause.wait(0.0001)
    thread.join()
    assert turns > 20


def test_lines_are_of_equal_keys_and_63_bits() -> None:
    def line(order_by: str, body: bytes = BODY) -> int | None:
        return said(None, body, order_by).line

    one = line("/customer/id")
    assert one is not None
    assert 0 <= one < 2**63
    assert line("/customer/id", b'{"customer":{"id":"c-\\u0031"}}') == one
    assert line("/customer/id", b'{"customer":{"id":"c-2"}}') != one
    assert line("/n", b'{"n":1}') != line("/n", b'{"n":"1"}')
    assert line("/n", b'{"n":1}') == line("/n", b'{"n":1.0}')
    assert line("source") == line("source", b"") is not None
    for body in (b"{}", b'{"n":null}', b'{"n":{}}', b"no json", b""):
        assert line("/n", body) is None
    assert said(None, None, "/n").line is None
    assert said("payload.amount == 1", BODY, "/n").line is None
