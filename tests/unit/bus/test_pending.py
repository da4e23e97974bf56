"""Who waits for the broker's word, and for how long."""

import asyncio

import pytest

from crossdock.bus.pending import Pending
from crossdock.errors import BrokerUnavailable

TIMEOUT_S = 5.0


def add(pending: Pending) -> tuple[int, "asyncio.Future[None]"]:
    token = pending.next
    pending.next += 1
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    pending.futures[token] = future
    return token, future


@pytest.fixture
async def pending() -> Pending:
    return Pending(TIMEOUT_S)


async def test_an_acknowledgement_ends_the_wait(pending: Pending) -> None:
    token, future = add(pending)
    _, other = add(pending)

    pending.resolve([token, 999])

    assert future.done()
    assert not other.done()
    assert len(pending) == 1


async def test_a_deadline_is_kept_to_within_a_tick(pending: Pending) -> None:
    _, early = add(pending)
    assert not pending.tick(0.0)
    _, late = add(pending)
    assert not pending.tick(1.0)

    assert not pending.tick(TIMEOUT_S - 0.1)
    assert not early.done()
    assert pending.tick(TIMEOUT_S)
    assert isinstance(early.exception(), BrokerUnavailable)
    assert not late.done()
    assert pending.tick(TIMEOUT_S + 1.0)
    assert isinstance(late.exception(), BrokerUnavailable)
    assert len(pending) == 0


async def test_an_acknowledgement_after_the_deadline_is_no_error(pending: Pending) -> None:
    token, future = add(pending)
    pending.tick(0.0)
    pending.tick(TIMEOUT_S)

    pending.resolve([token])

    assert isinstance(future.exception(), BrokerUnavailable)


async def test_whoever_went_away_is_not_told(pending: Pending) -> None:
    tokens = []
    for _ in range(3):
        token, future = add(pending)
        future.cancel()
        tokens.append(token)

    pending.resolve(tokens[:1])
    pending.fail(tokens[1:2], "refused")
    pending.fail_all("the connection is gone")

    assert len(pending) == 0


async def test_a_lost_connection_fails_everybody(pending: Pending) -> None:
    futures = [add(pending)[1] for _ in range(3)]

    pending.fail_all("it is gone")

    assert [str(future.exception()) for future in futures] == ["it is gone"] * 3
