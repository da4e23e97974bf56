"""Waiting for something to come true: with a deadline, and saying what never did."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, Final, TypeAlias, TypeVar, overload

import aiohttp

T = TypeVar("T")
Words: TypeAlias = str | Callable[[], str]
"""What was waited for, told where it never came."""

STEP_S: Final = 0.02
AWAY: Final = (aiohttp.ClientError, OSError, TimeoutError)
"""What a request raises while the one it asks is being killed and started again."""


@overload
async def until(
    condition: Callable[[], Awaitable[T]], what: Words, *, within: float = ..., step: float = ...
) -> T: ...
@overload
async def until(
    condition: Callable[[], T], what: Words, *, within: float = ..., step: float = ...
) -> T: ...
async def until(
    condition: Callable[[], Any], what: Words, *, within: float = 20.0, step: float = STEP_S
) -> Any:
    """Return the condition's first true value.

    A server that is away counts as not yet.

    Raises:
        AssertionError: it was not true within so many seconds.
    """
    deadline = monotonic() + within
    while True:
        if value := await _ask(condition):
            return value
        if monotonic() > deadline:
            told = what if isinstance(what, str) else what()
            raise AssertionError(f"Not within {within:g} s: {told}")
        await asyncio.sleep(step)


async def _ask(condition: Callable[[], Any]) -> Any:
    try:
        value = condition()
        return await value if isinstance(value, Awaitable) else value
    except AWAY:
        return None
