"""One process of a machine speaks for it: whoever holds the lock beside the table."""

import asyncio
import fcntl
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import structlog

AGAIN_S: Final = 0.5
NODE_BYTES: Final = 8

_NODE: Final = re.compile(rb"[0-9a-f]{16}")

log = structlog.get_logger(__name__)


@asynccontextmanager
async def leading(table: Path | None) -> AsyncIterator[str]:
    """Wait until no other process speaks for this machine, and be the one that does.

    The lock goes with its process, however that ends. The machine's name stays, so that a new
    speaker is no new node to the others.

    Args:
        table: the table that the machine's processes share; `None` is shared with nobody.

    Yields:
        The name of this node.
    """
    if table is None:
        yield new_node()
        return
    path = table.with_name(f"{table.name}.leader")
    while (descriptor := _lock(path)) is None:  # noqa: ASYNC110 - another process's lock
        await asyncio.sleep(AGAIN_S)
    try:
        yield _node_in(descriptor)
    finally:
        os.close(descriptor)


def new_node() -> str:
    """Return a name that no other node has."""
    return os.urandom(NODE_BYTES).hex()


def _lock(path: Path) -> int | None:
    """Return the locked file, or nothing where another process has it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        log.error("limit_leader_unusable", path=str(path), reason=str(error))
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _node_in(descriptor: int) -> str:
    """Return the name in the file; the first to lead writes it."""
    found = os.pread(descriptor, 2 * NODE_BYTES + 1, 0)
    if _NODE.fullmatch(found):
        return found.decode()
    node = new_node()
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, node.encode(), 0)
    return node
