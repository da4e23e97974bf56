"""Health: asked no more than once a second, and with a memory."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from crossdock import health
from crossdock.health import Health

START = datetime(2026, 11, 1, tzinfo=UTC)


class Part:
    """A component that can be switched off."""

    def __init__(self) -> None:
        self.is_up = True
        self.asked = 0

    async def probe(self) -> None:
        self.asked += 1
        if not self.is_up:
            raise ConnectionError


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def nats() -> Part:
    return Part()


@pytest.fixture
def postgres() -> Part:
    return Part()


@pytest.fixture
def checked(clock: Clock, nats: Part, postgres: Part) -> Health:
    probes = {"nats": nats.probe, "postgres": postgres.probe}
    required = frozenset({"nats"})
    return Health(probes, required=required, clock=clock.now, monotonic=clock.monotonic)


async def test_many_who_ask_at_once_cost_one_probe(
    checked: Health, nats: Part, clock: Clock
) -> None:
    await asyncio.gather(*(checked.components() for _ in range(20)))
    assert nats.asked == 1
    clock.seconds = 0.9
    await checked.components()
    assert nats.asked == 1
    clock.seconds = 1.0
    await checked.components()
    assert nats.asked == 2


async def test_since_is_when_it_was_first_seen_so(
    checked: Health, nats: Part, clock: Clock
) -> None:
    await checked.components()
    nats.is_up = False
    clock.seconds = 5
    down = (await checked.components())["nats"]
    assert (down.state, down.latency_ms, down.since) == ("down", None, START + timedelta(seconds=5))
    clock.seconds = 9
    assert (await checked.components())["nats"].since == START + timedelta(seconds=5)
    nats.is_up = True
    clock.seconds = 11
    up = (await checked.components())["nats"]
    assert (up.state, up.since) == ("up", START + timedelta(seconds=11))


async def test_ready_needs_what_is_required_and_no_more(
    checked: Health, nats: Part, postgres: Part, clock: Clock
) -> None:
    postgres.is_up = False
    assert await checked.is_ready()
    nats.is_up = False
    clock.seconds = 2
    assert not await checked.is_ready()


async def test_a_gateway_that_drains_is_not_ready(checked: Health) -> None:
    assert await checked.is_ready()
    checked.drain()
    assert not await checked.is_ready()


async def test_a_part_that_hangs_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PROBE_TIMEOUT_S", 0.01)
    found = Health({"nats": asyncio.Event().wait}, required=frozenset())  # type: ignore[dict-item]
    assert (await found.components())["nats"].state == "down"
