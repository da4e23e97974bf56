"""Addresses of databases: what may be written down, and what stands for "beside shard 0"."""

import re
from typing import Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

from crossdock.errors import ConfigurationError

SCHEMES: Final = frozenset({"postgresql", "postgres"})

_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\[\]:,@/\s]*)(?::[0-9]{1,5})?")


def check_address(url: str) -> None:
    """Check an address that is going to be written down for all processes to read.

    Raises:
        ConfigurationError: it is none of PostgreSQL's, names no database, or tells a password.
    """
    parts = urlsplit(url)
    hosts = parts.netloc.rpartition("@")[2].split(",")
    if (
        parts.scheme not in SCHEMES
        or len(parts.path) < len("/x")
        or not all(_HOST.fullmatch(host) for host in hosts)
    ):
        raise ConfigurationError(
            "An address is `postgresql://HOST:PORT/DATABASE`, or `postgresql:///DATABASE` for"
            " another database of shard 0's server."
        )
    if "@" in parts.netloc or parse_qs(parts.query).keys() & {"user", "password"}:
        raise ConfigurationError(
            "A shard's address names no user and no password: it is written down, and each process"
            " comes as the roles whose passwords its settings have."
        )


def resolve(url: str, home: str) -> str:
    """Return a shard's address; one without a host is another database of shard 0's server."""
    parts = urlsplit(url)
    if parts.netloc or "host=" in parts.query:
        return url
    base = urlsplit(home)
    return urlunsplit(base._replace(path=parts.path, query=parts.query or base.query))
