"""Loops that belong together end together, and never in silence."""

import asyncio
from typing import NoReturn

import pytest

from crossdock.endless import together


async def forever(ended: list[str]) -> NoReturn:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("forever")
    raise AssertionError


async def fails() -> NoReturn:
    await asyncio.sleep(0)
    raise ZeroDivisionError


async def cancels_itself() -> NoReturn:
    await asyncio.sleep(0)
    raise asyncio.CancelledError


async def test_one_failure_ends_all() -> None:
    ended: list[str] = []
    with pytest.raises(ExceptionGroup) as group:
        await together(forever(ended), fails())
    assert isinstance(group.value.exceptions[0], ZeroDivisionError)
    assert ended == ["forever"]


async def test_a_loop_that_goes_without_a_word_is_an_error() -> None:
    ended: list[str] = []
    with pytest.raises(ExceptionGroup) as group:
        await together(forever(ended), cancels_itself())
    assert isinstance(group.value.exceptions[0], RuntimeError)
    assert ended == ["forever"]


async def test_cancelling_ends_all() -> None:
    ended: list[str] = []
    task = asyncio.create_task(together(forever(ended), forever(ended)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["forever", "forever"]
