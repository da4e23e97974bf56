"""`Source.verify` against the same work in Python: a Stripe header and 1 KiB, the whole call."""

import hashlib
from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.native import plain, samples
from crossdock.native import sha256, uuid7

BODY = samples.event()
HEADERS = samples.headers(BODY)
KEY = samples.SECRET.encode()
NOW = samples.NOW


@pytest.mark.benchmark(group="verify")
def test_native(benchmark: BenchmarkFixture) -> None:
    """One call: signature, clock, JSON check, type, provider's id, dedupe hash."""
    source = samples.source()
    verdict = benchmark(source.verify, "POST", "/in/token", HEADERS, BODY, NOW)
    assert verdict.refusal is None
    assert verdict.event_type == "setup_intent.created"
    assert verdict.dedupe is not None


@pytest.mark.benchmark(group="verify")
@pytest.mark.parametrize("read", [plain.read_with_json, plain.read_with_msgspec])
def test_python(benchmark: BenchmarkFixture, read: Callable[[bytes], plain.Facts]) -> None:
    """The same results from Python."""
    facts = benchmark(plain.verify, read, KEY, HEADERS, BODY, NOW)
    assert facts is not None
    assert facts.event_type == "setup_intent.created"


@pytest.mark.benchmark(group="verify")
def test_python_signature_alone(benchmark: BenchmarkFixture) -> None:
    """Less work than the native call does: nothing of the body is read."""
    assert benchmark(plain.signature_holds, KEY, HEADERS, BODY, NOW)


@pytest.mark.benchmark(group="sha256 of a token")
def test_sha256_native(benchmark: BenchmarkFixture) -> None:
    """As for each source token."""
    assert len(benchmark(sha256, bytes(32))) == 32


@pytest.mark.benchmark(group="sha256 of a token")
def test_sha256_hashlib(benchmark: BenchmarkFixture) -> None:
    """The same from the standard library."""
    assert len(benchmark(lambda data: hashlib.sha256(data).digest(), bytes(32))) == 32


@pytest.mark.benchmark(group="uuid7")
def test_uuid7(benchmark: BenchmarkFixture) -> None:
    """Has no counterpart before Python 3.14."""
    assert len(benchmark(uuid7, 1_700_000_000_000)) == 16
