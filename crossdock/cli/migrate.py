"""`crossdock migrate`: roles, schema and streams, brought to what this release needs."""

import asyncio
from typing import Annotated

import typer

from crossdock import config
from crossdock.config import Settings
from crossdock.telemetry import logs


def migrate(
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for servers that aren't up yet.")
    ] = 60.0,
) -> None:
    """Bring the databases and the streams to what this release needs; safe to repeat.

    CROSSDOCK_DATABASE__ADMIN_URL lets it create the roles as well, with the passwords that
    CROSSDOCK_DATABASE__APP_PASSWORD and its like give them.
    """
    settings = config.load()
    logs.configure(settings.log, "migrate")
    asyncio.run(_migrate(settings, wait))


async def _migrate(settings: Settings, wait_s: float) -> None:
    from crossdock import bus  # noqa: PLC0415 - loaded once the settings are known to be right
    from crossdock.bus.streams import ensure_streams  # noqa: PLC0415
    from crossdock.db import Databases  # noqa: PLC0415
    from crossdock.db import migrate as database  # noqa: PLC0415
    from crossdock.shards.service import Shards  # noqa: PLC0415

    await database.migrate(
        settings.database.admin_url, settings.database, shard=settings.shard, wait_s=wait_s
    )
    databases = await Databases.open(settings.database, {"control"})
    try:
        await Shards(databases).migrate_others(wait_s=wait_s)
    finally:
        await databases.close()
    broker = await bus.connect(settings.nats, name="crossdock-migrate", wait_s=wait_s)
    try:
        await ensure_streams(broker)
    finally:
        await broker.close()
