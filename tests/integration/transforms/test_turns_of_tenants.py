"""One tenant's slow scripts, and what they cost another."""

import asyncio
from uuid import UUID

import pytest

from crossdock.config import TransformSettings
from crossdock.transforms.model import Changed, TransformFailed
from crossdock.transforms.service import Sandbox
from tests.beds.delivery import until
from tests.beds.scripts import PLAIN, event, failure, sandboxed

NOISY, QUIET = UUID(int=1), UUID(int=2)
SPINNING = "function transform() { while (true); }"


async def _spin(sandbox: Sandbox, done: list[str], times: int) -> None:
    async def one() -> None:
        with pytest.raises(TransformFailed):
            await sandbox.apply(NOISY, SPINNING, event(), wait_s=600.0)
        done.append("noisy")

    await asyncio.gather(*(one() for _ in range(times)))


@pytest.mark.parametrize("processes", [1, 2])
async def test_slow_scripts_of_one_tenant_do_not_starve_another(processes: int) -> None:
    done: list[str] = []
    async with sandboxed(TransformSettings(processes=processes, cpu_ms=50)) as sandbox:
        noise = asyncio.create_task(_spin(sandbox, done, 60))
        await until(lambda: len(done) >= 3)
        before = len(done)
        short = (sandbox.apply(QUIET, PLAIN, event(), wait_s=600.0) for _ in range(50))
        assert all(isinstance(made, Changed) for made in await asyncio.gather(*short))
        during = len(done) - before
        noise.cancel()
        await asyncio.wait([noise])
    # Fifty short ones cost what a few long ones do: the quiet one went first nearly every time.
    assert during < 10


async def test_one_tenant_never_has_all_processes() -> None:
    async with sandboxed(TransformSettings(processes=2, cpu_ms=60_000)) as sandbox:
        noise = asyncio.create_task(_spin(sandbox, [], 4))
        await until(lambda: sandbox.waiting == 3)
        made = await sandbox.apply(QUIET, PLAIN, event())
        assert isinstance(made, Changed)
        assert sandbox.waiting == 3
        noise.cancel()
        await asyncio.wait([noise])


async def test_who_goes_away_gives_up_his_place() -> None:
    async with sandboxed(TransformSettings(processes=1, cpu_ms=60_000)) as sandbox:
        noise = asyncio.create_task(_spin(sandbox, [], 3))
        await until(lambda: sandbox.waiting == 2)
        noise.cancel()
        await asyncio.wait([noise])
        assert sandbox.waiting == 0


async def test_a_turn_that_does_not_come_is_given_up_and_the_delivery_tried_again() -> None:
    async with sandboxed(TransformSettings(processes=1, cpu_ms=60_000)) as sandbox:
        noise = asyncio.create_task(_spin(sandbox, [], 1))
        await until(lambda: sandbox.pids and sandbox.waiting == 0)
        found = await failure(sandbox, PLAIN, wait_s=0.05)
        assert (found.kind, found.is_final) == ("unavailable", False)
        noise.cancel()
        await asyncio.wait([noise])


async def test_the_line_is_bounded_and_one_tenant_has_half_of_it() -> None:
    async with sandboxed(TransformSettings(processes=1, cpu_ms=60_000)) as sandbox:
        noise = asyncio.create_task(_spin(sandbox, [], 1 + 256))
        await until(lambda: sandbox.waiting == 256)
        found = await failure(sandbox, PLAIN)
        assert found.kind == "unavailable"
        assert "Too many" in found.message
        other = asyncio.create_task(sandbox.apply(QUIET, PLAIN, event()))
        await until(lambda: sandbox.waiting == 257)
        for task in (noise, other):
            task.cancel()
        await asyncio.wait([noise, other])
