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
LOCK_NOT_AVAILABLE: Final = "55P03"

_AWAY_CLASSES: Final = ("08", "40", "53", "57", "58")
"""Connection, rollback (deadlock), no resources, operator's intervention, system error."""

_AWAY_CODES: Final = frozenset({"25006", LOCK_NOT_AVAILABLE, "25P03", "55000", "3D000"})
"""A read-only server (failing over), a lock not had in time, a transaction left idle too long, a
database that takes no connections, one that is not there."""

_LOST: Final = ("closed", "released back to the pool")
"""How asyncpg says that a connection is gone; the second where its pool noticed first. Where the
server dies in the middle of a sentence, it says instead that its own protocol is in disorder."""

_REFUSED_CLASS: Final = "28"
"""No such role, or another password. One shard's mistake must not end what serves the others."""

_DATA_CLASSES: Final = ("22", "23")
"""The row itself is at fault: it cannot be stored however often it is tried."""


class NotHere(NotFound):
    """There is no such tenant here."""


class RoleRefused(DatabaseUnavailable):
    """The database refuses the role by which this process comes."""


def sqlstate_of(error: BaseException) -> str:
    """Return the SQLSTATE of an error of asyncpg or SQLAlchemy, or nothing."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    return str(getattr(origin, "sqlstate", None) or "")


def words_of(error: BaseException) -> str:
    """Return the server's or the driver's own words, without SQLAlchemy's around them."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    return str((origin and origin.__cause__) or origin) or type(origin).__name__


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
    """Turn an outage into `DatabaseUnavailable`, and an unknown tenant into `NotHere`."""
    try:
        yield
    except Exception as error:
        code = sqlstate_of(error)
        if code in {UNKNOWN_TENANT, OTHER_SHARD}:
            raise NotHere from error
        if code.startswith(_REFUSED_CLASS):
            raise RoleRefused(f"The database refuses us: {words_of(error)}.") from error
        if is_outage(error):
            raise DatabaseUnavailable(f"The database is away: {words_of(error)}") from error
        raise
