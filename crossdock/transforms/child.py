"""The process that runs scripts: it has two pipes, its memory and the clock, and nothing else.

Before it reads anything that somebody else wrote, it gives up all that it will not need: open
files, new ones, other processes, the network, and as many of the kernel's calls as can be done
without (`native/src/scripts/confine.rs`). It begins with an empty environment, so there is no
secret in it. When its parent ends in whatever way, it is killed.
"""

import os
import resource
import signal
import sys
from pathlib import Path
from typing import Final

import msgspec

from crossdock import native
from crossdock.process import die_with_parent, take_turns
from crossdock.transforms.wire import Hello

STEPS_BACK: Final = 5
"""Nice: what tenants wrote comes after what everybody waits for, and not last of all."""
_DESCRIPTORS: Final = 3
_MIB: Final = 1024**2
_SPARE: Final = 64 * _MIB
"""Of address space, beside the heap of a script and what is read and written."""
_STATM: Final = Path("/proc/self/statm")


class Bounds(msgspec.Struct, frozen=True, array_like=True):
    """What one run may take, and all of them; passed as this process's only argument."""

    cpu_ms: int
    memory: int
    output: int
    longest: int
    """Bytes of a request."""
    runs: int
    """After which the process is replaced."""


def main() -> None:
    """Serve the process that started this one."""
    # It lives exactly as long as its parent, which may have deliveries to finish after the signal
    # that a terminal or a service manager sends to all of the group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    die_with_parent(signal.SIGKILL)
    take_turns()
    os.nice(STEPS_BACK)
    bounds = msgspec.json.decode(sys.argv[1], type=Bounds)
    native.check_script("")  # what an engine sets up once, it sets up while it may
    limit(bounds)
    hello = Hello(native.confine_process())
    native.serve_scripts(
        msgspec.json.encode(hello).decode(),
        cpu_ms=bounds.cpu_ms,
        memory=bounds.memory,
        output=bounds.output,
        longest=bounds.longest,
    )
    os._exit(0)  # there is nothing to tidy up, and no right to


def limit(bounds: Bounds) -> None:
    """Give up what the system counts: files, processes, and more memory and time than is used."""
    seconds = 60 + 2 * bounds.runs * bounds.cpu_ms // 1000
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: _DESCRIPTORS,
        resource.RLIMIT_NPROC: 0,
    }
    if (used := _address_space()) is not None:
        room = 2 * bounds.memory + 3 * (bounds.longest + bounds.output) + _SPARE
        limits[resource.RLIMIT_AS] = used + room
    for name, most in limits.items():
        resource.setrlimit(name, (most, most))


def _address_space() -> int | None:
    """Return the bytes of address space in use, where the system says."""
    try:
        return int(_STATM.read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return None


if __name__ == "__main__":
    main()
