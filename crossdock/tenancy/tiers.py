"""Whether a tenant shares a role and connections of the database with others, or has its own."""

from typing import get_args
from urllib.parse import urlsplit

from crossdock.audit import store as audit
from crossdock.db import Databases
from crossdock.db.dedicated import drop_dedicated_role, ensure_dedicated_role
from crossdock.errors import ConfigurationError, Invalid, Violation
from crossdock.tenancy import rules, store
from crossdock.tenancy.model import By, Listed, Tier
from crossdock.tenancy.service import Tenants, entry_of


async def set_tier(
    database: Databases,
    admin_url: str | None,
    reference: str,
    wanted: str,
    *,
    by: By | None = None,
) -> Listed:
    """Give a tenant a role and connections of its own, or take them; to repeat it mends the role.

    The role is there before anybody is told to use it, and goes after: whoever still does is sent
    to look again.

    Args:
        database: opened with the roles `control`, `operator` and `directory`.
        admin_url: an administrator's address of shard 0; the same user is taken on the others.
        reference: the tenant's slug or id.
        wanted: `shared` or `dedicated`.
        by: who wants it.

    Raises:
        NotFound: there is no such tenant.
        Invalid: there is no such tier.
        Conflict: it is the platform's own.
        ConfigurationError: no administrator is named, or it lacks the right.
        DatabaseUnavailable: the control database or the shard is away.
    """
    tier = _tier(wanted)
    tenants = Tenants(database)
    place = (await tenants.see(reference)).placement
    rules.check_ordinary(place.tenant_id)
    if admin_url is None:
        raise ConfigurationError(
            "Roles are an administrator's to make: set CROSSDOCK_DATABASE__ADMIN_URL."
        )
    shard = database.shard(place.shard)
    admin_url = _on(admin_url, shard.settings.url)
    if tier == "dedicated":
        await ensure_dedicated_role(admin_url, shard.settings, place.tenant_id)
    async with database.operator(place.tenant_id) as conn:
        if tier != place.tier:
            await audit.add_raw(
                conn, place.tenant_id, entry_of("tier", place.tenant_id, by, tier=tier)
            )
    async with database.control() as control:
        await store.set_tier(control, place.tenant_id, tier)
    if tier == "shared":
        await drop_dedicated_role(admin_url, shard.settings, place.tenant_id)
    return await tenants.see(reference)


def _tier(wanted: str) -> Tier:
    known: tuple[Tier, ...] = get_args(Tier)
    for tier in known:
        if tier == wanted:
            return tier
    raise Invalid(f"Tiers are {', '.join(known)}.", Violation("/tier", f"{wanted!r} is no tier."))


def _on(admin_url: str, shard_url: str) -> str:
    """Return the administrator's address of a shard's database: the same user, that server."""
    admin, shard = urlsplit(admin_url), urlsplit(shard_url)
    user = admin.netloc.rpartition("@")[0]
    return shard._replace(netloc=f"{user}@{shard.netloc}" if user else shard.netloc).geturl()
