"""`/v1/roles`: what people of the caller's tenant can be allowed to do, under a name."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import RequestBody
from msgspec import UNSET, Meta, UnsetType

from crossdock import ids
from crossdock.access.permissions import Role, resolved
from crossdock.access.roles.model import (
    MAX_INHERITS,
    RoleEdit,
    RoleName,
    ShownRole,
)
from crossdock.access.roles.service import Roles
from crossdock.access.rules import MAX_PERMISSIONS
from crossdock.errors import Conflict
from gateway.controllers.api_keys import Permission
from gateway.declarations import Atomic
from gateway.entity_tags import versions
from gateway.request import ApiRequest
from gateway.wire import (
    DEFAULT_LIMIT,
    Cursor,
    Id,
    IfMatch,
    Limit,
    MergePatch,
    tagged,
    without_unset,
)

Description = Annotated[str, Meta(max_length=500)]
OwnPermissions = Annotated[list[Permission], Meta(max_length=MAX_PERMISSIONS)]
Inherits = Annotated[list[RoleName], Meta(max_length=MAX_INHERITS)]


class RoleOut(msgspec.Struct, frozen=True, kw_only=True):
    """A role."""

    id: str
    """Of a role that comes with Crossdock, its name."""
    name: str
    built_in: bool
    description: str
    permissions: list[str]
    """Its own."""
    inherits: list[str]
    """Roles whose permissions it has, too."""
    effective: list[str]
    """All that it permits."""
    created_at: datetime | None
    updated_at: datetime | None


class RolePage(msgspec.Struct, frozen=True):
    """Roles: those that come with Crossdock, then the tenant's own, newest first."""

    items: list[RoleOut]
    next_cursor: str | None


class RoleCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A role to be made; nobody grants more than they hold."""

    name: RoleName
    description: Description = ""
    permissions: OwnPermissions = []
    inherits: Inherits = []


class RolePatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to change of a role. Its name stays."""

    description: Description | UnsetType = UNSET
    permissions: OwnPermissions | UnsetType = UNSET
    inherits: Inherits | UnsetType = UNSET


class RoleController(Controller):
    """Roles."""

    path = "/v1/roles"
    tags = ("Roles",)

    @get("/", permissions={"roles:read"})
    async def list_roles(
        self,
        request: ApiRequest,
        roles: NamedDependency[Roles],
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> RolePage:
        """List roles."""
        window = request.window("roles", limit, cursor, {})
        found = await roles.page(request.tenant_id, window)
        return RolePage(
            [_either(item.role) for item in found.items], request.next_cursor("roles", found, {})
        )

    @post("/", permissions={"roles:write"}, idempotency=Atomic())
    async def create_role(
        self, request: ApiRequest, roles: NamedDependency[Roles], data: RequestBody[RoleCreate]
    ) -> Response[RoleOut]:
        """Make a role of permissions that one holds."""
        edit = RoleEdit(
            description=data.description, permissions=data.permissions, inherits=data.inherits
        )
        made = await roles.create(request.auth, data.name, edit, address=request.origin.address)
        shown = _shown(made)
        return tagged(shown, made.role.version, Location=f"/v1/roles/{shown.id}")

    @get("/{role_id:str}", permissions={"roles:read"})
    async def get_role(
        self, request: ApiRequest, roles: NamedDependency[Roles], role_id: Id
    ) -> Response[RoleOut]:
        """Show a role."""
        for role in roles.built_in(request.tenant_id):
            if role.name == role_id:
                return tagged(_built_in(role))
        found = await roles.get(request.tenant_id, ids.decode("rol", role_id))
        return tagged(_shown(found), found.role.version)

    @patch("/{role_id:str}", permissions={"roles:write"}, idempotency=Atomic())
    async def patch_role(
        self,
        request: ApiRequest,
        roles: NamedDependency[Roles],
        role_id: Id,
        data: MergePatch[RolePatch],
        if_match: IfMatch = None,
    ) -> Response[RoleOut]:
        """Change a role: it holds for all who have it, within a second."""
        changed = await roles.patch(
            request.auth,
            _own(request, roles, role_id),
            without_unset(data),
            versions(if_match),
            address=request.origin.address,
        )
        return tagged(_shown(changed), changed.role.version)

    @delete("/{role_id:str}", permissions={"roles:write"}, idempotency=Atomic())
    async def delete_role(
        self,
        request: ApiRequest,
        roles: NamedDependency[Roles],
        role_id: Id,
        if_match: IfMatch = None,
    ) -> None:
        """Delete a role that nobody has, was invited to, or builds on."""
        await roles.delete(
            request.auth,
            _own(request, roles, role_id),
            versions(if_match),
            address=request.origin.address,
        )


def _own(request: ApiRequest, roles: Roles, role_id: str) -> UUID:
    """Return the id of a tenant's own role.

    Raises:
        Conflict: it is one of those that come with Crossdock.
        NotFound: it is no id of a role.
    """
    if any(role.name == role_id for role in roles.built_in(request.tenant_id)):
        raise Conflict("That role comes with Crossdock and can't be changed.")
    return ids.decode("rol", role_id)


def _either(role: Role | ShownRole) -> RoleOut:
    return _built_in(role) if isinstance(role, Role) else _shown(role)


def _built_in(role: Role) -> RoleOut:
    return RoleOut(
        id=role.name,
        name=role.name,
        built_in=True,
        description=role.description,
        permissions=sorted(role.permissions),
        inherits=list(role.inherits),
        effective=sorted(resolved(role.name)),
        created_at=None,
        updated_at=None,
    )


def _shown(shown: ShownRole) -> RoleOut:
    role = shown.role
    return RoleOut(
        id=ids.encode("rol", role.id),
        name=role.name,
        built_in=False,
        description=role.description,
        permissions=list(role.permissions),
        inherits=list(role.inherits),
        effective=sorted(shown.effective),
        created_at=role.created_at,
        updated_at=role.updated_at,
    )
