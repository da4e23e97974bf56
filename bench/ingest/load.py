"""Sends for some seconds over keep-alive connections, as fast as answers come.

wrk where there is one; otherwise a sender of our own, which costs about three times as much CPU.
"""

import asyncio
import shutil
import sys
import tempfile
from asyncio.subprocess import PIPE
from pathlib import Path

import msgspec

from bench.ingest.webhooks import webhooks, write_lua


class Task(msgspec.Struct, frozen=True):
    """What a sender is told."""

    port: int
    token: str
    connections: int
    seconds: float


class Sent(msgspec.Struct, frozen=True):
    """What it says."""

    requests: int
    refused: int
    """Answered, but not with 2xx."""
    broken: int
    """Connections that failed."""
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def accepted(self) -> int:
        """Return how many were answered with 2xx."""
        return self.requests - self.refused


def sender() -> str:
    """Return which sender this machine has."""
    return "wrk" if shutil.which("wrk") else "our own sender"


async def send(task: Task) -> Sent:
    """Send for some seconds."""
    with tempfile.TemporaryDirectory(prefix="crossdock-bench-") as folder:
        if shutil.which("wrk"):
            script = Path(folder, "webhooks.lua")
            write_lua(script, task.token, webhooks())
            command = [
                *("wrk", "--threads", "1", "--connections", str(task.connections)),
                *("--duration", f"{task.seconds:.0f}s", "--timeout", "10s"),
                *("--script", str(script), f"http://127.0.0.1:{task.port}"),
            ]
        else:
            command = [sys.executable, "-m", "bench.ingest.sender"]
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        out, _ = await process.communicate(msgspec.json.encode(task))
    assert process.returncode == 0, f"{command[0]} failed"
    return msgspec.json.decode(out.splitlines()[-1], type=Sent)
