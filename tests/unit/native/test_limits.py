"""One limit table: what it admits, what it says, and what it refuses to be asked."""

import pytest

from crossdock.native import Limit, LimitTable, Taken

NOW = 5_000_000_000_000
SECOND = 1_000_000_000


@pytest.fixture
def table() -> LimitTable:
    return LimitTable(None, b"", 64)


def tenant(quota: int = 300, window_s: float = 60.0, burst: int | None = None) -> Limit:
    return Limit("tenant", b"one", quota, window_s, burst)


def key(quota: int = 6000, window_s: float = 60.0, burst: int | None = None) -> Limit:
    return Limit("key", b"two", quota, window_s, burst)


def headers(taken: Taken) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in taken.headers}


def test_a_limit_says_what_it_is() -> None:
    limit = Limit("webhooks", b"source", 600, 60.0, 200, shared_slot=True)
    assert (limit.name, limit.quota, limit.window_s, limit.burst) == ("webhooks", 600, 60.0, 200)
    assert tenant(300).burst == 300
    assert repr(limit) == '<Limit "webhooks";q=200;w=20>'


@pytest.mark.parametrize(
    "arguments",
    [
        ("", b"", 1, 1.0),
        ("Tenant", b"", 1, 1.0),
        ('a"', b"", 1, 1.0),
        ("a\r\nx", b"", 1, 1.0),
        ("a" * 33, b"", 1, 1.0),
        ("a", b"", 0, 1.0),
        ("a", b"", 1_000_001, 1.0),
        ("a", b"", 1, 0.0),
        ("a", b"", 1, -1.0),
        ("a", b"", 1, float("nan")),
        ("a", b"", 1, float("inf")),
        ("a", b"", 1, 2_678_401.0),
        ("a", b"", 1, 1.0, 0),
        ("a", b"", 1, 1.0, 1_000_000_001),
        ("a", b"", 1, 2_678_400.0, 12),
    ],
)
def test_a_limit_out_of_range_is_refused(
    arguments: tuple[str, bytes, int, float] | tuple[str, bytes, int, float, int],
) -> None:
    with pytest.raises(ValueError, match=r"name|quota|window_s|burst"):
        Limit(*arguments)


def test_numbers_that_are_none_are_refused(table: LimitTable) -> None:
    for negative in (-1, 2**64):
        with pytest.raises(OverflowError):
            Limit("a", b"", negative, 1.0)
        with pytest.raises(OverflowError):
            table.take((tenant(),), negative)
        with pytest.raises(OverflowError):
            table.take((tenant(),), now_ns=negative)
    with pytest.raises(ValueError, match="cost"):
        table.take((tenant(),), 0)
    with pytest.raises(ValueError, match="now_ns"):
        table.take((tenant(),), now_ns=2**60)
    with pytest.raises(ValueError, match="at most 8"):
        table.take((tenant(),) * 9)
    with pytest.raises(TypeError):
        table.take(("tenant",))  # type: ignore[arg-type]


@pytest.mark.parametrize("slots", [0, 63, 2**24 + 1])
def test_a_table_has_a_sensible_size(slots: int) -> None:
    with pytest.raises(ValueError, match="slots"):
        LimitTable(None, b"", slots)


def test_a_burst_is_there_at_once_and_no_more(table: LimitTable) -> None:
    limit = tenant(3, 60.0)
    assert [table.take((limit,), now_ns=NOW).admitted for _ in range(4)] == [True] * 3 + [False]
    assert not table.take((limit,), now_ns=NOW + 20 * SECOND - 1).admitted
    assert table.take((limit,), now_ns=NOW + 20 * SECOND).admitted
    assert not table.take((limit,), now_ns=NOW + 20 * SECOND).admitted


def test_the_headers_name_all_policies_and_the_tightest(table: LimitTable) -> None:
    taken = table.take((tenant(), key()), now_ns=NOW)
    assert headers(taken) == {
        "ratelimit-policy": '"tenant";q=300;w=60, "key";q=6000;w=60',
        "ratelimit": '"tenant";r=299;t=1',
    }
    assert (taken.remaining, taken.reset_s, taken.retry_after_s, taken.refused) == (299, 1, 0, ())
    table.take((key(),), 5_999, now_ns=NOW)
    refused = table.take((tenant(), key()), now_ns=NOW)
    assert headers(refused) == {
        "ratelimit-policy": '"tenant";q=300;w=60, "key";q=6000;w=60',
        "ratelimit": '"key";r=0;t=1',
        "retry-after": "1",
    }
    assert (refused.admitted, refused.retry_after_s, refused.refused) == (False, 1, ("key",))


def test_a_burst_that_is_not_the_quota_is_announced_with_its_own_window(table: LimitTable) -> None:
    taken = table.take((tenant(600, 60.0, 50),), now_ns=NOW)
    assert headers(taken)["ratelimit-policy"] == '"tenant";q=50;w=5'


def test_what_a_client_is_told_is_true(table: LimitTable) -> None:
    limit = tenant(7, 60.0, 3)
    table.take((limit,), 3, now_ns=NOW)
    now = NOW
    for _ in range(5):
        refused = table.take((limit,), now_ns=now)
        assert (refused.admitted, refused.remaining) == (False, 0)
        assert refused.retry_after_s >= refused.reset_s >= 1
        assert not table.peek((limit,), now + (refused.retry_after_s - 1) * SECOND).admitted
        now += refused.retry_after_s * SECOND
        assert table.take((limit,), now_ns=now).admitted


def test_all_that_refuse_are_named_and_the_longest_wait_counts(table: LimitTable) -> None:
    slow, quick = tenant(1, 600.0), key(1, 5.0)
    table.take((slow, quick), now_ns=NOW)
    refused = table.take((quick, slow), now_ns=NOW)
    assert refused.refused == ("key", "tenant")
    assert refused.retry_after_s == 600
    assert headers(refused)["ratelimit"] == '"tenant";r=0;t=600'


def test_nothing_is_taken_of_any_when_one_has_no_room(table: LimitTable) -> None:
    wide, narrow = tenant(100), key(1)
    assert table.take((wide, narrow), now_ns=NOW).admitted
    for limits in [(wide, narrow), (narrow, wide)] * 5:
        assert not table.take(limits, now_ns=NOW).admitted
    assert table.peek((wide,), NOW).remaining == 99


def test_peeking_takes_nothing(table: LimitTable) -> None:
    for _ in range(3):
        assert table.peek((tenant(2),), NOW).remaining == 2
    table.take((tenant(2),), 2, now_ns=NOW)
    assert not table.peek((tenant(2),), NOW).admitted
    assert table.stats()["slots"] == 64


def test_a_cost_that_never_fits_is_refused_for_good(table: LimitTable) -> None:
    for cost in (11, 2**64 - 1):
        refused = table.take((tenant(10),), cost, now_ns=NOW)
        assert (refused.admitted, refused.remaining, refused.retry_after_s) == (False, 10, 1)
    table.take((tenant(10),), 5, now_ns=NOW)
    assert table.take((tenant(10),), 11, now_ns=NOW).retry_after_s == 30
    assert table.take((tenant(10),), 5, now_ns=NOW).admitted


def test_without_limits_everything_is_admitted_and_nothing_said(table: LimitTable) -> None:
    taken = table.take(())
    assert (taken.admitted, taken.headers, taken.refused, taken.remaining) == (True, [], (), 0)


def test_subjects_and_policies_are_counted_apart(table: LimitTable) -> None:
    one = Limit("a", b"x", 1, 60.0)
    assert table.take((one,), now_ns=NOW).admitted
    assert not table.take((Limit("a", b"x", 1, 60.0),), now_ns=NOW).admitted
    for other in (
        Limit("a", b"y", 1, 60.0),
        Limit("b", b"x", 1, 60.0),
        Limit("a", b"x", 2, 60.0),
        Limit("a", b"x", 1, 61.0),
    ):
        assert table.take((other,), now_ns=NOW).admitted


def test_the_past_is_no_store_of_units(table: LimitTable) -> None:
    limit = tenant(2, 60.0)
    table.take((limit,), 2, now_ns=NOW)
    much_later = NOW + 3_600 * SECOND
    assert table.take((limit,), 2, now_ns=much_later).admitted
    assert not table.take((limit,), now_ns=much_later).admitted


def test_a_clock_that_goes_back_gives_nothing_and_does_not_refuse_for_ever(
    table: LimitTable,
) -> None:
    limit = tenant(2, 1.0)
    now = 10 * 86_400 * SECOND
    table.take((limit,), 2, now_ns=now)
    for back_s in (1, 60, 3_600):
        assert not table.take((limit,), now_ns=now - back_s * SECOND).admitted
    assert table.take((limit,), now_ns=now - 86_400 * SECOND).admitted


def test_more_subjects_than_slots_are_admitted_and_counted(table: LimitTable) -> None:
    limits = [Limit("a", str(n).encode(), 1, 60.0) for n in range(200)]
    assert all(table.take((limit,), now_ns=NOW).admitted for limit in limits)
    crowded = table.stats()["crowded"]
    assert crowded >= 200 - 64
    again = sum(table.take((limit,), now_ns=NOW).admitted for limit in limits)
    assert again == crowded
    assert table.stats()["crowded"] == 2 * crowded


def test_addresses_need_no_slot_of_their_own(table: LimitTable) -> None:
    limits = [Limit("a", str(n).encode(), 1, 60.0, shared_slot=True) for n in range(1_000)]
    admitted = sum(table.take((limit,), now_ns=NOW).admitted for limit in limits)
    assert 980 <= admitted <= 1_000, "a few meet in one slot"
    assert not any(table.take((limit,), now_ns=NOW).admitted for limit in limits)
    assert (table.stats()["used"], table.stats()["crowded"]) == (0, 0)


def test_a_share_of_a_limit_is_one_unit_at_least(table: LimitTable) -> None:
    assert table.share == 1
    table.set_share(3)
    assert table.share == 3
    wide, narrow = tenant(30, 30.0), key(2, 2.0)
    assert sum(table.take((wide,), now_ns=NOW).admitted for _ in range(30)) == 10
    assert table.take((narrow,), now_ns=NOW).admitted
    assert not table.take((narrow,), now_ns=NOW + 3 * SECOND - 1).admitted
    assert table.take((narrow,), now_ns=NOW + 3 * SECOND).admitted
    table.set_share(1)
    for nodes in (0, 1_025):
        with pytest.raises(ValueError, match="nodes"):
            table.set_share(nodes)


def test_what_is_no_usage_is_refused_whole(table: LimitTable) -> None:
    other = LimitTable(None, b"", 64)
    other.take((tenant(2),), 2, now_ns=NOW)
    usage = other.drain(NOW)
    for malformed in (usage[:-1], usage + b"x", b"\x02" + usage[1:], b"\0", usage + bytes(16)):
        with pytest.raises(ValueError, match="usage"):
            table.apply(malformed, NOW)
    assert table.peek((tenant(2),), NOW).remaining == 2
    table.apply(b"", NOW)
    table.apply(usage, NOW)
    assert not table.peek((tenant(2),), NOW).admitted
