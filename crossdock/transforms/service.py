"""The sandbox: runs tenants' scripts in processes that have nothing, by turns that are fair."""

import asyncio
import time
from contextlib import suppress
from typing import Final
from uuid import UUID

import structlog

from crossdock.backoff import Backoff
from crossdock.config import TransformSettings
from crossdock.telemetry import metrics
from crossdock.transforms import rules, wire
from crossdock.transforms.child import Bounds
from crossdock.transforms.model import Changed, Dropped, Event, TransformFailed
from crossdock.transforms.process import Ended, Runner
from crossdock.transforms.turns import Turns

WAIT_S: Final = 10.0
"""How long a script may wait for its turn, before its delivery is tried another time."""
RUNS: Final = 10_000
"""Of one process, which is then replaced: what a script may have spoilt in it does not last."""
MOST_WAITING: Final = 512
MOST_BYTES: Final = 64 * 1024**2
"""Of the events that wait."""
LONGEST: Final = 16 * 1024**2
"""Bytes of an event; the heap of a script is the tighter bound."""

log = structlog.get_logger(__name__)

Answer = Changed | Dropped


class _Job:
    __slots__ = ("answer", "event", "script", "size")

    def __init__(self, script: bytes, event: Event, answer: "asyncio.Future[Answer]") -> None:
        self.script = script
        self.event = event
        self.answer = answer
        self.size = len(script) + len(event.body)


class Sandbox:
    """A few processes, started when first needed, before which tenants wait for their turns.

    One that goes away while waiting gives up its place; one that goes away while its script runs
    keeps the process until that has ended.
    """

    def __init__(self, settings: TransformSettings, *, runs: int = RUNS) -> None:
        """Take the bounds; nothing is started.

        Args:
            settings: how many processes, and what a run may take.
            runs: of one process, before it is replaced.
        """
        self._bounds = Bounds(
            cpu_ms=settings.cpu_ms,
            memory=settings.memory_bytes,
            output=settings.output_bytes,
            longest=LONGEST,
            runs=runs,
        )
        self._runners = [Runner(self._bounds) for _ in range(settings.processes)]
        # Where there are several, one tenant never has all of them.
        share = max(1, settings.processes - 1)
        self._turns: Turns[_Job] = Turns(most=MOST_WAITING, share=share)
        self._bytes = 0
        self._idle: set[asyncio.Event] = set()
        self._working: list[asyncio.Task[None]] = []
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """The processes that there are."""
        return [runner.pid for runner in self._runners if runner.pid is not None]

    @property
    def waiting(self) -> int:
        """How many scripts wait for their turn."""
        return len(self._turns)

    async def apply(
        self, tenant_id: UUID, script: str, event: Event, *, wait_s: float = WAIT_S
    ) -> Answer:
        """Run a tenant's script over an event, which takes five seconds at most.

        Args:
            tenant_id: whose turn it is.
            script: what he wrote.
            event: what it gets.
            wait_s: how long it may wait for its turn.

        Raises:
            TransformFailed: there is nothing to send.
        """
        began = time.perf_counter()
        try:
            answer = await self._apply(tenant_id, script, event, wait_s)
        except TransformFailed as failure:
            metrics.SCRIPTS.labels(failure.kind).inc()
            raise
        metrics.SCRIPTS.labels("changed" if isinstance(answer, Changed) else "dropped").inc()
        metrics.SCRIPT_SECONDS.observe(time.perf_counter() - began)
        return answer

    async def _apply(self, tenant_id: UUID, script: str, event: Event, wait_s: float) -> Answer:
        if self._closed:
            raise TransformFailed("unavailable", "This process is shutting down.")
        job = _Job(script.encode(), event, asyncio.get_running_loop().create_future())
        if job.size > LONGEST // 2:
            words = f"The event has {len(event.body)} bytes, too many to be transformed."
            raise TransformFailed("too_large", words)
        if self._bytes + job.size > MOST_BYTES or not self._turns.add(tenant_id, job):
            raise TransformFailed("unavailable", "Too many scripts wait for their turn.")
        self._bytes += job.size
        timer = asyncio.get_running_loop().call_later(wait_s, self._give_up, tenant_id, job)
        try:
            self._wake()
            return await job.answer
        finally:
            timer.cancel()
            self._turns.remove(tenant_id, job)
            self._bytes -= job.size

    async def close(self) -> None:
        """Refuse what waits, and end the processes at once, whatever they are at."""
        self._closed = True
        for job in self._turns.clear():
            _refuse(job, "This process is shutting down.")
        for task in self._working:
            task.cancel()
        for task in self._working:
            with suppress(asyncio.CancelledError):
                await task
        for runner in self._runners:
            await runner.end()

    def _give_up(self, tenant_id: UUID, job: _Job) -> None:
        """Wait no longer: the processes are busy with others, or don't start."""
        if self._turns.remove(tenant_id, job):
            _refuse(job, "No process was free in time.")

    def _wake(self) -> None:
        """Have somebody see to what waits."""
        if self._idle:
            self._idle.pop().set()
        elif len(self._working) < len(self._runners):
            runner = self._runners[len(self._working)]
            self._working.append(asyncio.create_task(self._work(runner)))

    async def _work(self, runner: Runner) -> None:
        """Do what is next, for as long as there is a process."""
        backoff = Backoff()
        while True:
            try:
                await runner.ready()
            except Ended as error:
                log.warning("scripts_do_not_start", reason=str(error))
                await asyncio.sleep(backoff.delay(0.0))
                continue
            turn = self._turns.take()
            if turn is None:
                await self._more()
                continue
            tenant_id, job = turn
            began = time.perf_counter()
            try:
                await self._settle(runner, job)
                # What it costs to replace a process is on the account of who made it necessary.
                if runner.pid is None:
                    with suppress(Ended):
                        await runner.ready()
            finally:
                self._turns.done(tenant_id, time.perf_counter() - began)

    async def _more(self) -> None:
        """Wait until something may be there to do."""
        wake = asyncio.Event()
        self._idle.add(wake)
        try:
            await wake.wait()
        finally:
            self._idle.discard(wake)

    async def _settle(self, runner: Runner, job: _Job) -> None:
        """Run a script, and tell who asked for it."""
        try:
            head, body = await runner.run(job.script, job.event)
            answer = wire.outcome(head) or rules.completed(job.event, head, body)
        except TransformFailed as failure:
            _fail(job, failure)
        except Ended as error:
            log.warning("script_process_ended", reason=str(error))
            _fail(job, TransformFailed("unavailable", f"Its process ended. {error}"))
        except asyncio.CancelledError:
            _refuse(job, "This process is shutting down.")
            raise
        except Exception as error:
            log.exception("script_run_broke")
            _fail(job, TransformFailed("unavailable", type(error).__name__))
        else:
            if not job.answer.done():
                job.answer.set_result(answer)


def _refuse(job: _Job, words: str) -> None:
    _fail(job, TransformFailed("unavailable", words))


def _fail(job: _Job, failure: TransformFailed) -> None:
    if not job.answer.done():
        job.answer.set_exception(failure)
