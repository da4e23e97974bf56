"""How a process connects as one of the roles."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import asyncpg
import msgspec
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from crossdock.config import DatabaseRole, DatabaseSettings
from crossdock.db.roles import role_name

CONNECT_TIMEOUT_S: Final = 5.0
ACQUIRE_TIMEOUT_S: Final = 5.0
"""How long a caller waits for a free connection before it is told that the database is away."""

COMMAND_TIMEOUT_S: Final = 45.0
"""Beyond every statement timeout but maintenance's: only a server that has stopped gets here."""


class Login(msgspec.Struct, frozen=True):
    """Who connects, where that is not one of the roles that every process knows."""

    name: str
    password: str | None = None


def connecting(
    settings: DatabaseSettings, role: DatabaseRole, login: Login | None = None
) -> dict[str, Any]:
    """Return the arguments with which asyncpg connects as a role, or as a login in its place."""
    login = login or Login(role_name(role), settings.password(role))
    return {
        "dsn": settings.url,
        "user": login.name,
        "password": login.password,
        "timeout": CONNECT_TIMEOUT_S,
        "command_timeout": None if role in {"owner", "maintenance"} else COMMAND_TIMEOUT_S,
        "server_settings": {"application_name": login.name},
    }


def engine_of(
    settings: DatabaseSettings,
    role: DatabaseRole,
    *,
    size: int | None = None,
    login: Login | None = None,
    **options: Any,
) -> AsyncEngine:
    """Return a pool of SQLAlchemy connections as a role; it connects when first used."""
    connect: Callable[[], Awaitable[asyncpg.Connection]] = lambda: asyncpg.connect(  # noqa: E731
        **connecting(settings, role, login)
    )
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=size or settings.pool_size,
        max_overflow=0,
        pool_timeout=ACQUIRE_TIMEOUT_S,
        pool_reset_on_return="rollback",
        hide_parameters=True,  # an error's text goes to the log; bodies and secrets do not
        **options,
    )
    event.listen(engine.sync_engine, "checkout", _refuse_lost)
    return engine


def _refuse_lost(
    connection: Any, _record: ConnectionPoolEntry, _proxy: PoolProxiedConnection
) -> None:
    """Have the pool replace a connection that the server closed while nobody used it.

    asyncpg has seen it close, so this costs no round trip, unlike a ping at each checkout.
    """
    if connection.driver_connection.is_closed():
        raise DisconnectionError("The server closed this connection.")


async def pool_of(settings: DatabaseSettings, role: DatabaseRole) -> asyncpg.Pool:
    """Return a pool of bare asyncpg connections as a role; it connects when first used."""
    return await asyncpg.create_pool(
        **connecting(settings, role), min_size=0, max_size=settings.pool_size, reset=_nothing
    )


async def _nothing(_connection: asyncpg.Connection) -> None:
    """Leave a returned connection as it is: we set nothing that outlives a transaction.

    asyncpg itself rolls back what is still open; its `RESET ALL` would be one more round trip.
    """
