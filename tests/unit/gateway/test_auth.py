"""Who gets past the guard, by what a handler declares."""

from typing import Any

import pytest
from litestar import get

from crossdock import ids
from crossdock.access.model import Actor, Principal
from crossdock.errors import Forbidden, TenantSuspended
from crossdock.tenancy.rules import PLATFORM
from gateway.auth import Access, access_of, admit

PUBLIC = Access("public")
USER = Access("user")
READ = Access("permissions", frozenset({"sources:read"}))
WRITE = Access("permissions", frozenset({"sources:write"}))
ANY = Access("permissions")
OPERATOR = Access("operator", frozenset({"tenants:write"}))


def principal(kind: Any, *permissions: str, platform: bool = False, state: Any = "active") -> Any:
    tenant_id = PLATFORM if platform else ids.new()
    return Principal(tenant_id, state, Actor(kind, ids.new()), frozenset(permissions))


EVERYTHING = ("sources:read", "sources:write", "tenants:write")

ADMITTED = [
    (principal("user", *EVERYTHING), USER, "POST"),
    (principal("user"), USER, "DELETE"),
    (principal("user", state="suspended"), USER, "POST"),
    (principal("user", platform=True), USER, "POST"),
    (principal("user", *EVERYTHING), WRITE, "POST"),
    (principal("key", *EVERYTHING), WRITE, "POST"),
    (principal("key", "sources:read", state="suspended"), READ, "GET"),
    (principal("operator", "sources:read"), READ, "GET"),
    (principal("operator", "sources:read"), READ, "HEAD"),
    (principal("operator"), ANY, "GET"),
    (principal("key"), ANY, "GET"),
    (principal("user", "tenants:write", platform=True), OPERATOR, "POST"),
    (principal("key", "tenants:write", platform=True), OPERATOR, "POST"),
    (principal("user", "sources:read", platform=True), READ, "GET"),
]

REFUSED = [
    (principal("key", *EVERYTHING), USER, "POST"),
    (principal("operator", *EVERYTHING), USER, "GET"),
    (principal("user"), READ, "GET"),
    (principal("user", "tenants:write", platform=True), READ, "GET"),
    (principal("user", *EVERYTHING), OPERATOR, "POST"),
    (principal("key", *EVERYTHING), OPERATOR, "GET"),
    (principal("operator", *EVERYTHING), OPERATOR, "GET"),
    (principal("operator", *EVERYTHING, platform=True), OPERATOR, "GET"),
    (principal("user", "tenants:read", platform=True), OPERATOR, "POST"),
    (principal("operator", "sources:read"), WRITE, "GET"),
    (principal("user", *EVERYTHING, platform=True), None, "GET"),
    (principal("key", *EVERYTHING), None, "GET"),
]
REFUSED += [
    (principal("operator", *EVERYTHING), access, method)
    for access in (READ, WRITE, ANY, USER, OPERATOR)
    for method in ("POST", "PUT", "PATCH", "DELETE")
]


@pytest.mark.parametrize(("who", "access", "method"), ADMITTED)
def test_who_may_is_admitted(who: Principal, access: Access, method: str) -> None:
    admit(who, access, method=method)


@pytest.mark.parametrize(("who", "access", "method"), REFUSED)
def test_who_may_not_is_refused(who: Principal, access: Access | None, method: str) -> None:
    with pytest.raises(Forbidden):
        admit(who, access, method=method)


@pytest.mark.parametrize("state", ["suspended", "terminating", "provisioning"])
def test_a_tenant_that_is_not_active_changes_nothing(state: Any) -> None:
    with pytest.raises(TenantSuspended):
        admit(principal("key", *EVERYTHING, state=state), WRITE, method="POST")
    admit(principal("key", *EVERYTHING, state=state), READ, method="GET")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"public": True}, PUBLIC),
        ({"user": True}, USER),
        ({"permissions": {"sources:read"}}, READ),
        ({"permissions": frozenset()}, ANY),
        ({"operator": {"tenants:write"}}, OPERATOR),
        ({}, None),
        ({"public": False}, None),
        ({"public": "yes"}, None),
        ({"user": 1}, None),
        ({"public": True, "user": True}, None),
        ({"permissions": {"a:read"}, "operator": {"tenants:write"}}, None),
        ({"public": True, "permissions": frozenset()}, None),
    ],
)
def test_a_handler_declares_one_thing_or_nothing(options: Any, expected: Access | None) -> None:
    @get("/x", name="x", **options)
    async def handler() -> None:
        """Do nothing."""

    assert access_of(handler) == expected
