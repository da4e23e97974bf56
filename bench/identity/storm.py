"""Sign-ins by strangers from everywhere, at a steady rate whatever the answers."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, NoReturn

import aiohttp

from bench.identity.world import World

RATE: Final = 50.0
"""A second; a hash takes 0.16 s, so one process does six at the most."""

Answers = Counter[int]
"""How often each status came."""


@asynccontextmanager
async def raging(world: World, answers: Answers) -> AsyncIterator[None]:
    """Let it rage for the length of a block."""
    task = asyncio.create_task(_rage(world, answers))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _rage(world: World, answers: Answers) -> NoReturn:
    async with asyncio.TaskGroup() as tries:
        while True:
            tries.create_task(_try(world, answers))
            await asyncio.sleep(1 / RATE)


async def _try(world: World, answers: Answers) -> None:
    number = random.getrandbits(24)
    body = {"email": f"stranger-{number}@example.com", "password": "a wrong password"}
    address = {"X-Forwarded-For": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"}
    try:
        async with world.http.post(
            world.url("/v1/auth/login"), json=body, headers=address
        ) as answer:
            answers[answer.status] += 1
    except (aiohttp.ClientError, TimeoutError):
        answers[0] += 1
