"""Who may do what."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crossdock.access import rules
from crossdock.access.model import Actor, Principal, StoredKey
from crossdock.errors import Forbidden, Invalid, TenantSuspended


def principal(*permissions: str, state: Any = "active") -> Principal:
    return Principal(uuid.uuid1(), state, Actor("key", uuid.uuid1()), frozenset(permissions))


def wants(*permissions: str) -> frozenset[str]:
    return frozenset(permissions)


def test_a_permission_opens_what_needs_it_and_nothing_else() -> None:
    rules.authorise(principal("sources:read"), wants("sources:read"))
    rules.authorise(principal("sources:read"), wants())
    with pytest.raises(Forbidden, match="sources:write"):
        rules.authorise(principal("sources:read"), wants("sources:write"))
    with pytest.raises(Forbidden):
        rules.authorise(principal("sources:read"), wants("sources:read", "events:read"))
    with pytest.raises(Forbidden):
        rules.authorise(principal(), wants("sources:read"))


@pytest.mark.parametrize("state", ["suspended", "terminating"])
def test_a_tenant_that_is_not_active_may_read_and_change_nothing(state: str) -> None:
    caller = principal("sources:read", "sources:write", state=state)
    rules.authorise(caller, wants("sources:read"))
    with pytest.raises(TenantSuspended):
        rules.authorise(caller, wants("sources:write"))
    with pytest.raises(TenantSuspended):
        rules.authorise(caller, wants("sources:read", "sources:write"))


def test_nobody_grants_what_they_do_not_hold() -> None:
    rules.check_permissions(wants("events:read"), wants("events:read", "sources:read"))
    with pytest.raises(Forbidden, match="sources:write"):
        rules.check_permissions(wants("events:read", "sources:write"), wants("events:read"))


def test_a_key_needs_permissions_that_exist() -> None:
    with pytest.raises(Invalid) as error:
        rules.check_permissions(wants("events:read", "moon:land"), wants("events:read"))
    assert [item.pointer for item in error.value.violations] == ["/permissions"]
    with pytest.raises(Invalid):
        rules.check_permissions(wants(), wants("events:read"))


def test_a_use_is_written_down_every_few_minutes() -> None:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    assert rules.is_use_news(None, now)
    assert not rules.is_use_news(now - timedelta(minutes=5), now)
    assert rules.is_use_news(now - timedelta(minutes=5, seconds=1), now)


def stored(*permissions: str, **changes: Any) -> StoredKey:
    return StoredKey(b"", frozenset(permissions), None, None, None, "active", **changes)


def test_a_key_is_never_more_than_who_made_it() -> None:
    custom = {"ops": {"sources:write"}}
    both = ("events:read", "sources:write")
    assert rules.permits(stored(*both), {}) == frozenset(both)
    maker = uuid.uuid1()
    assert rules.permits(stored(*both, created_by=maker), custom) is None
    viewer = stored(*both, created_by=maker, creator_roles=("viewer",))
    assert rules.permits(viewer, custom) == frozenset({"events:read"})
    ops = stored(*both, created_by=maker, creator_roles=("ops", "gone"))
    assert rules.permits(ops, custom) == frozenset({"sources:write"})
    none = stored(*both, created_by=maker, creator_roles=())
    assert rules.permits(none, custom) == frozenset()


def test_a_rotated_key_ends_after_the_overlap_and_no_later_than_it_would_have() -> None:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    hour, day = timedelta(hours=1), timedelta(days=1)
    assert rules.rotated_end(None, now, day) == now + day
    assert rules.rotated_end(now + hour, now, day) == now + hour
    assert rules.rotated_end(now + day, now, hour) == now + hour
    assert rules.rotated_end(None, now, timedelta(0)) == now
    for overlap in (timedelta(seconds=-1), rules.MAX_OVERLAP + timedelta(seconds=1)):
        with pytest.raises(Invalid):
            rules.rotated_end(None, now, overlap)


def test_operators_keys_have_operators_permissions() -> None:
    held = wants("tenants:read", "events:read")
    rules.check_permissions(wants("tenants:read"), held, platform=True)
    with pytest.raises(Invalid):
        rules.check_permissions(wants("tenants:read"), held)
    with pytest.raises(Invalid):
        rules.check_permissions(wants("events:read"), held, platform=True)
