"""What is kept of refusals: no value that may be a secret, and no more than there is room for."""

from uuid import UUID

import pytest

from crossdock import ids
from crossdock.inbound.refusals import Recorder, Refusal, recorder
from crossdock.inbound.refusals.recorder import KEPT_EACH, KEPT_REASON, Noted
from crossdock.inbound.refusals.rules import HIDDEN, MAX_HEADERS, MAX_VALUE, redacted

TENANT, SOURCE = ids.new(), ids.new()
KEY = TENANT.bytes, SOURCE.bytes


def refusal(reason: str = "signature-invalid") -> Refusal:
    return Refusal(ids.new(), reason, "It is wrong.", "POST", "192.0.2.1", [], 3, None)


def note(
    found: Recorder, reason: str = "signature-invalid", key: tuple[bytes, bytes] = KEY
) -> bool:
    """Do what a gateway does; return whether there was room."""
    has_room = found.count(key, reason)
    if has_room:
        found.keep(key, refusal(reason))
    return has_room


def of(found: Recorder) -> Noted:
    return found.take()[TENANT][SOURCE]


@pytest.mark.parametrize(
    "name",
    [
        b"authorization",
        b"cookie",
        b"proxy-authorization",
        b"stripe-signature",
        b"x-hub-signature-256",
        b"webhook-signature",
        b"x-shopify-hmac-sha256",
        b"paddle-signature",
        b"x-api-key",
        b"x-whatever-nobody-has-heard-of",
    ],
)
def test_values_that_may_be_secrets_are_hidden(name: bytes) -> None:
    assert redacted([(name, b"s3cret")]) == [(name.decode(), HIDDEN)]


def test_labels_are_shown_bounded_and_escaped() -> None:
    headers = [
        (b"content-type", b"text/\xff\x1b[31m"),
        (b"x-github-event", b"p" * 5000),
        (b"webhook-timestamp", b"1700000000"),
        *[(b"x-%d" % number, b"") for number in range(100)],
    ]

    found = redacted(headers)

    assert found[:3] == [
        ("content-type", "text/\\xff\\x1b[31m"),
        ("x-github-event", "p" * MAX_VALUE),
        ("webhook-timestamp", "1700000000"),
    ]
    assert len(found) == MAX_HEADERS
    assert all(text.isascii() and text.isprintable() for pair in found for text in pair)


def test_a_flood_is_counted_and_hardly_kept() -> None:
    found = Recorder()
    for _ in range(10_000):
        note(found)
    assert note(found, "schema-violated"), "what is rarer still has room"

    noted = of(found)
    assert noted.counts == {"signature-invalid": 10_000, "schema-violated": 1}
    assert len(noted.kept) == KEPT_REASON + 1


def test_of_all_reasons_together_no_more_is_kept() -> None:
    found = Recorder()
    for number in range(100):
        note(found, f"reason-{number % 10}")

    assert len(of(found).kept) == KEPT_EACH


def test_sources_without_number_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "MAX_SOURCES", 3)
    found = Recorder()
    for _ in range(10):
        note(found, key=(TENANT.bytes, ids.new().bytes))

    assert len(found.take()[TENANT]) == 3
    assert note(found), "there is room again"


def test_all_that_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "MAX_KEPT", 5)
    found = Recorder()
    for _ in range(10):
        note(found, key=(TENANT.bytes, ids.new().bytes))

    taken = found.take()[TENANT].values()
    assert sum(len(noted.kept) for noted in taken) == 5
    assert sum(noted.counts.total() for noted in taken) == 10


def test_what_could_not_be_written_comes_back_before_what_came_meanwhile() -> None:
    found = Recorder()
    note(found)
    taken = found.take()
    note(found)
    note(found, "too-large")

    found.give_back(TENANT, taken[TENANT])

    noted = of(found)
    assert noted.counts == {"signature-invalid": 2, "too-large": 1}
    assert [one.id for one in noted.kept] == sorted(one.id for one in noted.kept)
    assert len(noted.kept) == 3
    assert found.take() == {}


def test_what_comes_back_again_and_again_is_bounded() -> None:
    found = Recorder()
    for _ in range(50):
        for reason in ("a", "b", "c", "d"):
            note(found, reason)
        for tenant, sources in found.take().items():
            found.give_back(tenant, sources)

    noted = of(found)
    assert noted.counts.total() == 200
    assert len(noted.kept) <= KEPT_EACH


def test_what_comes_back_finds_no_room_among_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "MAX_SOURCES", 2)
    found = Recorder()
    note(found)
    taken = found.take()
    others = [(UUID(int=number).bytes, SOURCE.bytes) for number in (1, 2)]
    for key in others:
        note(found, key=key)

    found.give_back(TENANT, taken[TENANT])

    assert set(found.take()) == {UUID(int=1), UUID(int=2)}
