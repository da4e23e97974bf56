"""When a breaker opens, for how long, and what counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.breakers import rules
from crossdock.breakers.model import Policy, Record, scope
from crossdock.breakers.rules import Counts, Window
from crossdock.breakers.sharing import merged
from crossdock.breakers.standing import host_of, tenant_and_subject
from crossdock.ids import new

POLICY = Policy()
calls = st.lists(st.tuples(st.floats(0, 5), st.booleans(), st.booleans()), min_size=1, max_size=200)


@given(calls=calls, start=st.floats(0, 1e6), window_s=st.floats(1, 60))
def test_a_window_counts_what_a_list_of_calls_would(
    calls: list[tuple[float, bool, bool]], start: float, window_s: float
) -> None:
    window, now, seen = Window(window_s, start), start, []
    span = window_s / rules.BUCKETS
    for gap, failed, slow in calls:
        now += gap
        window.add(now, failed=failed, slow=slow)
        seen.append((int(now / span), failed, slow))
    place = int(now / span)
    kept = [one for one in seen if one[0] > place - rules.BUCKETS]
    found = window.counts(now)
    assert found == Counts(
        len(kept), sum(failed for _, failed, _ in kept), sum(slow for _, _, slow in kept)
    )
    assert window.counts(now + 2 * window_s) == Counts()


@given(back=st.floats(0.1, 1e4))
def test_a_clock_that_goes_back_breaks_no_window(back: float) -> None:
    window = Window(30, 1e5)
    window.add(1e5, failed=True, slow=False)
    window.add(1e5 - back, failed=True, slow=False)
    assert window.counts(1e5 - back).failed == 2


@given(count=st.integers(0, 19), rest=st.booleans())
def test_too_few_calls_have_no_rate(count: int, *, rest: bool) -> None:
    assert rules.trips(Counts(count, count, count if rest else 0), POLICY) is None


@given(count=st.integers(20, 10_000), share=st.floats(0, 1), slow=st.floats(0, 1))
def test_a_rate_opens_at_its_threshold_and_not_below(count: int, share: float, slow: float) -> None:
    failed, slows = int(count * share), int(count * slow)
    why = rules.trips(Counts(count, failed, slows), POLICY)
    if failed >= 0.5 * count:
        assert why == "failure-rate"
    elif slows >= 0.8 * count:
        assert why == "slow-calls"
    else:
        assert why is None


@given(opens=st.integers(1, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_rests_grow_to_a_cap_and_spread(opens: int, chance: float) -> None:
    rest_s = rules.rest_s(opens, POLICY, chance)
    nominal = min(5.0 * 2.0 ** min(opens - 1, 32), 300.0)
    assert nominal <= rest_s <= nominal * 1.2
    assert rules.rest_s(opens + 1, POLICY, chance) >= rest_s


@given(at=st.floats(-1e12, 1e12), span=st.floats(0, 1e6), now=st.floats(-1e12, 1e12))
def test_what_is_left_is_never_more_than_all_of_it(at: float, span: float, now: float) -> None:
    assert 0 <= rules.left_s(at, span, now) <= span


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 403, 404, 409, 410, 429, 499])
def test_an_answer_below_500_is_no_failure(status: int) -> None:
    assert rules.outcome(status=status, failure=None) == "good"


@pytest.mark.parametrize("status", [500, 502, 503, 599])
def test_a_5xx_is(status: int) -> None:
    assert rules.outcome(status=status, failure=None) == "bad"


@pytest.mark.parametrize("status", [429, 503])
def test_who_asks_to_wait_is_not_judged(status: int) -> None:
    assert rules.outcome(status=status, failure=None, asks_to_wait=True) == "none"


@pytest.mark.parametrize("failure", ["connect", "tls", "timeout", "read", "odd"])
def test_what_is_theirs_counts(failure: str) -> None:
    assert rules.outcome(status=None, failure=failure) == "bad"


@pytest.mark.parametrize("failure", ["refused", "internal", "credentials", "transform"])
def test_what_is_ours_does_not(failure: str) -> None:
    assert rules.outcome(status=None, failure=failure) == "none"


def record(state: str, epoch: int, why: str = "consecutive") -> Record:
    return Record(state=state, epoch=epoch, at=0.0, why=why)  # type: ignore[arg-type]


epochs = st.integers(0, 50)


@given(ours=epochs, theirs=epochs, state=st.sampled_from(["open", "closed"]))
def test_the_higher_epoch_is_told(ours: int, theirs: int, state: str) -> None:
    found = merged(record("closed", ours), record(state, theirs))
    assert (found is not None) == (ours > theirs)


@given(ours=epochs, theirs=epochs)
def test_one_that_opened_by_its_own_calls_is_newer_than_any_that_closed(
    ours: int, theirs: int
) -> None:
    found = merged(record("open", ours), record("closed", theirs))
    assert found is not None
    assert found.epoch > theirs
    if ours <= theirs:
        assert merged(record("open", ours, "probe"), record("closed", theirs)) is None


def test_a_scope_is_of_a_host_whatever_its_letters() -> None:
    tenant, subject = new(), new()
    one = scope("destination", tenant, subject, "Example.com:443")
    assert one == scope("destination", tenant, subject, "Example.com:443")
    assert one.key == scope("destination", tenant, subject, "example.com:443").key
    assert one.key != scope("destination", tenant, subject, "example.org:443").key
    assert one.key != scope("connection", tenant, subject, "Example.com:443").key
    assert tenant_and_subject(one.key) == (tenant, subject)
    odd = scope("destination", tenant, subject, "a b.>*\udcff")
    assert set(odd.key) <= set("0123456789abcdef.d")
    assert host_of(one.key) == host_of(scope("connection", new(), new(), "example.com:443").key)


@pytest.mark.parametrize("key", ["", "d.x.y.z", "d.00.00", "s" * 200])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"unpack|badly formed"):
        tenant_and_subject(key)
