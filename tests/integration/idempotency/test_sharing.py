"""Answers told to other processes over a real broker; nothing depends on it, whatever happens."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any, Final

import pytest

from crossdock.bus.connection import connect
from crossdock.config import NatsSettings
from crossdock.embedded import EmbeddedNats
from crossdock.idempotency.service import Idempotency
from crossdock.idempotency.sharing import MAX_ANSWER_BYTES, Sharing
from crossdock.idempotency.store import KEPT
from proto.subjects import ANSWERS_BUCKET
from tests.integration.idempotency.conftest import ANSWER, Bed, never

WITHIN_S: Final = 15.0


async def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(WITHIN_S):
        while not holds():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def processes(settings: NatsSettings, count: int = 2) -> AsyncIterator[list[Sharing]]:
    """Run what so many gateway processes would."""
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(count):
            bus = await connect(settings, name="gateway")
            stack.push_async_callback(bus.close)
            sharing = Sharing(bus)
            task = asyncio.create_task(sharing.run())
            stack.push_async_callback(_ended, task)
            found.append(sharing)
        await until(lambda: all(one.is_heard for one in found))
        yield found


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture(scope="module")
async def two(nats_server: EmbeddedNats) -> AsyncIterator[list[Sharing]]:
    async with processes(nats_server.settings()) as found:
        yield found


async def test_an_answer_reaches_the_other_process(two: list[Sharing]) -> None:
    digest = os.urandom(32)
    two[0].share(digest, b"sealed")
    assert two[0].get(digest) == b"sealed"
    await until(lambda: two[1].get(digest) == b"sealed")


async def test_a_hot_replay_asks_no_database(bed: Bed, two: list[Sharing]) -> None:
    claim = bed.claim()
    first = Idempotency(bed.databases, bed.vault, two[0])
    nobody: Any = None
    second = Idempotency(nobody, bed.vault, two[1])
    assert await first.atomic(claim, bed.making("a")) is None
    await until(lambda: two[1].get(claim.digest))
    assert await second.atomic(claim, never) == ANSWER
    assert await second.apart(claim, never) == ANSWER


async def test_an_answer_with_a_secret_goes_nowhere(bed: Bed, two: list[Sharing]) -> None:
    secret, plain = bed.claim(is_secret=True), bed.claim()
    service = Idempotency(bed.databases, bed.vault, two[0])
    await service.atomic(secret, bed.making("a"))
    await service.apart(bed.claim(is_secret=True), bed.making("b"))
    await service.atomic(plain, bed.making("c"))
    await until(lambda: two[1].get(plain.digest))  # what was told before it has come, too
    assert two[0].get(secret.digest) is None
    assert two[1].get(secret.digest) is None
    stream = await two[0]._bucket.js.stream_info(f"KV_{ANSWERS_BUCKET}", subjects_filter=">")
    assert not any(secret.digest.hex() in name for name in stream.state.subjects or {})
    assert await service.atomic(secret, never) == ANSWER


async def test_a_forged_entry_is_as_good_as_none(bed: Bed, two: list[Sharing]) -> None:
    claim = bed.claim()
    other = bed.vault.seal(bed.claim(), ANSWER)

    def is_known(value: bytes) -> bool:
        return two[1].get(claim.digest) == value

    for forged in (b"", b"junk", other):
        await two[0]._bucket.tell(claim.digest.hex(), forged or b"\x00")
        await until(partial(is_known, forged or b"\x00"))
        service = Idempotency(bed.databases, bed.vault, two[1])
        assert await service.atomic(claim, bed.making("x", None)) is None
        await bed.world.admin.execute("DELETE FROM crossdock.destinations WHERE name = 'x'")
    for key in ("not-a-digest", "ab" * 8):
        await two[0]._bucket.tell(key, b"x")
    two[0].share(claim.digest, b"last")
    await until(lambda: two[1].get(claim.digest) == b"last")
    assert len(two[1].memory) < 100


async def test_a_large_answer_is_not_told(two: list[Sharing]) -> None:
    digest = os.urandom(32)
    two[0].share(digest, b"x" * (MAX_ANSWER_BYTES + 1))
    assert two[0].get(digest) is None
    two[0].share(digest, b"x" * MAX_ANSWER_BYTES)
    await until(lambda: two[1].get(digest))


async def test_the_bucket_forgets_and_is_bounded(two: list[Sharing]) -> None:
    config = (await two[0]._bucket.js.stream_info(f"KV_{ANSWERS_BUCKET}")).config
    assert str(config.storage) == "memory"
    assert config.max_age == 120
    assert 0 < (config.max_bytes or 0) <= 64 * 1024**2
    assert KEPT.total_seconds() > (config.max_age or 0)


async def test_a_broker_that_goes_and_comes_back_changes_no_answer(
    bed: Bed, private_nats: EmbeddedNats
) -> None:
    async with processes(private_nats.settings()) as (one, other):
        services = [Idempotency(bed.databases, bed.vault, sharing) for sharing in (one, other)]
        private_nats.kill()
        claim = bed.claim()
        assert await services[0].atomic(claim, bed.making("away")) is None
        assert await services[1].atomic(claim, never) == ANSWER
        await until(lambda: not one.is_heard and not other.is_heard)
        private_nats.start()
        # Its memory is gone, and the bucket with it: one of them makes it anew.
        await until(lambda: one.is_heard and other.is_heard)
        digest = os.urandom(32)

        def is_told() -> bool:
            one.share(digest, b"sealed")
            return other.get(digest) == b"sealed"

        await until(is_told)
