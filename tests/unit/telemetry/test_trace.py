"""Trace context: a valid caller's trace is continued, anything else starts a new one."""

import pytest

from crossdock.telemetry import trace

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_valid_parent_is_continued_with_a_new_span() -> None:
    joined = trace.join(PARENT)
    assert trace.trace_id(joined) == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert joined[36:52] != "00f067aa0ba902b7"
    assert joined.endswith("-01")


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"garbage",
        b"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        PARENT + b"-extra",
        PARENT + b"\n",
        b"\xff" * 55,
    ],
)
def test_anything_else_starts_a_new_trace(header: bytes | None) -> None:
    joined = trace.join(header)
    assert len(joined) == 55
    assert trace.trace_id(joined) != "4bf92f3577b34da6a3ce929d0e0e4736"
    assert trace.join(joined.encode())[3:35] == trace.trace_id(joined)


def test_a_later_version_is_read_as_far_as_we_know_it() -> None:
    joined = trace.join(b"cc" + PARENT[2:] + b"-what-comes")
    assert trace.trace_id(joined) == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert len(joined) == 55
