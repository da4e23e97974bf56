"""Answers of the last minutes: bounded in bytes and in time."""

from crossdock.idempotency.memory import Memory


def test_what_was_put_is_found_for_as_long_as_it_lives() -> None:
    now = [100.0]
    memory = Memory(life_s=10, monotonic=lambda: now[0])
    memory.put(b"a", b"one")
    assert memory.get(b"a") == b"one"
    now[0] += 10.5
    assert memory.get(b"a") is None
    assert len(memory) == 0


def test_the_oldest_make_room() -> None:
    memory = Memory(max_bytes=10_000)
    for number in range(200):
        memory.put(bytes([number]), b"x" * 100)
    assert len(memory) == 10_000 // 356
    assert memory.get(bytes([199])) is not None
    assert memory.get(bytes([0])) is None


def test_what_is_put_again_counts_once() -> None:
    memory = Memory(max_bytes=1_000)
    for _ in range(100):
        memory.put(b"a", b"x" * 300)
    assert memory.get(b"a") is not None
    memory.put(b"b", b"x" * 100)
    assert len(memory) == 2


def test_what_is_larger_than_all_of_it_is_not_kept() -> None:
    memory = Memory(max_bytes=1_000)
    memory.put(b"a", b"x" * 2_000)
    assert memory.get(b"a") is None
    assert len(memory) == 0
