"""When a request is sent again, and after how long."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from crossdock.client.retries import Retry, retry_after_s, will_pass


def answer(status: int, body: bytes = b"", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=named, content=body)


def test_waits_grow_up_to_a_cap_and_are_not_all_the_same() -> None:
    retry = Retry(tries=100, base_s=1.0, cap_s=8.0)
    for done, most in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (50, 8.0)):
        waits = [retry.wait_s(done, None) for _ in range(200)]
        assert all(wait is not None and 0.0 <= wait <= most for wait in waits)
        assert max(wait or 0.0 for wait in waits) > most / 2
        assert len(set(waits)) > 100


def test_the_last_try_is_the_last() -> None:
    retry = Retry(tries=3)
    assert retry.wait_s(2, None) is not None
    assert retry.wait_s(3, None) is None
    assert Retry(tries=1).wait_s(1, None) is None


def test_what_the_server_asks_for_is_waited_and_a_little_more() -> None:
    retry = Retry(base_s=0.5)
    waits = [retry.wait_s(1, 7.0) for _ in range(100)]
    assert all(wait is not None and 7.0 <= wait <= 7.5 for wait in waits)


def test_a_wait_that_is_too_long_is_not_begun() -> None:
    assert Retry(longest_wait_s=30.0).wait_s(1, 30.0) is not None
    assert Retry(longest_wait_s=30.0).wait_s(1, 31.0) is None


def test_a_wait_is_read_as_seconds_or_as_a_date() -> None:
    assert retry_after_s(answer(503, retry_after="12")) == 12.0
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    found = retry_after_s(answer(503, retry_after=soon))
    assert found is not None
    assert 0.0 < found <= 100.0
    past = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    assert retry_after_s(answer(503, retry_after=past)) == 0.0


@pytest.mark.parametrize("text", ["", "soon", "-1", "1.5", "1e3", "²", "12 s"])
def test_a_wait_that_is_none_is_not_read(text: str) -> None:
    assert retry_after_s(httpx.Response(503, headers={b"retry-after": text.encode()})) is None


def test_refusals_that_pass_are_told_from_those_that_stay() -> None:
    assert {status for status in range(400, 600) if will_pass(answer(status))} == {
        *(408, 429),
        *(502, 503, 504),
    }
    running = b'{"type": "/problems/idempotency-in-progress"}'
    assert will_pass(answer(409, running))
    for other in (b'{"type": "/problems/outcome-unknown"}', b"", b"{", b"[]"):
        assert not will_pass(answer(409, other))
