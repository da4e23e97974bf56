"""Load over keep-alive connections: as fast as answers come, for some seconds.

wrk where there is one; otherwise a sender of our own, which costs about three times as much CPU.
"""

import asyncio
import shutil
import sys
import tempfile
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Final

import msgspec

from bench.load.model import Request, Sent, Task

__all__ = ["Request", "Sent", "Task", "send", "sender"]


def sender() -> str:
    """Return which sender this machine has."""
    return "wrk" if shutil.which("wrk") else "our own sender"


async def send(task: Task) -> Sent:
    """Send for some seconds."""
    with tempfile.TemporaryDirectory(prefix="crossdock-bench-") as folder:
        if shutil.which("wrk"):
            script = _script(Path(folder), task.requests)
            command = [
                *("wrk", "--threads", "1", "--connections", str(task.connections)),
                *("--duration", f"{task.seconds:.0f}s", "--timeout", "10s"),
                *("--script", str(script), f"http://127.0.0.1:{task.port}"),
            ]
        else:
            command = [sys.executable, "-m", "bench.load"]
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        out, _ = await process.communicate(msgspec.json.encode(task))
    assert process.returncode == 0, f"{command[0]} failed"
    return msgspec.json.decode(out.splitlines()[-1], type=Sent)


def _script(folder: Path, requests: list[Request]) -> Path:
    """Write the script by which wrk sends requests and says what became of them."""
    lines = ["local requests, number = {}, 0", "function init()"]
    for one in requests:
        headers = ", ".join(f"['{name}'] = '{value}'" for name, value in one.headers.items())
        body = f"'{one.body}'" if one.body else "nil"
        lines.append(
            f"  requests[#requests + 1] = wrk.format('{one.method}', '{one.path}',"
            f" {{{headers}}}, {body})"
        )
    path = folder / "requests.lua"
    path.write_text("\n".join([*lines, "end", _SCRIPT]), encoding="utf-8")
    return path


_SCRIPT: Final = """
function request()
  number = number % #requests + 1
  return requests[number]
end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"refused":%d,"broken":%d,"seconds":%f,"p50_ms":%f,"p99_ms":%f}\\n',
    summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""
