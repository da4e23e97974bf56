"""What can be permitted, and the roles that come with Crossdock.

A permission is `resource:action`. A role holds permissions of its own and those of the roles that
it inherits. Tenants' people have tenant roles; operators, who are the people of the platform's own
tenant, have roles apart: neither kind can be given where the other belongs.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec


class Role(msgspec.Struct, frozen=True):
    """A role that comes with Crossdock."""

    name: str
    description: str
    permissions: frozenset[str]
    """Its own; see `effective` for all."""
    inherits: tuple[str, ...] = ()


def _all(resources: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    return frozenset(
        f"{name}:{action}" for name, actions in resources.items() for action in actions
    )


PERMISSIONS: Final = _all(
    {
        "alerts": ("read", "write"),
        "api-keys": ("read", "write"),
        "audit": ("read",),
        "dead-letters": ("read",),
        "deliveries": ("read", "write"),
        "destinations": ("read", "write"),
        "event-types": ("read", "write"),
        "events": ("read", "write"),
        "replays": ("read", "write"),
        "roles": ("read", "write"),
        "sources": ("read", "write"),
        "support": ("read", "write"),
        "tenant": ("read", "write"),
        "users": ("read", "write"),
    }
)
"""Everything that can be permitted within a tenant."""

PLATFORM_PERMISSIONS: Final = _all(
    {
        "api-keys": ("read", "write"),
        "audit": ("read",),
        "shards": ("read",),
        "support": ("open",),
        "tenants": ("read", "write"),
        "users": ("read", "write"),
    }
)
"""Everything that can be permitted to operators."""

_VIEWER: Final = frozenset(
    f"{resource}:read"
    for resource in (
        "alerts",
        "dead-letters",
        "deliveries",
        "destinations",
        "event-types",
        "events",
        "replays",
        "sources",
        "tenant",
    )
)
_DEVELOPER: Final = frozenset(
    {
        "alerts:write",
        "api-keys:read",
        "api-keys:write",
        "deliveries:write",
        "destinations:write",
        "event-types:write",
        "events:write",
        "replays:write",
        "sources:write",
    }
)
_ADMIN: Final = frozenset(
    {
        "audit:read",
        "roles:read",
        "roles:write",
        "support:read",
        "support:write",
        "users:read",
        "users:write",
    }
)
_SUPPORT: Final = frozenset({"tenants:read", "shards:read", "support:open"})

OWNER: Final = "owner"
SUPPORT: Final = "support"
"""What an operator may do inside a tenant whose support access is open; nobody else has it."""

TENANT_ROLES: Final[Mapping[str, Role]] = {
    role.name: role
    for role in (
        Role("viewer", "Sees what comes in and goes out.", _VIEWER),
        Role("developer", "Sets up sources and destinations.", _DEVELOPER, ("viewer",)),
        Role("admin", "Looks after people and their rights.", _ADMIN, ("developer",)),
        Role(OWNER, "Owns the tenant.", frozenset({"tenant:write"}), ("admin",)),
    )
}
PLATFORM_ROLES: Final[Mapping[str, Role]] = {
    role.name: role
    for role in (
        Role("platform-support", "Looks at tenants, and into them with a reason.", _SUPPORT),
        Role(
            "platform-admin",
            "Runs the installation.",
            PLATFORM_PERMISSIONS - _SUPPORT,
            ("platform-support",),
        ),
    )
}
BUILT_IN: Final[Mapping[str, Role]] = {
    **TENANT_ROLES,
    **PLATFORM_ROLES,
    SUPPORT: Role(SUPPORT, "An operator, for a time and for a reason.", _VIEWER),
}


def resolved(name: str) -> frozenset[str]:
    """Return all permissions of a role that comes with Crossdock, inherited ones included."""
    role = BUILT_IN[name]
    return role.permissions.union(*(resolved(parent) for parent in role.inherits))


_RESOLVED: Final = {name: resolved(name) for name in BUILT_IN}


def effective(roles: Iterable[str], custom: Mapping[str, Collection[str]]) -> frozenset[str]:
    """Return what somebody with these roles may do.

    Args:
        roles: by name; one that there is no more permits nothing.
        custom: a tenant's own roles, each with all of its permissions.
    """
    found: set[str] = set()
    for name in roles:
        found.update(_RESOLVED[name] if name in _RESOLVED else custom.get(name, ()))
    return frozenset(found)
