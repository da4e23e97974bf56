"""Taking units of limits: what every request costs, and what a tick costs a node."""

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from crossdock.native import Limit, LimitTable

TENANT = Limit("tenant", b"tenant", 1_000_000, 1.0, 1_000_000_000)
KEY = Limit("key", b"key", 1_000_000, 1.0, 1_000_000_000)
ADDRESS = Limit("address", b"address", 1_000_000, 1.0, 1_000_000_000, shared_slot=True)
SPENT = Limit("spent", b"spent", 1, 2_678_400.0)


@pytest.fixture
def table(tmp_path: Path) -> LimitTable:
    """A table in a file, as gateways have it."""
    return LimitTable(str(tmp_path / "table"), b"boot")


@pytest.mark.benchmark(group="take of limits")
def test_take_of_two_limits(benchmark: BenchmarkFixture, table: LimitTable) -> None:
    """As for each request and each webhook."""
    assert benchmark(table.take, (TENANT, KEY)).admitted


@pytest.mark.benchmark(group="take of limits")
def test_take_of_two_limits_and_headers(benchmark: BenchmarkFixture, table: LimitTable) -> None:
    """The same, and what is told to the client."""
    limits = (TENANT, KEY)
    assert len(benchmark(lambda: table.take(limits).headers)) == 2


@pytest.mark.benchmark(group="take of limits")
def test_take_of_an_address(benchmark: BenchmarkFixture, table: LimitTable) -> None:
    """As for each request without a credential."""
    assert benchmark(table.take, (ADDRESS,)).admitted


@pytest.mark.benchmark(group="take of limits")
def test_refusal_of_two_limits(benchmark: BenchmarkFixture, table: LimitTable) -> None:
    """What a flood costs that is refused."""
    table.take((SPENT,))
    assert not benchmark(table.take, (TENANT, SPENT)).admitted


@pytest.mark.benchmark(group="limits are made")
def test_limit_made(benchmark: BenchmarkFixture) -> None:
    """As for each address: the subject is hashed."""
    subject = bytes(24)
    assert (
        benchmark(lambda: Limit("address", subject, 600, 60.0, 200, shared_slot=True)).burst == 200
    )


@pytest.mark.benchmark(group="a node's tick")
def test_drain_of_a_quiet_table(benchmark: BenchmarkFixture, table: LimitTable) -> None:
    """Five times a second and node."""
    assert benchmark(table.drain) == b""


@pytest.mark.benchmark(group="a node's tick")
def test_apply_of_a_thousand_subjects(benchmark: BenchmarkFixture, table: LimitTable) -> None:
    """What another node tells when a thousand tenants are busy there."""
    other = LimitTable(None, b"boot")
    for subject in range(1_000):
        other.take((Limit("tenant", b"%d" % subject, 1_000_000, 1.0),))
    benchmark(table.apply, other.drain())
    assert table.stats()["slots"] == 65_536
