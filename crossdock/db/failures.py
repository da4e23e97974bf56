"""Which errors of the database mean that it is away, and which are about the data."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from crossdock.errors import DatabaseUnavailable, NotFound

UNKNOWN_TENANT: Final = "CD001"
OTHER_SHARD: Final = "CD002"

_AWAY_CLASSES: Final = ("08", "40", "53", "57", "58")
"""Connection, rollback (deadlock), no resources, operator's intervention, system error."""

_AWAY_CODES: Final = frozenset({"25006", "55P03", "25P03"})
"""A read-only server (failing over), a lock not had in time, a transaction left idle too long."""

_LOST: Final = ("closed", "released back to the pool")
"""How asyncpg says that a connection is gone; the second where its pool noticed first. Where the
server dies in the middle of a sentence, it says instead that its own protocol is in disorder."""

_DATA_CLASSES: Final = ("22", "23")
"""The row itself is at fault: it cannot be stored however often it is tried."""


def sqlstate_of(error: BaseException) -> str:
    """Return the SQLSTATE of an error of asyncpg or SQLAlchemy, or nothing."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    return str(getattr(origin, "sqlstate", None) or "")


def is_outage(error: BaseException) -> bool:
    """Say whether the database was away, or was made to give up: worth trying again later."""
    code = sqlstate_of(error)
    if code:
        return code.startswith(_AWAY_CLASSES) or code in _AWAY_CODES
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(error.orig, OSError)
    if isinstance(error, asyncpg.InterfaceError):
        return any(words in str(error) for words in _LOST)
    return isinstance(
        error, OSError | TimeoutError | PoolTimeoutError | asyncpg.InternalClientError
    )


def is_about_data(error: BaseException) -> bool:
    """Say whether the data broke a rule, on the server or while it was encoded."""
    code = sqlstate_of(error)
    refused_by_client = isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)
    return code.startswith(_DATA_CLASSES) or refused_by_client


@contextmanager
def translating() -> Iterator[None]:
    """Turn an outage into `DatabaseUnavailable`, and an unknown tenant into `NotFound`."""
    try:
        yield
    except Exception as error:
        if sqlstate_of(error) in {UNKNOWN_TENANT, OTHER_SHARD}:
            raise NotFound("There is no such tenant here.") from error
        if is_outage(error):
            raise DatabaseUnavailable(f"The database is away: {error}") from error
        raise
