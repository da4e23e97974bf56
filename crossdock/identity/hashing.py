"""Passwords' hashes, made and compared by a process of their own; see `hasher.py`."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final, Self

import msgspec
import structlog

from crossdock.config import IdentitySettings
from crossdock.errors import Busy, Unavailable
from crossdock.identity import hasher
from crossdock.identity.hasher import Answer, Cost, Question
from crossdock.identity.passwords import MAX_CHARACTERS, normalise

ANSWER_S: Final = 60.0
"""How long one hash may take before its process is taken for stuck and killed. It is last in line:
on a machine that is busy throughout it takes many seconds."""

CLOSE_S: Final = 5.0
"""How long the process may take for its last answer, and to end."""

TRIES: Final = 2
"""A question during which the process ended is put once more, to the next one."""

SECONDS_A_HASH: Final = 0.25
"""For saying when to come again; on a busy machine it is more."""

SHARES: Final = 4
"""In how many parts the line is cut; once two are taken, one asker has no more than one."""

_INHERITED: Final = ("PATH", "LANG", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "SYSTEMROOT")
_INHERITED_BEGINNINGS: Final = ("LC_", "PYTHON")

log = structlog.get_logger(__name__)


class _Job:
    __slots__ = ("answer", "hash", "password")

    def __init__(
        self, password: bytes, hash_: str | None, answer: "asyncio.Future[Answer]"
    ) -> None:
        self.password = password
        self.hash = hash_
        self.answer = answer


class PasswordHasher:
    """A bounded line of passwords before one process, which is started when first needed.

    One that goes away while waiting gives up its place; one that goes away while its password is
    at work keeps the process until that is done, so that nobody can pile work up by hanging up.
    """

    def __init__(self, queue: int = 16, cost: Cost = Cost()) -> None:  # noqa: B008 - it is frozen
        """Take up to `queue` passwords that wait, besides the one at work.

        Raises:
            ConfigurationError: a hash would cost too little.
        """
        cost.check()
        self._limit = queue
        self._cost = cost
        self._argon2id = cost.hasher()
        self._nobodys = cost.nobodys()
        self._waiting: deque[_Job] = deque()
        self._arrived = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._child: Process | None = None
        self._at_work = False
        self._numbers = 0
        self._closed = False
        self._askers: Counter[str] = Counter()

    @classmethod
    def from_settings(cls, settings: IdentitySettings) -> Self:
        """Return the one that an installation's settings ask for.

        Raises:
            ConfigurationError: a hash would cost too little.
        """
        return cls(settings.hash_queue, Cost(settings.hash_memory_kib, settings.hash_passes))

    @property
    def pid(self) -> int | None:
        """The process that hashes, while there is one."""
        return (
            None if self._child is None or self._child.returncode is not None else self._child.pid
        )

    @property
    def waiting(self) -> int:
        """How many wait for the one at work."""
        return len(self._waiting)

    def check_room(self) -> None:
        """Check that another password may join the line: who asks first need not look up anything.

        Raises:
            Busy: too many wait already.
        """
        if len(self._waiting) + self._at_work > self._limit:
            raise self._busy()

    @contextmanager
    def asking(self, who: str) -> Iterator[None]:
        """Be one of those who have passwords hashed or compared, with nothing but an address.

        Once half of the line is taken, none of them has more than a quarter of it: so a flood from
        one address leaves room for everybody else.

        Args:
            who: the address that asks, or the network it may choose addresses from.

        Raises:
            Busy: too many wait already, or too many of that asker's.
        """
        self.check_room()
        share = max(1, self._limit // SHARES)
        if self._askers.total() > 2 * share and self._askers[who] >= share:
            raise self._busy()
        self._askers[who] += 1
        try:
            yield
        finally:
            self._askers[who] -= 1
            if not self._askers[who]:
                del self._askers[who]

    async def hash(self, password: str) -> str:
        """Return a password's hash, in the form that says how it was made.

        Raises:
            Busy: too many wait already.
            Unavailable: the process ended, twice, or is closed.
        """
        answer = await self._ask(_encoded(password), None)
        if answer.hash is None:
            raise Unavailable("A password was not hashed.")
        return answer.hash

    async def verify(self, stored: str, password: str) -> bool:
        """Tell whether a password is the one of a stored hash.

        Raises:
            Busy: too many wait already.
            Unavailable: the process ended, twice, or is closed.
        """
        if len(password) > MAX_CHARACTERS:  # nobody's: it would not have been taken
            await self.dummy()
            return False
        answer = await self._ask(_encoded(password), stored)
        if answer.is_right is None:
            log.error("password_hash_unreadable")
        return answer.is_right is True

    async def dummy(self) -> None:
        """Take as long as `verify`: for accounts that do not exist, or have no password.

        Raises:
            Busy: too many wait already.
            Unavailable: the process ended, twice, or is closed.
        """
        await self._ask(b"", self._nobodys)

    def needs_rehash(self, stored: str) -> bool:
        """Tell whether a hash was made with other parameters than today's."""
        return self._argon2id.check_needs_rehash(stored)

    async def close(self) -> None:
        """Finish what is at work, within five seconds; refuse what waits; end the process."""
        self._closed = True
        self._arrived.set()
        if self._worker is not None:
            _, busy = await asyncio.wait({self._worker}, timeout=CLOSE_S)
            if busy:
                await self._end_child(kill=True)
            await self._worker
        await self._end_child()

    def _busy(self) -> Busy:
        wait = (len(self._waiting) + 1) * SECONDS_A_HASH
        return Busy("Too many are signing in at the moment.", retry_after_s=wait)

    async def _ask(self, password: bytes, stored: str | None) -> Answer:
        if self._closed:
            raise Unavailable("This process is shutting down.")
        self.check_room()
        job = _Job(password, stored, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        self._arrived.set()
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        try:
            return await job.answer
        finally:
            with suppress(ValueError):  # it is at work, or done
                self._waiting.remove(job)

    async def _work(self) -> None:
        """Put one question after another, until this is closed."""
        while not self._closed:
            self._arrived.clear()
            while self._waiting and not self._closed:
                self._at_work = True
                await self._finish(self._waiting.popleft())
                self._at_work = False
            if not self._closed:
                await self._arrived.wait()
        for job in self._waiting:
            if not job.answer.done():
                job.answer.set_exception(Unavailable("This process is shutting down."))

    async def _finish(self, job: _Job) -> None:
        if job.answer.done():  # who asked went away
            return
        try:
            answer = await self._answered(job)
        except Exception as error:  # noqa: BLE001 - it is the asker's, whatever it is
            if not job.answer.done():
                job.answer.set_exception(error)
        else:
            if not job.answer.done():
                job.answer.set_result(answer)

    async def _answered(self, job: _Job) -> Answer:
        for _ in range(TRIES):
            if self._closed:
                break
            self._numbers += 1
            question = Question(self._numbers, job.password, job.hash)
            try:
                async with asyncio.timeout(ANSWER_S):
                    answer = await self._exchange(question)
            except (OSError, EOFError, TimeoutError, msgspec.DecodeError) as error:
                log.warning("hasher_ended", reason=repr(error))
                await self._end_child(kill=True)
                continue
            if answer.number == question.number:
                return answer
            await self._end_child(kill=True)
        raise Unavailable("The process that hashes passwords keeps ending.")

    async def _exchange(self, question: Question) -> Answer:
        child = await self._running()
        if child.stdin is None or child.stdout is None or child.stdin.is_closing():
            raise EOFError("It ended while nobody asked.")
        child.stdin.write(hasher.framed(question))
        await child.stdin.drain()
        length = int.from_bytes(await child.stdout.readexactly(hasher.LENGTH_BYTES), "big")
        return msgspec.msgpack.decode(await child.stdout.readexactly(length), type=Answer)

    async def _running(self) -> Process:
        if self._child is None:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # nothing in the current folder may be imported
                "-m",
                hasher.__name__,
                str(self._cost.memory_kib),
                str(self._cost.passes),
                stdin=PIPE,
                stdout=PIPE,
                env=_environment(os.environ),
            )
        return self._child

    async def _end_child(self, *, kill: bool = False) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        if child.stdin is not None:
            child.stdin.close()
        if kill:
            with suppress(ProcessLookupError):
                child.kill()
        try:
            async with asyncio.timeout(CLOSE_S):
                await child.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()


def _encoded(password: str) -> bytes:
    return normalise(password).encode("utf-8", "surrogatepass")


def _environment(outer: Mapping[str, str]) -> dict[str, str]:
    """Return what Python needs to start, and no secret of ours or of anybody."""
    return {
        name: value
        for name, value in outer.items()
        if name in _INHERITED or name.startswith(_INHERITED_BEGINNINGS)
    }
