"""UUIDv7 and TypeID, against their specifications."""

import threading
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.native import typeid, typeid_parse, uuid7

prefixes = st.from_regex(r"([a-z]([a-z_]{0,61}[a-z])?)?", fullmatch=True)


def present() -> int:
    """The time, in milliseconds.

    No test may give a later one: ids never go backwards, so the whole session would keep it.
    """
    return time.time_ns() // 1_000_000


def test_a_uuid7_has_the_fields_of_rfc_9562() -> None:
    now = present()
    made = uuid.UUID(bytes=uuid7(now))
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert now <= made.int >> 80 <= present()


def test_ids_only_grow_whatever_the_clock_does() -> None:
    now = present()
    made = [uuid7(now - back) for back in (0, 0, 1, now, 5) * 200]
    assert made == sorted(set(made))


def test_ids_made_by_many_threads_differ() -> None:
    made: list[bytes] = []
    now = present()

    def make() -> None:
        made.extend([uuid7(now) for _ in range(2000)])

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == len(made) == 16_000


@pytest.mark.parametrize(("unix_ms", "error"), [(2**48, ValueError), (-1, OverflowError)])
def test_a_time_beyond_48_bits_is_refused(unix_ms: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        uuid7(unix_ms)


@given(prefixes, st.binary(min_size=16, max_size=16))
def test_a_typeid_is_read_back_as_it_was_written(prefix: str, made: bytes) -> None:
    text = typeid(prefix, made)
    assert len(text) == 26 + (len(prefix) + 1 if prefix else 0)
    assert typeid_parse(prefix, text) == made


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_typeids_sort_as_their_uuids_do(first: bytes, second: bytes) -> None:
    assert (typeid("evt", first) < typeid("evt", second)) == (first < second)


@given(st.text(max_size=40))
def test_any_text_is_a_typeid_only_if_it_is_written_so(text: str) -> None:
    try:
        made = typeid_parse("evt", text)
    except ValueError:
        return
    assert typeid("evt", made) == text


def test_the_specifications_example_is_read() -> None:
    made = uuid.UUID("0188bac7-4afa-78aa-bc3b-bd1eef28d881").bytes
    assert typeid("prefix", made) == "prefix_01h2xcejqtf2nbrexx3vqjhp41"


@pytest.mark.parametrize("prefix", ["_a", "a_", "A", "a1", "é", "a" * 64])
def test_a_prefix_outside_the_specification_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        typeid(prefix, bytes(16))
