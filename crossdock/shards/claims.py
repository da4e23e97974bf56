"""What a database that is to be a shard says of itself, before anything is changed in it."""

import msgspec

from crossdock.config import DatabaseSettings
from crossdock.db import Database
from crossdock.db.failures import RoleRefused
from crossdock.db.migrate import wait_for_server
from crossdock.db.roles import administering, missing_roles, role_name
from crossdock.errors import ConfigurationError
from crossdock.shards import store


class Claim(msgspec.Struct, frozen=True):
    """What a database says it is."""

    number: int | None = None
    """Which shard; `None` while it is nobody's."""
    has_tenants: bool = False


async def claim_of(settings: DatabaseSettings, admin_url: str | None, *, wait_s: float) -> Claim:
    """Ask a database what it is.

    Raises:
        ConfigurationError: the server refuses us, or serves another installation.
        DatabaseUnavailable: it did not answer in time.
    """
    await wait_for_server(admin_url or settings.url, settings, admin=bool(admin_url), wait_s=wait_s)
    database = await Database.open(settings, {"maintenance"})
    try:
        async with database.maintenance() as conn:
            if not await store.is_migrated(conn):
                return Claim()
            return Claim(await store.number_of(conn), await store.has_tenants(conn))
    except RoleRefused as error:
        if admin_url is None:
            raise ConfigurationError(
                f"{error} Our roles are made there by an administrator: give its address, once."
            ) from error
        await _refuse_others(admin_url)
        return Claim()
    finally:
        await database.close()


async def _refuse_others(admin_url: str) -> None:
    """Set no passwords on a server where another installation's processes use theirs.

    Raises:
        ConfigurationError: our roles are there, with other passwords.
    """
    async with administering(admin_url) as admin:
        if role_name("maintenance") not in await missing_roles(admin):
            raise ConfigurationError(
                "That server has Crossdock's roles, with other passwords than the settings say: it"
                " serves another installation."
            )
