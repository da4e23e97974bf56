"""Who goes next: caps hold, tenants take turns, nothing is lost or counted twice."""

from collections import Counter
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from crossdock.delivery.dispatch.lines import Caps, Key, Lines

CAPS = Caps(total=8, tenant=4, destination=2, waiting=16)


def key(tenant: int, destination: int = 0) -> Key:
    return UUID(int=tenant), UUID(int=destination)


def filled(caps: Caps = CAPS, **waiting: int) -> Lines[str]:
    """Return lines with so many deliveries for each destination, named by tenant and letter."""
    lines: Lines[str] = Lines(caps)
    for name, count in waiting.items():
        tenant, destination = int(name[1:-1]), ord(name[-1])
        for _ in range(count):
            lines.add(key(tenant, destination), name)
    return lines


def take_all(lines: Lines[str]) -> list[str]:
    taken = []
    while (turn := lines.take()) is not None:
        taken.append(turn[1])
    return taken


def test_a_destination_flies_no_more_than_its_cap() -> None:
    lines = filled(t1a=10)
    assert take_all(lines) == ["t1a"] * 2
    lines.done(key(1, ord("a")))
    assert take_all(lines) == ["t1a"]


def test_a_tenant_flies_no_more_than_its_cap_over_all_destinations() -> None:
    lines = filled(t1a=3, t1b=3, t1c=3)
    assert sorted(take_all(lines)) == ["t1a", "t1a", "t1b", "t1c"]


def test_the_process_flies_no_more_than_its_cap() -> None:
    lines = filled(t1a=2, t1b=2, t2a=2, t2b=2, t3a=2, t3b=2)
    assert len(take_all(lines)) == 8
    assert lines.flying == 8
    assert lines.waiting == 4


def test_tenants_take_turns_however_long_one_line_is() -> None:
    lines = filled(Caps(total=4, tenant=4, destination=4, waiting=100), t1a=50, t2a=1, t3a=1)
    assert take_all(lines) == ["t1a", "t2a", "t3a", "t1a"]


def test_a_hanging_tenant_leaves_the_others_their_turns() -> None:
    lines = filled(t1a=4, t1b=4)
    take_all(lines)  # tenant 1 is at its cap, and nothing of it lands
    for _ in range(100):
        lines.add(key(2), "t2")
        assert lines.take() == (key(2), "t2")
        lines.done(key(2))


def test_room_is_for_what_flies_and_as_much_again_however_full_it_is() -> None:
    lines: Lines[str] = Lines(Caps(total=8, tenant=4, destination=2, waiting=8))
    for tenant in (8, 9):
        for _ in range(4):
            lines.add(key(tenant), "x")
    assert lines.room(key(1, 1)) == 4
    for _ in range(4):
        lines.add(key(1, 1), "x")
    assert lines.room(key(1, 1)) == 0
    assert lines.room(key(1, 2)) == 4, "the tenant has a share for two of them"
    assert lines.room(key(2, 1)) == 4


def test_room_is_half_of_what_is_free_while_there_is_plenty() -> None:
    lines: Lines[str] = Lines(Caps(total=40, tenant=4, destination=4, waiting=60))
    for _ in range(100):
        if lines.room(key(1, 1)):
            lines.add(key(1, 1), "x")
    assert lines.held(key(1, 1)) == 32, "eight times what may fly"
    assert lines.room(key(1, 2)) == 2, "its tenant holds half of what is free"
    assert lines.room(key(2, 1)) == 32


def test_room_is_shared_among_those_who_ask() -> None:
    lines: Lines[str] = Lines(Caps(total=4, tenant=100, destination=100, waiting=4))
    assert list(lines.allot([key(1), key(2), key(3)], 100).values()) == [3, 3, 2]
    assert list(lines.allot([key(1), key(2), key(3)], 4).values()) == [2, 1, 1]
    lines = Lines(Caps(total=100, tenant=4, destination=4, waiting=100))
    shares = lines.allot([key(1, 1), key(1, 2), key(2, 1)], 100)
    assert shares == {key(1, 1): 32, key(1, 2): 32, key(2, 1): 32}
    lines = Lines(Caps(total=10, tenant=4, destination=4, waiting=6))
    shares = lines.allot([key(1, 1), key(1, 2), key(2, 1)], 100)
    assert shares == {key(1, 1): 6, key(1, 2): 2, key(2, 1): 8}


def test_a_withdrawn_line_is_gone_from_every_queue() -> None:
    lines = filled(t1a=5, t2a=1)
    lines.take()
    assert len(lines.withdraw(key(1, ord("a")))) == 4
    assert lines.withdraw(key(9)) == []
    assert take_all(lines) == ["t2a"]
    lines.done(key(1, ord("a")))
    assert lines.waiting == 0
    assert not lines.holds(key(1, ord("a")))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "take", "done", "withdraw"]),
            st.integers(0, 3),
            st.integers(0, 2),
        ),
        max_size=200,
    )
)
def test_no_cap_is_ever_exceeded_and_nobody_starves(steps: list[tuple[str, int, int]]) -> None:
    lines: Lines[int] = Lines(CAPS)
    flying: Counter[Key] = Counter()
    waiting: Counter[Key] = Counter()
    for what, tenant, destination in steps:
        one = key(tenant, destination)
        if what == "add" and lines.room(one):
            lines.add(one, 0)
            waiting[one] += 1
        elif what == "take":
            turn = lines.take()
            if turn is not None:
                flying[turn[0]] += 1
                waiting[turn[0]] -= 1
            else:
                assert_nobody_could_go(flying, waiting)
        elif what == "done" and flying[one]:
            lines.done(one)
            flying[one] -= 1
        elif what == "withdraw":
            assert len(lines.withdraw(one)) == waiting[one]
            waiting[one] = 0
        assert lines.flying == flying.total() <= CAPS.total
        assert lines.waiting == waiting.total() <= CAPS.total + CAPS.waiting
        assert all(count <= CAPS.destination for count in flying.values())
        assert all(of_tenant(flying, t) <= CAPS.tenant for t in range(4))


def of_tenant(counts: Counter[Key], tenant: int) -> int:
    return sum(count for (one, _), count in counts.items() if one == UUID(int=tenant))


def assert_nobody_could_go(flying: Counter[Key], waiting: Counter[Key]) -> None:
    if flying.total() >= CAPS.total:
        return
    for one, count in waiting.items():
        may_fly = flying[one] < CAPS.destination and of_tenant(flying, one[0].int) < CAPS.tenant
        assert not (count and may_fly), f"{one} waits though it could go"
