"""A shard's address, as it is written down and as processes take it."""

import pytest

from crossdock.db.address import check_address, resolve
from crossdock.errors import ConfigurationError

HOME = "postgresql://db.example:5433/crossdock?sslmode=require"


@pytest.mark.parametrize(
    ("url", "resolved"),
    [
        ("postgresql:///second", "postgresql://db.example:5433/second?sslmode=require"),
        (
            "postgresql:///second?sslmode=disable",
            "postgresql://db.example:5433/second?sslmode=disable",
        ),
        ("postgresql://other/second", "postgresql://other/second"),
        ("postgresql://a:1,b:2/second", "postgresql://a:1,b:2/second"),
        ("postgresql:///second?host=/run/postgresql", "postgresql:///second?host=/run/postgresql"),
    ],
)
def test_one_without_a_host_is_beside_shard_0(url: str, resolved: str) -> None:
    check_address(url)
    assert resolve(url, HOME) == resolved


@pytest.mark.parametrize(
    "url",
    [
        "",
        "second",
        "/second",
        "http://host/second",
        "postgresql://host",
        "postgresql://host/",
        "postgresql://host:x/second",
        "postgresql://user@host/second",
        "postgresql://:word@host/second",
        "postgresql:///second?user=a",
        "postgresql:///second?password=a",
    ],
)
def test_what_is_no_address_or_tells_too_much_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        check_address(url)
