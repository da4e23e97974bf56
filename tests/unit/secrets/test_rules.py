"""Rotation: an overlap for the old, ten live at most."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.errors import Conflict, Invalid, NotFound
from crossdock.secrets import model, rules
from crossdock.secrets.model import SealedSecret

NOW = 1_800_000_000.0
DAY = 86_400.0


def secret(name: str, not_after: float | None = None) -> SealedSecret:
    return SealedSecret(id=name, sealed=name.encode(), not_after=not_after)


def ids(secrets: tuple[SealedSecret, ...]) -> list[str]:
    return [one.id for one in secrets]


def test_the_new_secret_is_first_and_the_old_one_lives_a_day() -> None:
    rotated = rules.rotate([secret("old")], secret("new"), now=NOW)
    assert rotated == (secret("new"), secret("old", NOW + DAY))
    assert ids(rules.live(rotated, NOW + DAY - 1)) == ["new", "old"]
    assert ids(rules.live(rotated, NOW + DAY)) == ["new"], "an end is exclusive"


def test_no_overlap_ends_the_old_one_at_once() -> None:
    assert rules.rotate([secret("old")], secret("new"), now=NOW, overlap=timedelta(0)) == (
        secret("new"),
    )


def test_an_earlier_end_stays() -> None:
    before = [secret("b"), secret("a", NOW + 60)]
    rotated = rules.rotate(before, secret("c"), now=NOW, overlap=timedelta(days=7))
    assert rotated == (secret("c"), secret("b", NOW + 7 * DAY), secret("a", NOW + 60))


def test_a_later_end_comes_forward() -> None:
    before = [secret("b"), secret("a", NOW + 6 * DAY)]
    rotated = rules.rotate(before, secret("c"), now=NOW, overlap=timedelta(hours=1))
    assert [one.not_after for one in rotated] == [None, NOW + 3600, NOW + 3600]


def test_ended_secrets_are_dropped() -> None:
    before = [secret("b"), secret("a", NOW)]
    assert ids(rules.rotate(before, secret("c"), now=NOW)) == ["c", "b"]


@pytest.mark.parametrize(
    "overlap", [timedelta(seconds=-1), timedelta(days=7, microseconds=1), timedelta(days=400)]
)
def test_an_overlap_out_of_range_is_refused(overlap: timedelta) -> None:
    with pytest.raises(Invalid) as refused:
        rules.rotate([secret("old")], secret("new"), now=NOW, overlap=overlap)
    assert refused.value.violations[0].pointer == "/overlap_s"


def test_ten_live_at_most() -> None:
    secrets: tuple[SealedSecret, ...] = (secret("0"),)
    for number in range(1, 10):
        secrets = rules.rotate(secrets, secret(str(number)), now=NOW)
    assert len(secrets) == 10
    with pytest.raises(Conflict):
        rules.rotate(secrets, secret("10"), now=NOW)
    assert len(rules.rotate(secrets, secret("10"), now=NOW + DAY)) == 2
    assert len(rules.rotate(secrets, secret("10"), now=NOW, overlap=timedelta(0))) == 1


def test_an_overlapping_secret_can_be_revoked_and_the_current_one_not() -> None:
    secrets = rules.rotate([secret("old")], secret("new"), now=NOW)
    assert ids(rules.revoke(secrets, "old", now=NOW)) == ["new"]
    with pytest.raises(Conflict):
        rules.revoke(secrets, "new", now=NOW)
    for unknown in ("other", "old"):
        with pytest.raises(NotFound):
            rules.revoke(secrets, unknown, now=NOW + DAY)


def test_the_next_end() -> None:
    secrets = [secret("c"), secret("b", NOW + 60), secret("a", NOW + 30), secret("0", NOW - 1)]
    assert rules.next_end(secrets, NOW) == NOW + 30
    assert rules.next_end(secrets, NOW + 30) == NOW + 60
    assert rules.next_end(secrets, NOW + 60) is None
    assert rules.next_end([], NOW) is None


@given(st.lists(st.tuples(st.floats(0, 10 * DAY), st.floats(0, 7 * DAY)), min_size=1, max_size=40))
def test_whatever_is_done_the_rules_hold(steps: list[tuple[float, float]]) -> None:
    now = NOW
    secrets: tuple[SealedSecret, ...] = (secret("first"),)
    for number, (later, overlap) in enumerate(steps):
        now += later
        try:
            secrets = rules.rotate(
                secrets, secret(str(number)), now=now, overlap=timedelta(seconds=overlap)
            )
        except Conflict:
            continue
        assert secrets[0].id == str(number)
        assert [one.not_after is None for one in secrets].count(True) == 1
        assert len(rules.live(secrets, now)) == len(secrets) <= rules.MAX_LIVE
        assert all(one.not_after <= now + 7 * DAY for one in secrets if one.not_after)


def test_a_column_reads_back() -> None:
    secrets = (secret("new"), secret("old", NOW))
    assert model.decode(model.encode(secrets)) == secrets
    assert model.decode('[{"id": "a", "sealed": "AQID"}]')[0].sealed == b"\x01\x02\x03"


def test_a_sealed_secret_shows_its_id_and_end_only() -> None:
    assert repr(secret("abc", NOW)) == "SealedSecret(id='abc', not_after=1800000000.0)"
