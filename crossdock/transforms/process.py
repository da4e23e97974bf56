"""One process that runs scripts, from its start to its end; `child.py` is what runs in it."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from typing import Final

import msgspec
import structlog

from crossdock.telemetry import metrics
from crossdock.transforms import child, wire
from crossdock.transforms.child import Bounds
from crossdock.transforms.model import Event, TransformFailed
from crossdock.transforms.wire import Head, Hello

START_S: Final = 30.0
"""How long a process may take to be ready, on a machine that is busy."""
WALL_S: Final = 5.0
"""How long a run may take by the clock, whatever of it the process spent waiting for its turn."""
LOOK_EVERY_S: Final = 0.05
CLOSE_S: Final = 2.0

_KEPT: Final = ("LD_LIBRARY_PATH",)
"""Of the environment: where Python's own libraries are, if they are in no usual place."""

log = structlog.get_logger(__name__)


class Ended(Exception):
    """The process is not there any more, or makes no sense."""


class Runner:
    """One process after another: each runs so many scripts, or until one takes too much."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._child: Process | None = None
        self._runs = 0
        self._overran = False
        self._hello = msgspec.json.Decoder(Hello)

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        alive = self._child is not None and self._child.returncode is None
        return self._child.pid if alive and self._child is not None else None

    async def ready(self) -> None:
        """Start a process, unless there is one.

        Raises:
            Ended: it did not start.
        """
        if self.pid is not None and self._runs < self._bounds.runs:
            return
        await self.end()
        try:
            async with asyncio.timeout(START_S):
                await self._start()
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            await self.end()
            raise Ended(repr(error)) from error

    async def _start(self) -> None:
        self._runs = 0
        self._child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",  # nothing in the current folder, or named by a variable, may be imported
            "-m",
            child.__name__,
            msgspec.json.encode(self._bounds).decode(),
            stdin=PIPE,
            stdout=PIPE,
            env={name: os.environ[name] for name in _KEPT if name in os.environ},
        )
        if self._child.stdout is None:
            raise EOFError
        hello = self._hello.decode(await wire.read(self._child.stdout, wire.MOST_HEAD_BYTES))
        if hello.unconfined is not None:
            log.warning("scripts_not_confined", reason=hello.unconfined)

    async def run(self, script: bytes, event: Event) -> tuple[Head, bytes]:
        """Run a script over an event.

        Raises:
            TransformFailed: it took too much, and its process was killed.
            Ended: the process ended under it.
        """
        process = self._child
        if process is None or process.stdin is None or process.stdout is None:
            raise Ended("It was not started.")
        self._runs += 1
        self._overran = False
        watch = _Watch(self, process.pid, self._bounds.cpu_ms / 1000)
        try:
            process.stdin.write(wire.request(script, event))
            await process.stdin.drain()
            frame = await wire.read(process.stdout, self._bounds.output + wire.MOST_HEAD_BYTES)
            return wire.answer(frame)
        except (OSError, EOFError, ValueError) as error:
            await self.end()
            if self._overran:
                words = f"It took far more than {self._bounds.cpu_ms} ms, and was killed."
                raise TransformFailed("timeout", words) from error
            raise Ended(_how(process) or repr(error)) from error
        except BaseException:
            await self.end()
            raise
        finally:
            watch.stop()

    def kill(self) -> None:
        """End a run that takes too much: nothing else ends one that is in the engine's own code."""
        self._overran = True
        metrics.SCRIPTS_KILLED.inc()
        if self._child is not None:
            with suppress(ProcessLookupError):
                self._child.kill()

    async def end(self) -> None:
        """End the process, if there is one."""
        process, self._child = self._child, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await process.wait()


class _Watch:
    """Looks now and then how much of the processor a run has had."""

    def __init__(self, runner: Runner, pid: int, cpu_s: float) -> None:
        self._runner = runner
        self._pid = pid
        self._loop = asyncio.get_running_loop()
        self._ends = self._loop.time() + WALL_S
        # Twice, for the engine ends by itself what it can end, and then tidies up.
        self._most = cpu_time(pid) + 2 * cpu_s + LOOK_EVERY_S
        self._handle = self._loop.call_later(LOOK_EVERY_S + cpu_s, self._look)

    def stop(self) -> None:
        """Look no more."""
        self._handle.cancel()

    def _look(self) -> None:
        if cpu_time(self._pid) > self._most or self._loop.time() > self._ends:
            self._runner.kill()
        else:
            self._handle = self._loop.call_later(LOOK_EVERY_S, self._look)


def cpu_time(pid: int) -> float:
    """Return the seconds of the processor that another process has had; 0 where nobody knows.

    Linux makes a clock of every process, whose number is made of its pid (clock_getcpuclockid(3)).
    """
    if sys.platform != "linux":
        return 0.0
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _how(process: Process) -> str | None:
    """Return how a process ended."""
    code = process.returncode
    if code is None or code >= 0:
        return None if code is None else f"It ended with {code}."
    if -code == signal.SIGSYS:
        log.error("script_broke_out", signal="SIGSYS")  # the filter's: what it asked for is denied
    return f"It was ended by {signal.Signals(-code).name}."
