"""A sandbox, and events to run scripts over."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from crossdock.config import TransformSettings
from crossdock.transforms.model import Event, TransformFailed
from crossdock.transforms.service import Sandbox

PLAIN: Final = "function transform(event) { return {payload: event.payload}; }"
ANYBODY: Final = UUID(int=1)
ROOMY: Final = TransformSettings(cpu_ms=2_000)
"""For scripts that are to end by themselves, however busy the machine is."""


def event(body: bytes = b'{"a":1}', **others: Any) -> Event:
    """Return an event of that body."""
    made: dict[str, Any] = {
        "id": "evt_1",
        "type": "order.paid",
        "source_id": "src_1",
        "received_at": datetime(2026, 1, 2, tzinfo=UTC),
        "content_type": "application/json",
        "headers": {"x-kind": "a"},
        **others,
    }
    return Event(body=body, **made)


def returning(expression: str) -> str:
    """Return a script that returns that."""
    return f"function transform(event) {{ return {expression}; }}"


@asynccontextmanager
async def sandboxed(settings: TransformSettings = ROOMY, **options: Any) -> AsyncIterator[Sandbox]:
    """Be a worker that has a sandbox."""
    sandbox = Sandbox(settings, **options)
    try:
        yield sandbox
    finally:
        await sandbox.close()


async def failure(
    sandbox: Sandbox, script: str, given: Event | None = None, **options: Any
) -> TransformFailed:
    """Return how a script fails.

    Raises:
        AssertionError: it does not.
    """
    try:
        made = await sandbox.apply(ANYBODY, script, given or event(), **options)
    except TransformFailed as failed:
        return failed
    raise AssertionError(made)
