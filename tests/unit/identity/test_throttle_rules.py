"""GCRA against a plainer model of the same promise: a bucket that is filled evenly."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.identity.throttle import Limit, address_of, rules, site_of

LIMITS: Final = st.builds(
    Limit, burst=st.integers(1, 50), every_s=st.integers(1, 64).map(lambda n: n / 4)
)
"""In quarters of a second, as are the moments: sums of them are exact."""


class Bucket:
    """So many tries, and one more each so often, but never more than it holds."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.left = float(limit.burst)
        self.at = 0.0

    def take(self, now: float) -> bool:
        self.left = min(self.limit.burst, self.left + (now - self.at) / self.limit.every_s)
        self.at = now
        if self.left < 1 - 1e-9:
            return False
        self.left -= 1
        return True


@given(LIMITS, st.lists(st.integers(0, 200), max_size=150))
def test_it_allows_what_a_bucket_allows(limit: Limit, pauses: list[int]) -> None:
    bucket, free_at, now = Bucket(limit), None, 0.0
    for pause in pauses:
        now += pause / 4
        taken, wait = rules.take(free_at, now, limit)
        assert (taken is not None) is bucket.take(now)
        if taken is None:
            assert wait > 0
            # Just before that it is too early, and then it is not.
            assert rules.take(free_at, now + wait - 0.125, limit)[0] is None
            assert rules.take(free_at, now + wait, limit)[0] is not None
        else:
            free_at = taken


@pytest.mark.parametrize("limit", [Limit(10, 60.0), Limit(30, 2.0), Limit(3, 1200.0)])
def test_a_burst_and_then_one_each_so_often(limit: Limit) -> None:
    free_at: float | None = None
    for _ in range(limit.burst):
        free_at, wait = rules.take(free_at, 1000.0, limit)
        assert wait == 0
    assert rules.take(free_at, 1000.0, limit) == (None, limit.every_s)
    assert rules.take(free_at, 1000.0 + limit.every_s, limit)[0] is not None


def test_what_is_stored_names_nobody_and_keeps_purposes_apart() -> None:
    keys = {rules.key_of(*of) for of in [("a", "bc"), ("ab", "c"), ("a", "b"), ("a\0b", "c")]}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {32}
    assert rules.key_of("login", "\ud800")


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_one_address_is_what_one_customer_has(address: str, counted: str) -> None:
    assert address_of(address) == counted


def test_a_site_is_what_a_customer_may_have_at_most() -> None:
    assert site_of("2001:db8:1:2:3:4:5:6") == site_of("2001:db8:1:ffff::1") == "2001:db8:1::/48"
    assert site_of("::ffff:192.0.2.7") == "192.0.2.7"
