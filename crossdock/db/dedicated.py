"""Roles of the dedicated tier: one a tenant, bound to it by its very name.

The setting that says which tenant was entered contains no SQL injection: who can run a statement
can change it. The policies take the tenant of such a role from the name that it logged in by, which
nothing changes.
"""

import asyncio
import hashlib
import hmac
from typing import Final
from uuid import UUID

from crossdock.config import DatabaseSettings
from crossdock.db import roles
from crossdock.db.engine import Login
from crossdock.db.roles import administering, ensure_login, limits_of, role_name

PREFIX: Final = f"{roles.PREFIX}tenant_"
"""As in the policies; see `migrations/second/rights.py`."""

SET_APART: Final = 16
"""From this version on, membership can be without the right to SET ROLE; the policies hold without
that, too."""


GRACE_POLL_S: Final = 0.1
GRACE_POLLS: Final = 100
"""How often it is looked whether transactions of a role that is to go have ended: for 10 s."""

_END: Final = """
SELECT pid, CASE WHEN state = 'idle' OR $2 THEN pg_terminate_backend(pid) END
FROM pg_stat_activity WHERE usename = $1
"""
"""Whoever is connected; those in no transaction are sent away, and at last everybody."""


def login_of(settings: DatabaseSettings, tenant_id: UUID) -> Login:
    """Return as whom a process connects for a tenant: the password follows from the app role's.

    So, whoever may connect for all tenants can connect for each, and there is nothing to keep.
    """
    name = f"{PREFIX}{tenant_id.bytes.hex()}"
    if settings.app_password is None:
        return Login(name)
    secret = hmac.new(settings.app_password.encode(), name.encode(), hashlib.sha256)
    return Login(name, secret.hexdigest())


async def ensure_dedicated_role(
    admin_url: str, settings: DatabaseSettings, tenant_id: UUID
) -> None:
    """Create a tenant's own role on its shard, or set its password and limits anew.

    Args:
        admin_url: a connection to the shard's database as whoever made the app role, or as a
            superuser.
        settings: where the app role's password is.
        tenant_id: the tenant; it need not be there yet.

    Raises:
        ConfigurationError: the administrator lacks the right to do it.
        DatabaseUnavailable: the database is away.
    """
    login = login_of(settings, tenant_id)
    async with administering(admin_url) as admin:
        await ensure_login(
            admin, login.name, login.password, inherit="INHERIT", limits=limits_of("app")
        )
        can_set_apart = admin.get_server_version().major >= SET_APART
        apart = " WITH INHERIT TRUE, SET FALSE" if can_set_apart else ""
        await admin.execute(f"GRANT {role_name('app')} TO {login.name}{apart}")


async def drop_dedicated_role(admin_url: str, settings: DatabaseSettings, tenant_id: UUID) -> None:
    """Drop a tenant's own role; nothing happens if there is none.

    Nobody connects by it any more, and what is under way has some seconds to come to its end.

    Raises:
        ConfigurationError: the administrator lacks the right to do it.
        DatabaseUnavailable: the database is away.
    """
    name = login_of(settings, tenant_id).name
    async with administering(admin_url) as admin:
        if not await admin.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", name):
            return
        await admin.execute(f"ALTER ROLE {name} NOLOGIN")
        for left in range(GRACE_POLLS, -1, -1):
            ended = await admin.fetch(_END, name, left == 0)
            if not ended:
                break
            await asyncio.sleep(GRACE_POLL_S)
        await admin.execute(f"DROP ROLE {name}")
