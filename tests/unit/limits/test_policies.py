"""Who is limited by what."""

from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from crossdock.access.model import Actor, Principal
from crossdock.config import LimitSettings
from crossdock.errors import ConfigurationError
from crossdock.limits import policies
from crossdock.tenancy import plans
from crossdock.tenancy.rules import PLATFORM
from proto.settings import SourceSettings, TenantSettings

TENANT = UUID(int=5)
SOURCE = UUID(int=6)
SETTINGS = LimitSettings(key_per_minute=70)


def tenant(plan: str = "free", **quotas: int) -> TenantSettings:
    return TenantSettings(version=1, tenant_id=TENANT.bytes, plan=plan, quotas=quotas)


def caller(**more: Any) -> Principal:
    return Principal(TENANT, "active", Actor("key", UUID(int=7)), frozenset(), **more)


def test_a_tenant_has_its_plans_limit_or_its_own() -> None:
    by_plan = policies.of_tenant(tenant("free"))
    own = policies.of_tenant(tenant("free", requests_per_minute=12))

    assert by_plan is not None
    assert (by_plan.name, by_plan.quota, by_plan.window_s) == ("tenant", 300, 60)
    assert own is not None
    assert own.quota == 12


def test_an_unlimited_tenant_and_the_operators_have_none() -> None:
    operators = replace(tenant("free"), tenant_id=PLATFORM.bytes)

    assert policies.of_tenant(tenant("unlimited")) is None
    assert policies.of_tenant(operators) is None


def test_an_unlimited_tenant_may_have_a_limit_of_its_own() -> None:
    own = policies.of_tenant(tenant("unlimited", requests_per_minute=12))

    assert own is not None
    assert own.quota == 12


def test_a_plan_to_come_is_held_to_the_smallest() -> None:
    found = policies.of_tenant(tenant("a plan to come"))

    assert found is not None
    assert found.quota == plans.PLANS["free"]["requests_per_minute"]


@pytest.mark.parametrize(("kept", "held"), [(0, 1), (10**15, plans.MAX_RATE)])
def test_a_rate_that_an_older_release_took_is_kept_to_what_can_be_counted(
    kept: int, held: int
) -> None:
    found = policies.of_tenant(tenant(requests_per_minute=kept))

    assert found is not None
    assert found.quota == held


def test_a_key_has_the_limit_of_all_keys_or_a_lower_one() -> None:
    assert policies.of_caller(caller(requests_per_minute=71), SETTINGS).quota == 70
    assert policies.of_caller(caller(), SETTINGS).quota == 70
    assert policies.of_caller(caller(requests_per_minute=3), SETTINGS).quota == 3


@pytest.mark.parametrize(
    ("own", "tenants", "expected"),
    [
        (0, 0, []),
        (5, 0, [("source", 5)]),
        (0, 9, [("webhooks", 9)]),
        (5, 9, [("source", 5), ("webhooks", 9)]),
    ],
)
def test_a_webhook_is_held_against_its_source_and_its_tenant(
    own: int, tenants: int, expected: list[tuple[str, int]]
) -> None:
    settings = SourceSettings(
        version=1,
        tenant_id=TENANT.bytes,
        source_id=SOURCE.bytes,
        webhooks_per_minute=own,
        tenant_webhooks_per_minute=tenants,
    )

    found = policies.of_source(settings)

    assert [(limit.name, limit.quota) for limit in found] == expected


def test_an_address_has_a_burst_of_its_own() -> None:
    found = policies.of_address("192.0.2.1", SETTINGS)

    assert (found.name, found.quota, found.burst) == ("address", 600, 200)


@pytest.mark.parametrize("text", ["", "no address", "\udcff", "fe80::1%eth0"])
def test_whatever_an_address_is_it_can_be_counted(text: str) -> None:
    assert policies.of_address(text, SETTINGS).name == "address"


@pytest.mark.parametrize(
    "wrong",
    [
        {"slots": 63},
        {"slots": 2**24 + 1},
        {"address_per_minute": 0},
        {"address_burst": 0},
        {"key_per_minute": 0},
        {"key_per_minute": plans.MAX_RATE + 1},
        {"exchange_s": 0.0},
        {"exchange_s": 1.5},
    ],
)
def test_a_setting_out_of_range_is_named(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ConfigurationError, match=f"CROSSDOCK_LIMITS__{name.upper()}"):
        policies.check(LimitSettings(**wrong))


def test_the_defaults_are_in_range() -> None:
    policies.check(LimitSettings())
