"""Unknown tokens: few reads at once, few a second, and bounded memory."""

import asyncio

from crossdock.directory import lookup
from crossdock.directory.lookup import Lookups


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_token_that_was_just_not_found_is_not_read_again() -> None:
    clock = Clock()
    lookups = Lookups(clock)
    assert lookups.admit(b"a") is not None
    lookups.remember(b"a")
    assert lookups.knows_not(b"a")
    assert lookups.admit(b"a") is None
    clock.now += lookup.REMEMBERED_S
    assert not lookups.knows_not(b"a")
    assert lookups.admit(b"a") is not None


async def test_so_many_reads_a_second() -> None:
    clock = Clock()
    lookups = Lookups(clock)

    def admitted(tries: int) -> int:
        return sum(lookups.admit(b"%d" % number) is not None for number in range(tries))

    assert admitted(1000) == 100
    clock.now += 0.5
    assert admitted(1000) == 50
    clock.now += 3600
    assert admitted(1000) == 100, "what was not used is not saved up"


async def test_so_many_at_once() -> None:
    lookups = Lookups(Clock())
    places = [lookups.admit(b"%d" % number) for number in range(lookup.READS_AT_ONCE)]
    for place in places:
        assert place is not None
        await asyncio.wait_for(place.acquire(), 1)
    assert lookups.admit(b"x") is None
    assert places[0] is not None
    places[0].release()
    assert lookups.admit(b"x") is not None


async def test_memory_is_bounded() -> None:
    lookups = Lookups(Clock())
    for number in range(3 * lookup.REMEMBERED):
        lookups.remember(b"%d" % number)
    assert len(lookups._unknown) == lookup.REMEMBERED
    assert not lookups.knows_not(b"0")
    assert lookups.knows_not(b"%d" % (3 * lookup.REMEMBERED - 1))
