"""What is asked of the table, and what is told of it."""

from typing import Any
from uuid import UUID

from msgspec.structs import replace
from prometheus_client import REGISTRY

from crossdock.access.model import Actor, Principal
from crossdock.config import LimitSettings
from crossdock.limits import service
from crossdock.limits.service import Limits
from crossdock.tenancy.rules import PLATFORM
from proto.settings import TenantSettings

TENANT = UUID(int=5)
FREE = TenantSettings(version=1, tenant_id=TENANT.bytes, plan="free")


class Known:
    """What a process knows of tenants."""

    def __init__(self) -> None:
        self.settings: TenantSettings | None = FREE

    def tenant(self, tenant_id: UUID) -> TenantSettings | None:
        """Return it."""
        assert tenant_id in {TENANT, PLATFORM}
        return self.settings


def caller(kind: Any = "key", number: int = 7, **more: Any) -> Principal:
    return Principal(TENANT, "active", Actor(kind, UUID(int=number)), frozenset(), **more)


def names(asked: service.Asked) -> list[tuple[str, int]]:
    return [(limit.name, limit.quota) for limit in asked]


def decisions(policy: str, verdict: str) -> float:
    labels = {"policy": policy, "verdict": verdict}
    return REGISTRY.get_sample_value("crossdock_limits_decisions_total", labels) or 0.0


def opened(reason: str) -> float:
    return REGISTRY.get_sample_value("crossdock_limits_open_total", {"reason": reason}) or 0.0


def test_a_caller_is_held_against_its_tenant_and_itself_and_is_kept() -> None:
    limits = Limits(LimitSettings(), tenant=Known().tenant)

    asked = limits.of_caller(caller())

    assert names(asked) == [("tenant", 300), ("key", 6_000)]
    assert limits.of_caller(caller()) is asked


def test_what_changes_of_a_tenant_or_a_key_counts_from_the_next_request() -> None:
    known = Known()
    limits = Limits(LimitSettings(), tenant=known.tenant)
    limits.of_caller(caller())

    known.settings = replace(FREE, version=2, quotas={"requests_per_minute": 3})
    assert names(limits.of_caller(caller())) == [("tenant", 3), ("key", 6_000)]
    known.settings = replace(FREE, version=3, plan="unlimited")
    assert names(limits.of_caller(caller())) == [("key", 6_000)]
    assert names(limits.of_caller(caller(requests_per_minute=9))) == [("key", 9)]


def test_an_operators_look_into_a_tenant_is_not_the_tenants_doing() -> None:
    limits = Limits(LimitSettings(), tenant=Known().tenant)

    assert names(limits.of_caller(caller("operator"))) == [("key", 6_000)]


def test_a_tenant_that_is_not_known_yet_is_counted_as_open() -> None:
    known, before = Known(), opened("unknown-tenant")
    known.settings = None
    limits = Limits(LimitSettings(), tenant=known.tenant)

    assert names(limits.of_caller(caller())) == [("key", 6_000)]
    limits.tick()

    assert opened("unknown-tenant") == before + 1
    known.settings = FREE
    assert names(limits.of_caller(caller())) == [("tenant", 300), ("key", 6_000)]


def test_so_many_callers_are_kept_and_no_more() -> None:
    limits = Limits(LimitSettings(), tenant=Known().tenant)
    for number in range(service.PREPARED + 5):
        limits.of_caller(caller(number=number))

    assert len(limits._prepared) == service.PREPARED


def test_decisions_are_handed_over_by_policy_and_verdict() -> None:
    limits = Limits(LimitSettings(key_per_minute=2), tenant=Known().tenant)
    asked = limits.of_caller(caller())
    before = [decisions(*one) for one in _SEEN]

    admitted = [limits.take(asked).admitted for _ in range(5)]
    limits.tick()
    limits.tick()

    assert admitted == [True, True, False, False, False]
    after = [decisions(*one) for one in _SEEN]
    assert [b - a for a, b in zip(before, after, strict=True)] == [2, 2, 3, 0]


_SEEN = [("tenant", "admitted"), ("key", "admitted"), ("key", "refused"), ("tenant", "refused")]
