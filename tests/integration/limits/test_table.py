"""One table of many processes: exact under load, whole after kills, and nobody else's file."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from crossdock.native import Limit, LimitTable

BOOT = b"this boot"

HAMMER = """
import sys
from crossdock.native import Limit, LimitTable
path, slots, subjects, takes, quota, window_s, burst, seed = sys.argv[1:]
table = LimitTable(path, b"this boot", int(slots))
limits = [
    (Limit("a", str(n).encode(), int(quota), float(window_s), int(burst)),)
    for n in range(int(subjects))
]
admitted = [0] * len(limits)
print("ready", flush=True)
sys.stdin.readline()
at = int(seed)
for _ in range(int(takes)):
    at = (at * 1103515245 + 12345) % 2**31
    subject = (at >> 8) % len(limits)
    admitted[subject] += table.take(limits[subject]).admitted
print(*admitted, flush=True)
"""


@contextmanager
def hammer(
    path: Path, *, slots: int, subjects: int, takes: int, rate: tuple[int, float, int], seed: int
) -> Iterator[subprocess.Popen[str]]:
    """A process that takes from random subjects, once it is told to begin."""
    numbers = [slots, subjects, takes, *rate, seed]
    command = [sys.executable, "-c", HAMMER, str(path), *map(str, numbers)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def begin(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def admitted_by(process: subprocess.Popen[str]) -> Counter[int]:
    assert process.stdout is not None
    return Counter(dict(enumerate(map(int, process.stdout.readline().split()))))


def run_together(
    path: Path, *, slots: int, subjects: int, takes: int, rate: tuple[int, float, int]
) -> tuple[Counter[int], int]:
    """Four processes at once: what each subject got of all, and how many nanoseconds it took."""
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                hammer(path, slots=slots, subjects=subjects, takes=takes, rate=rate, seed=seed)
            )
            for seed in range(4)
        ]
        for process in processes:
            ready(process)
        begun = time.monotonic_ns()
        for process in processes:
            begin(process)
        admitted: Counter[int] = sum(map(admitted_by, processes), Counter())
        return admitted, time.monotonic_ns() - begun


def test_a_million_takes_by_four_processes_admit_exactly_the_limit(tmp_path: Path) -> None:
    # One unit comes back in 26 seconds or more: more time than this takes, even on a busy machine,
    # is counted.
    quota, window_s, burst = 100_000, 2_678_400.0, 100_000
    admitted, elapsed = run_together(
        tmp_path / "table", slots=64, subjects=5, takes=250_000, rate=(quota, window_s, burst)
    )
    back = elapsed * quota // int(window_s * 1_000_000_000)
    assert all(burst <= admitted[subject] <= burst + back for subject in range(5)), admitted


def test_what_comes_back_meanwhile_is_admitted_and_no_more(tmp_path: Path) -> None:
    quota, burst = 1_000, 20
    admitted, elapsed = run_together(
        tmp_path / "table", slots=64, subjects=3, takes=50_000, rate=(quota, 1.0, burst)
    )
    most = burst + elapsed * quota // 1_000_000_000
    assert all(burst < admitted[subject] <= most for subject in range(3)), (admitted, most)


def test_slots_that_change_hands_between_processes_forget_nothing(tmp_path: Path) -> None:
    path = tmp_path / "table"
    quota, burst = 2_000, 2
    admitted, elapsed = run_together(
        path, slots=64, subjects=300, takes=50_000, rate=(quota, 1.0, burst)
    )
    most = burst + elapsed * quota // 1_000_000_000
    stats = LimitTable(str(path), BOOT, 64).stats()
    over = sum(max(count - most, 0) for count in admitted.values())
    assert stats["evicted"] > 100
    assert over <= stats["crowded"]


def test_processes_killed_while_they_take_leave_the_table_to_the_others(tmp_path: Path) -> None:
    path = tmp_path / "table"
    rate = (20_000, 1.0, 2)
    table = LimitTable(str(path), BOOT, 64)
    for seed in range(8):
        with hammer(path, slots=64, subjects=300, takes=10**9, rate=rate, seed=seed) as process:
            ready(process)
            begin(process)
            before = table.stats()["evicted"]
            while table.stats()["evicted"] < before + 100:
                assert process.poll() is None
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert LimitTable(str(path), BOOT, 64).stats()["evicted"] >= 800, "it is still the same"
    now = 2**59
    limits = [Limit("a", b"after %d" % n, 1, 60.0, 3) for n in range(10)]
    for limit in limits:
        taken = [table.take((limit,), now_ns=now).admitted for _ in range(5)]
        assert taken == [True] * 3 + [False] * 2


def test_two_that_open_the_same_file_count_together(tmp_path: Path) -> None:
    path = tmp_path / "table"
    limit = Limit("a", b"x", 1, 60.0, 3)
    tables = [LimitTable(str(path), BOOT, 64) for _ in range(2)]
    assert [tables[n % 2].take((limit,)).admitted for n in range(4)] == [True] * 3 + [False]
    tables[0].set_share(5)
    assert tables[1].share == 5
    assert path.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "table.new").exists()


def emptied(path: Path, boot: bytes = BOOT, slots: int = 64) -> bool:
    """Whether an opened table has forgotten what `spend` took."""
    return LimitTable(str(path), boot, slots).take((Limit("a", b"x", 1, 86_400.0),)).admitted


def spend(path: Path) -> LimitTable:
    """A table from which one unit was taken."""
    table = LimitTable(str(path), BOOT, 64)
    assert table.take((Limit("a", b"x", 1, 86_400.0),)).admitted
    return table


def test_a_table_is_kept_until_the_machine_starts_again(tmp_path: Path) -> None:
    path = tmp_path / "table"
    held = spend(path)
    assert not emptied(path)
    assert emptied(path, b"the next boot")
    assert not held.take((Limit("a", b"x", 1, 86_400.0),)).admitted, "its own file is still there"


def test_a_table_of_another_size_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "table"
    spend(path)
    assert emptied(path, slots=128)


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:0],
        lambda whole: whole[:-1],
        lambda whole: whole + b"x",
        lambda whole: bytes(len(whole)),
        lambda whole: b"\xff" * len(whole),
        lambda whole: b"?" + whole[1:],
        lambda whole: whole[:8] + b"\x63" + whole[9:],
    ],
    ids=["empty", "cut", "longer", "zeroes", "ones", "another magic", "another version"],
)
def test_a_damaged_table_is_replaced(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "table"
    spend(path)
    path.write_bytes(damage(path.read_bytes()))
    assert emptied(path)
    assert not emptied(path)


def test_garbage_in_the_slots_does_no_harm_for_long(tmp_path: Path) -> None:
    path = tmp_path / "table"
    spend(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + os.urandom(len(whole) - 4096))
    table = LimitTable(str(path), BOOT, 64)
    limit = Limit("a", b"x", 1, 60.0, shared_slot=True)
    assert table.take((limit,)).admitted
    assert not table.take((limit,)).admitted
    table.drain()
    table.stats()


def test_a_table_that_others_could_write_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "table"
    spend(path)
    path.chmod(0o666)
    assert emptied(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_not_our_own_plain_file_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "target"
    spend(target)
    link = tmp_path / "link"
    link.symlink_to(target)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    missing = tmp_path / "missing" / "table"
    for path in (link, pipe, tmp_path, missing):
        with pytest.raises(OSError, match=r".+"):
            LimitTable(str(path), BOOT, 64)
    assert link.is_symlink()
    assert not emptied(target)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_someone_else_s_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table"
    spend(path)
    os.chown(path, 65_534, 65_534)
    with pytest.raises(PermissionError):
        LimitTable(str(path), BOOT, 64)


def test_what_a_killed_maker_left_is_swept_up(tmp_path: Path) -> None:
    (tmp_path / "table.new").write_bytes(b"half")
    assert spend(tmp_path / "table").stats()["slots"] == 64
    assert not (tmp_path / "table.new").exists()


def test_processes_that_open_at_once_have_one_table(tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_bytes(b"garbage")
    admitted, _ = run_together(path, slots=4096, subjects=1, takes=10, rate=(1, 2_678_400.0, 5))
    assert admitted == {0: 5}
