"""What crosses the boundary of custom roles."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from crossdock.access.permissions import Role
from crossdock.access.rules import MAX_PERMISSIONS

MAX_INHERITS = 16
"""Roles that one role may build on directly."""

RoleName = Annotated[str, Meta(min_length=1, max_length=63, pattern="^[a-z0-9]+(-[a-z0-9]+)*$")]
PermissionName = Annotated[str, Meta(max_length=64)]


class Definition(msgspec.Struct, frozen=True):
    """What a role is made of."""

    permissions: frozenset[str]
    """Its own."""
    inherits: tuple[str, ...] = ()


class RoleEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may be changed of a role. Its name stays: people's tokens carry it."""

    description: Annotated[str, Meta(max_length=500)] = ""
    permissions: Annotated[list[PermissionName], Meta(max_length=MAX_PERMISSIONS)] = []
    inherits: Annotated[list[RoleName], Meta(max_length=MAX_INHERITS)] = []


class CustomRole(msgspec.Struct, frozen=True):
    """A tenant's own role."""

    tenant_id: UUID
    id: UUID
    name: str
    description: str
    permissions: tuple[str, ...]
    inherits: tuple[str, ...]
    version: int
    created_at: datetime
    updated_at: datetime

    @property
    def definition(self) -> Definition:
        """What it is made of."""
        return Definition(frozenset(self.permissions), self.inherits)


class ListedRole(msgspec.Struct, frozen=True):
    """A role of either kind, with its place in the list of both."""

    id: UUID
    role: "Role | ShownRole"


class ShownRole(msgspec.Struct, frozen=True):
    """A role with everything it permits."""

    role: CustomRole
    effective: frozenset[str]
    """Inherited permissions included."""
