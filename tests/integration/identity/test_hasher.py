"""The process that hashes passwords: bounded, last in line, and never an orphan."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec
import psutil
import pytest

from crossdock.config import IdentitySettings
from crossdock.errors import Busy, ConfigurationError, Unavailable
from crossdock.identity import hasher, hashing
from crossdock.identity.hasher import Answer, Cost, Question
from crossdock.identity.hashing import PasswordHasher
from tests.beds import hashing_process

PASSWORD: Final = "correct horse battery staple"
PATIENCE_S: Final = 20.0
NOBODYS: Final = Cost().nobodys()


@pytest.fixture
async def passwords() -> AsyncIterator[PasswordHasher]:
    made = PasswordHasher(queue=4)
    yield made
    await made.close()


@pytest.fixture
async def child(passwords: PasswordHasher) -> psutil.Process:
    await passwords.dummy()
    assert passwords.pid is not None
    return psutil.Process(passwords.pid)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


def is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_a_hash_is_of_its_password_alone(passwords: PasswordHasher) -> None:
    made = await passwords.hash(PASSWORD)
    assert made.startswith("$argon2id$v=19$m=65536,t=3,p=1$")
    assert await passwords.verify(made, PASSWORD)
    assert not await passwords.verify(made, PASSWORD + " ")
    assert not await passwords.verify(made, "")
    assert made != await passwords.hash(PASSWORD)
    assert not passwords.needs_rehash(made)
    assert passwords.needs_rehash(made.replace("t=3", "t=2"))


async def test_every_way_to_type_a_password_is_the_same(passwords: PasswordHasher) -> None:
    made = await passwords.hash("ü" * 12)
    assert await passwords.verify(made, "u\u0308" * 12)


@pytest.mark.parametrize("stored", ["", "junk", "$argon2id$", NOBODYS[:-1], "$2b$12$" + "a" * 53])
async def test_a_damaged_hash_is_nobodys(passwords: PasswordHasher, stored: str) -> None:
    assert not await passwords.verify(stored, PASSWORD)


@pytest.mark.parametrize("password", ["\ud800" * 12, "\0" * 12, "🦄" * 256, ""])
async def test_any_text_can_be_tried(passwords: PasswordHasher, password: str) -> None:
    assert not await passwords.verify(NOBODYS, password)


async def test_one_that_is_too_long_takes_as_long_and_is_wrong(
    passwords: PasswordHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[bytes, str | None]] = []
    ask = passwords._ask

    async def recorded(password: bytes, stored: str | None) -> Answer:
        asked.append((password, stored))
        return await ask(password, stored)

    monkeypatch.setattr(passwords, "_ask", recorded)
    assert not await passwords.verify(NOBODYS, "x" * 1_000_000)
    assert asked == [(b"", NOBODYS)]


async def test_an_account_that_is_not_there_costs_the_same_work() -> None:
    """What is compared is the work, not the clock."""
    for cost in (Cost(), Cost(19_456, 2)):
        argon2id, nobodys = cost.hasher(), cost.nobodys()
        parameters = [text.split("$")[1:4] for text in (nobodys, argon2id.hash("x"))]
        assert parameters[0] == parameters[1]
        assert not PasswordHasher(cost=cost).needs_rehash(nobodys)
        assert hasher.answer(Question(1, b"", nobodys), argon2id) == Answer(1, is_right=False)


async def test_an_installation_says_what_a_hash_costs(passwords: PasswordHasher) -> None:
    dear = await passwords.hash(PASSWORD)
    cheaper = PasswordHasher.from_settings(IdentitySettings(hash_memory_kib=20_000, hash_passes=2))
    try:
        made = await cheaper.hash(PASSWORD)
        assert made.startswith("$argon2id$v=19$m=20000,t=2,p=1$")
        assert await cheaper.verify(dear, PASSWORD)
        assert cheaper.needs_rehash(dear)
        assert not cheaper.needs_rehash(made)
    finally:
        await cheaper.close()


@pytest.mark.parametrize(("memory_kib", "passes"), [(19_455, 3), (65_536, 1), (0, 0)])
def test_no_hash_is_cheap_to_guess(memory_kib: int, passes: int) -> None:
    settings = IdentitySettings(hash_memory_kib=memory_kib, hash_passes=passes)
    with pytest.raises(ConfigurationError, match="HASH_MEMORY_KIB must be at least 19456"):
        PasswordHasher.from_settings(settings)


async def test_a_lack_of_memory_is_no_wrong_password(passwords: PasswordHasher) -> None:
    with pytest.raises(Unavailable):
        await passwords.verify(NOBODYS.replace("m=65536", "m=4000000000"), PASSWORD)
    assert await passwords.hash(PASSWORD)


async def test_it_is_last_in_line_and_holds_no_secret(
    child: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert child.nice() == 19
    if sys.platform == "linux":
        assert os.sched_getscheduler(child.pid) == os.SCHED_BATCH
    monkeypatch.setenv("CROSSDOCK_KEYS__IDENTITY", "secret")
    monkeypatch.setenv("PGPASSWORD", "secret")
    other = PasswordHasher()
    made = await other.hash(PASSWORD)
    assert other.pid is not None
    process = psutil.Process(other.pid)
    environment = process.environ()
    assert not [name for name in environment if name.startswith(("CROSSDOCK", "PG"))]
    everything = " ".join([*process.cmdline(), *environment.values()])
    assert "secret" not in everything
    assert PASSWORD not in everything
    assert PASSWORD not in repr(Question(1, PASSWORD.encode()))
    assert await other.verify(made, PASSWORD)
    await other.close()
    assert is_gone(process)


async def test_the_line_is_bounded(passwords: PasswordHasher, child: psutil.Process) -> None:
    child.suspend()
    asking = [asyncio.create_task(passwords.dummy()) for _ in range(5)]  # one at work, four wait
    await until(lambda: passwords.waiting == 4)
    for _ in range(3):
        with pytest.raises(Busy) as busy:
            await passwords.hash(PASSWORD)
        assert busy.value.retry_after_s >= 1
    child.resume()
    await asyncio.gather(*asking)
    assert await passwords.hash(PASSWORD)


async def test_no_asker_fills_the_line() -> None:
    """Nobody is in the way of somebody alone; a flood leaves half of the line to all others."""
    passwords = PasswordHasher(queue=8)
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(passwords.asking("203.0.113.9"))
        with pytest.raises(Busy) as busy, passwords.asking("203.0.113.9"):
            pass
        assert busy.value.retry_after_s > 0
        for _ in range(2):
            stack.enter_context(passwords.asking("192.0.2.7"))
        with pytest.raises(Busy), passwords.asking("192.0.2.7"):
            pass
        with passwords.asking("198.51.100.3"):
            pass
    with passwords.asking("203.0.113.9"):
        pass
    assert not passwords._askers, "who has gone is forgotten"


async def test_one_that_goes_away_gives_up_its_place(
    passwords: PasswordHasher, child: psutil.Process
) -> None:
    child.suspend()
    asking = [asyncio.create_task(passwords.dummy()) for _ in range(5)]
    await until(lambda: passwords.waiting == 4)
    asking[2].cancel()
    await until(lambda: passwords.waiting == 3)
    last = asyncio.create_task(passwords.hash(PASSWORD))
    await until(lambda: passwords.waiting == 4)
    child.resume()
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert [isinstance(one, asyncio.CancelledError) for one in outcomes] == [False] * 2 + [True] + [
        False
    ] * 2
    assert await passwords.verify(await last, PASSWORD)


async def test_nobody_piles_work_up_by_hanging_up(
    passwords: PasswordHasher, child: psutil.Process
) -> None:
    child.suspend()
    for _ in range(20):
        asking = asyncio.create_task(passwords.hash(PASSWORD))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait({asking})
    assert passwords.waiting == 0
    assert passwords._numbers <= 2  # the fixture's, and the one that is at work
    child.resume()
    assert await passwords.verify(await passwords.hash(PASSWORD), PASSWORD)
    assert passwords._numbers <= 4


async def test_a_child_that_is_killed_is_followed_by_another(
    passwords: PasswordHasher, child: psutil.Process
) -> None:
    child.kill()
    child.wait(PATIENCE_S)
    assert await passwords.hash(PASSWORD)
    assert passwords.pid not in {None, child.pid}


async def test_a_password_that_was_at_work_when_it_was_killed_is_tried_once_more(
    passwords: PasswordHasher, child: psutil.Process
) -> None:
    child.suspend()
    asking = asyncio.create_task(passwords.hash(PASSWORD))
    await until(lambda: passwords._numbers == 2)
    child.kill()
    assert await passwords.verify(await asking, PASSWORD)
    assert passwords.pid not in {None, child.pid}


async def test_where_none_can_live_the_answer_is_soon_and_clear(
    passwords: PasswordHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(Unavailable):
        await passwords.hash(PASSWORD)
    monkeypatch.setattr(sys, "executable", "/no/such/program")
    with pytest.raises(Unavailable):
        await passwords.hash(PASSWORD)
    monkeypatch.undo()
    assert await passwords.hash(PASSWORD)


async def test_one_that_is_stuck_is_killed(
    passwords: PasswordHasher, child: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = passwords._end_child

    async def end_and_be_patient(*, kill: bool = False) -> None:
        monkeypatch.undo()
        await end(kill=kill)

    monkeypatch.setattr(hashing, "ANSWER_S", 0.2)
    monkeypatch.setattr(passwords, "_end_child", end_and_be_patient)
    child.suspend()
    assert await passwords.hash(PASSWORD)
    assert passwords.pid != child.pid
    assert is_gone(child)


async def test_closing_finishes_what_is_at_work_and_refuses_the_rest() -> None:
    passwords = PasswordHasher()
    await passwords.dummy()
    assert passwords.pid is not None
    child = psutil.Process(passwords.pid)
    child.suspend()
    asking = [asyncio.create_task(passwords.hash(PASSWORD)) for _ in range(3)]
    await until(lambda: passwords.waiting == 2)
    closing = asyncio.create_task(passwords.close())
    child.resume()
    await closing
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(one) for one in outcomes] == [str, Unavailable, Unavailable]
    assert is_gone(child)
    with pytest.raises(Unavailable):
        await passwords.hash(PASSWORD)


async def test_one_that_was_never_used_starts_nothing() -> None:
    passwords = PasswordHasher()
    assert passwords.pid is None
    await passwords.close()
    assert passwords.pid is None


def test_questions_that_end_in_the_middle_end_the_process() -> None:
    text = hasher.framed(Question(1, b"x", NOBODYS))
    done = subprocess.run(
        [sys.executable, "-m", hasher.__name__, "65536", "3"],
        input=text + text[:-1],
        capture_output=True,
        check=False,
    )
    answer = msgspec.msgpack.decode(done.stdout[hasher.LENGTH_BYTES :], type=Answer)
    assert answer == Answer(1, is_right=False)


class Gateway:
    """A process of its own that has passwords hashed."""

    def __init__(self, loop: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, Path(hashing_process.__file__), loop],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def hash(self) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(PASSWORD + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture(params=list(hashing_process.LOOPS))
def gateway(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    started = Gateway(request.param)
    yield started
    started.end()


async def test_on_either_loop_a_killed_child_is_followed_by_another(gateway: Gateway) -> None:
    first = psutil.Process(int(gateway.hash()))
    first.kill()
    await until(lambda: is_gone(first))
    second = int(gateway.hash())
    assert second != first.pid
    assert int(gateway.hash()) == second


async def test_a_killed_gateway_leaves_no_orphan(gateway: Gateway) -> None:
    child = psutil.Process(int(gateway.hash()))
    gateway.process.kill()
    await until(lambda: is_gone(child))


async def test_nor_does_one_whose_child_is_busy(gateway: Gateway) -> None:
    child = psutil.Process(int(gateway.hash()))
    child.suspend()
    assert gateway.process.stdin is not None
    gateway.process.stdin.write(PASSWORD + "\n")
    gateway.process.stdin.flush()
    gateway.process.kill()
    await until(lambda: is_gone(child))


async def test_signals_to_the_whole_group_leave_it_at_work(gateway: Gateway) -> None:
    """It has requests to finish; whoever wants it to end ends its gateway."""
    child = psutil.Process(int(gateway.hash()))
    child.send_signal(signal.SIGTERM)
    child.send_signal(signal.SIGINT)
    assert int(gateway.hash()) == child.pid


async def test_one_that_ends_in_order_takes_its_child_along(gateway: Gateway) -> None:
    child = psutil.Process(int(gateway.hash()))
    assert gateway.process.stdin is not None
    gateway.process.stdin.close()
    await until(lambda: is_gone(child))
    await until(lambda: gateway.process.poll() == 0)
