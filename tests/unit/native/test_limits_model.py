"""The limit table against a plain model, one node and several, under a clock that tests turn."""

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossdock.native import Limit, LimitTable

SECOND: Final = 1_000_000_000
START: Final = 1_000 * SECOND

quotas = st.integers(1, 50)
windows = st.sampled_from([0.5, 1.0, 7.0, 60.0])
bursts = st.none() | st.integers(1, 60)


@dataclass
class Bucket:
    """One limit as a clock and a number: when all its units are back."""

    quota: int
    window_s: float
    burst: int
    full_at: int = 0

    @property
    def interval(self) -> int:
        return -(-round(self.window_s * SECOND) // self.quota)

    def ahead(self, now: int) -> int:
        return max(self.full_at, now) - now

    def fits(self, now: int, cost: int) -> bool:
        return self.ahead(now) + cost * self.interval <= self.burst * self.interval

    def take(self, now: int, cost: int) -> None:
        self.full_at = max(self.full_at, now) + cost * self.interval

    def remaining(self, now: int) -> int:
        return max(self.burst * self.interval - self.ahead(now), 0) // self.interval

    def wait_s(self, now: int, cost: int) -> int:
        charge = min(cost, self.burst) * self.interval
        missing = self.ahead(now) + charge - self.burst * self.interval
        return max(math.ceil(missing / SECOND), 1)


@dataclass
class Step:
    """So many nanoseconds later somebody asks for so many units of some limits."""

    later: int
    cost: int
    which: list[int] = field(default_factory=list)


steps = st.builds(
    Step,
    later=st.sampled_from([0, 1, SECOND // 10]) | st.integers(0, 90 * SECOND),
    cost=st.sampled_from([1, 1, 1, 2, 7]) | st.integers(1, 2**63),
    which=st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    policies=st.lists(st.tuples(quotas, windows, bursts), min_size=3, max_size=3),
    walk=st.lists(steps, max_size=60),
    shared_slot=st.booleans(),
)
def test_takes_are_those_of_the_model(
    policies: list[tuple[int, float, int | None]], walk: list[Step], *, shared_slot: bool
) -> None:
    table = LimitTable(None, b"", 64)
    limits = [
        Limit(f"p{place}", b"", quota, window_s, burst, shared_slot=shared_slot)
        for place, (quota, window_s, burst) in enumerate(policies)
    ]
    model = [Bucket(quota, window_s, burst or quota) for quota, window_s, burst in policies]
    now = START
    for step in walk:
        now += step.later
        asked = [model[place] for place in step.which]
        refusing = [place for place in step.which if not model[place].fits(now, step.cost)]
        taken = table.take(tuple(limits[place] for place in step.which), step.cost, now)
        assert taken.admitted == (not refusing)
        assert taken.refused == tuple(f"p{place}" for place in refusing)
        if refusing:
            waits = [model[place].wait_s(now, step.cost) for place in refusing]
            if all(step.cost <= model[place].burst for place in refusing):
                assert taken.retry_after_s == max(waits)
            assert taken.retry_after_s >= taken.reset_s
            assert taken.retry_after_s >= 1
            continue
        for bucket in asked:
            bucket.take(now, step.cost)
        shares = [Fraction(bucket.remaining(now), bucket.burst) for bucket in asked]
        tightest = asked[shares.index(min(shares))]
        assert taken.remaining == tightest.remaining(now)
        for place in step.which:
            left = table.peek((limits[place],), now)
            assert left.remaining == model[place].remaining(now)


class Cluster:
    """Nodes that tell each other what was taken, late or never."""

    def __init__(self, nodes: int, limit: Limit) -> None:
        self.limit = limit
        self.tables = [LimitTable(None, b"", 64) for _ in range(nodes)]
        self.admitted = 0
        self.first = 0
        """When the first unit was taken."""
        self.untold = [0] * nodes
        """Units taken at each node since its last drain."""
        self.on_the_way: list[tuple[int, int, bytes, int]] = []
        """When it arrives, where, what, and how many units it tells of."""
        self.missed = [0] * nodes
        """Units that each node was never told of."""

    def take(self, node: int, cost: int, now: int) -> None:
        if self.tables[node].take((self.limit,), cost, now).admitted:
            self.first = self.first or now
            self.admitted += cost
            self.untold[node] += cost
            assert self.admitted <= self.entitled(now) + self.unknown_to(node)

    def entitled(self, now: int) -> int:
        """What one node that knew everything could have admitted by now."""
        interval = -(-round(self.limit.window_s * SECOND) // self.limit.quota)
        return self.limit.burst + (now - self.first) // interval

    def unknown_to(self, node: int) -> int:
        """What the others admitted and this one has not heard of."""
        others = sum(untold for other, untold in enumerate(self.untold) if other != node)
        coming = sum(units for _, there, _, units in self.on_the_way if there == node)
        return others + coming + self.missed[node]

    def tell(self, node: int, now: int, delays: list[int | None]) -> None:
        usage, units = self.tables[node].drain(now), self.untold[node]
        self.untold[node] = 0
        others = [other for other in range(len(self.tables)) if other != node]
        for other, delay in zip(others, delays, strict=True):
            if delay is None:
                self.missed[other] += units
            else:
                self.on_the_way.append((now + delay, other, usage, units))

    def deliver(self, now: int) -> None:
        due = [message for message in self.on_the_way if message[0] <= now]
        self.on_the_way = [message for message in self.on_the_way if message[0] > now]
        for _, there, usage, _ in due:
            self.tables[there].apply(usage, now)


NODES: Final = 3
delays = st.none() | st.integers(0, 2 * SECOND)
moves = st.one_of(
    st.tuples(st.just("take"), st.integers(0, NODES - 1), st.integers(1, 3)),
    st.tuples(st.just("tell"), st.integers(0, NODES - 1), st.lists(delays, min_size=2, max_size=2)),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    quota=st.integers(1, 10),
    burst=st.integers(1, 8),
    walk=st.lists(st.tuples(st.integers(0, SECOND // 2), moves), max_size=80),
    shared_slot=st.booleans(),
)
def test_nodes_admit_no_more_than_what_they_have_not_heard_of(
    quota: int,
    burst: int,
    walk: list[tuple[int, tuple[str, int, int | list[int | None]]]],
    *,
    shared_slot: bool,
) -> None:
    cluster = Cluster(NODES, Limit("a", b"", quota, 1.0, burst, shared_slot=shared_slot))
    now = START
    for later, (_, node, what) in walk:
        now += later
        cluster.deliver(now)
        if isinstance(what, int):
            cluster.take(node, what, now)
        else:
            cluster.tell(node, now, what)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 30), st.integers(1, 10))
def test_nodes_together_admit_at_most_a_burst_more_for_each_other_node(
    quota: int, burst: int, demand: int, ticks: int
) -> None:
    """Over-admission is at most (nodes - 1) x min(burst and refill, demand) of one interval."""
    cluster = Cluster(NODES, Limit("a", b"", quota, 1.0, burst))
    interval = SECOND // 5
    now = START
    for _ in range(ticks):
        for _ in range(demand):
            for node in range(NODES):
                cluster.take(node, 1, now)
        now += interval
        for node in range(NODES):
            cluster.tell(node, now, [0, 0])
        cluster.deliver(now)
    most = min(burst + math.ceil(quota * interval / SECOND), demand)
    assert cluster.admitted <= cluster.entitled(now) + (NODES - 1) * most
