"""What a gateway knows of a tenant, and when it knows of a change."""

import time
from collections.abc import Callable
from typing import Final

import pytest

from crossdock.access.permissions import resolved
from proto.settings import TenantSettings
from tests.beds.people import People
from tests.beds.settings import SettingsBed

WITHIN_S: Final = 1.0


@pytest.fixture
def people(bed: SettingsBed) -> People:
    """The tenant's own."""
    return People(bed.database, bed.tenant_id)


async def known(bed: SettingsBed, holds: Callable[[TenantSettings], object]) -> TenantSettings:
    """Wait until something holds of what the gateway knows of the tenant."""

    def found() -> bool:
        settings = bed.directory.tenant(bed.tenant_id)
        return settings is not None and bool(holds(settings))

    await bed.until(found, within_s=WITHIN_S)
    settings = bed.directory.tenant(bed.tenant_id)
    assert settings is not None
    return settings


async def test_a_tenant_without_sources_is_known(bed: SettingsBed, people: People) -> None:
    await people.as_operator("UPDATE crossdock.tenants SET version = version + 1 WHERE id = $1")
    found = await known(bed, lambda one: one.version > 1)
    assert found == TenantSettings(version=2, tenant_id=bed.tenant_id.bytes)
    assert bed.memory.placed(bed.tenant_id) == 0


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        ("state = 'terminating'", lambda one: one.state == "terminating"),
        ("plan = 'free'", lambda one: one.plan == "free"),
        ("""quotas = '{"sources": 7}'""", lambda one: one.quotas == {"sources": 7}),
    ],
)
async def test_each_change_is_known(
    bed: SettingsBed,
    people: People,
    change: str,
    holds: Callable[[TenantSettings], bool],
) -> None:
    await people.as_operator(
        f"UPDATE crossdock.tenants SET {change}, version = version + 1 WHERE id = $1"  # noqa: S608
    )
    await known(bed, holds)


async def test_a_used_up_quota_reaches_the_tenant_and_all_its_sources(
    bed: SettingsBed, people: People
) -> None:
    source = await bed.add_source()
    await people.block(3600)
    found = await known(bed, lambda one: one.blocked_until)
    assert 3590 < found.blocked_until - time.time() < 3610
    ready = bed.directory.get(source.token)
    assert ready is not None
    assert ready.settings.blocked_until == found.blocked_until


async def test_roles_come_resolved_and_their_ends_too(bed: SettingsBed, people: People) -> None:
    await people.add_role("reader", "events:read")
    await people.add_role("keeper", "roles:write", inherits=("reader", "viewer"))
    found = await known(bed, lambda one: len(one.roles) == 2)
    assert found.roles["reader"] == ("events:read",)
    assert set(found.roles["keeper"]) == {"roles:write", "events:read"} | resolved("viewer")
    await people.change_role("reader", "alerts:read")
    await known(bed, lambda one: "alerts:read" in one.roles["keeper"])
    await people.remove_role("keeper")
    await known(bed, lambda one: set(one.roles) == {"reader"})
    await people.add_role("keeper", "audit:read")
    await people.remove_role("reader")
    await known(bed, lambda one: one.roles == {"keeper": ("audit:read",)})


async def test_a_circle_of_roles_has_an_end(bed: SettingsBed, people: People) -> None:
    await people.add_role("a", "events:read", inherits=("b",))
    await people.add_role("b", "audit:read", inherits=("a",))
    found = await known(bed, lambda one: len(one.roles) == 2)
    assert set(found.roles["a"]) == set(found.roles["b"]) == {"events:read", "audit:read"}


async def test_without_drainers_postgresql_tells_of_it(bed: SettingsBed, people: People) -> None:
    await bed.stop("drainer")
    await people.add_role("reader", "events:read")
    await known(bed, lambda one: one.roles)
    await bed.set_tenant_state("suspended")
    await known(bed, lambda one: one.state == "suspended")
