"""Loops that belong together: they run until cancelled, and none of them ends unnoticed."""

import asyncio
from collections.abc import Coroutine
from typing import NoReturn


async def together(*loops: Coroutine[None, None, NoReturn]) -> NoReturn:
    """Run loops that never end; when one ends after all, end the others and say so.

    A task group alone would let one that was cancelled from inside go without a word.

    Raises:
        ExceptionGroup: what ended one of them.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(loop) for loop in loops]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        raise RuntimeError("A loop that never ends has ended.")
