"""What the process that runs scripts may ask the kernel for, should a script break out."""

import asyncio
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from crossdock.transforms.service import Sandbox
from tests.beds.delivery import until
from tests.beds.scripts import ANYBODY, PLAIN, ROOMY, event, sandboxed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="seccomp is Linux's")

CONFINED = """
import ctypes, mmap, os, signal, socket, sys, time
from crossdock import native
spare = ctypes.create_string_buffer(64)
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
assert native.confine_process() is None
time.monotonic(); bytearray(50_000_000)
{attempt}
os.write(1, b"survived")
os._exit(0)
"""

FORBIDDEN = {
    "open a file": "os.open('/etc/hostname', os.O_RDONLY)",
    "make a socket": "socket.socket(socket.AF_INET, socket.SOCK_STREAM)",
    "make a socket of its own machine": "socket.socket(socket.AF_UNIX)",
    "start a process": "os.fork()",
    "become another program": "os.execv('/bin/true', ['/bin/true'])",
    "signal another": "os.kill(os.getppid(), signal.SIGTERM)",
    "write elsewhere": "os.write(2, b'x')",
    "read elsewhere": "os.read(3, 1)",
    "copy a descriptor": "os.dup(1)",
    "look around": "os.listdir('/')",
    "know its parent": "os.getppid()",
    "sleep": "time.sleep(0.01)",
    "make memory executable": "libc.mmap(None, 4096, 7, 34, -1, 0)",
    "map a file": "libc.mmap(None, 4096, 1, 2, 0, 0)",
    "look into another": "libc.ptrace(0, 0, 0, 0)",
}


def _after(attempt: str) -> subprocess.CompletedProcess[bytes]:
    return _run(CONFINED.format(attempt=attempt))


def _run(code: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=60, check=False
    )


def test_memory_the_clock_and_its_two_pipes_are_left() -> None:
    done = _after("bytearray(100_000_000); time.time(); os.read(0, 0)")
    assert (done.returncode, done.stdout) == (0, b"survived"), done.stderr


@pytest.mark.parametrize("attempt", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_whoever_asks_for_more_is_ended(attempt: str) -> None:
    done = _after(attempt)
    assert (done.returncode, done.stdout) == (-signal.SIGSYS, b""), done.stderr


async def test_the_process_has_given_everything_up() -> None:
    async with sandboxed(ROOMY) as sandbox:
        pid = await _running(sandbox)
        folder = Path(f"/proc/{pid}")
        lines = (folder / "status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        assert status["Seccomp"] == "2"
        assert status["NoNewPrivs"] == "1"
        assert status["Threads"] == "1"
        assert sorted(one.name for one in (folder / "fd").iterdir()) == ["0", "1", "2"]
        environment = (folder / "environ").read_bytes().split(b"\0")
        assert {one.split(b"=")[0] for one in environment if one} <= {b"LD_LIBRARY_PATH"}
        for limit, most in (
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_NPROC, 0),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_NOFILE, 3),
        ):
            assert resource.prlimit(pid, limit) == (most, most)
        assert resource.prlimit(pid, resource.RLIMIT_AS)[1] < 1024**3
        assert resource.prlimit(pid, resource.RLIMIT_CPU)[1] < 1e6


async def _running(sandbox: Sandbox) -> int:
    await sandbox.apply(ANYBODY, PLAIN, event())
    return sandbox.pids[0]


ORPHAN = """
import asyncio, os
from tests.beds.scripts import ANYBODY, PLAIN, ROOMY, event
from crossdock.transforms.service import Sandbox
async def main():
    sandbox = Sandbox(ROOMY)
    await sandbox.apply(ANYBODY, PLAIN, event())
    print(*sandbox.pids, flush=True)
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""


async def test_it_dies_with_its_parent() -> None:
    done = await asyncio.to_thread(_run, ORPHAN)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (pid,) = done.stdout.split()
    await until(lambda: _is_gone(int(pid)))


def _is_gone(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    # Whoever adopts it may not have reaped it yet: it is a zombie then.
    return status.rpartition(")")[2].split()[0] in "ZX"
