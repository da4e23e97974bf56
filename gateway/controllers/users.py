"""`/v1/users`: the people of the caller's tenant."""

from datetime import datetime

import msgspec
from litestar import Controller, Response, delete, get, patch
from litestar.di import NamedDependency
from msgspec import UNSET, UnsetType

from crossdock import ids
from crossdock.access.users.model import User, UserName, UserRoles, UserState
from crossdock.access.users.service import Users
from gateway.controllers.sessions import SessionPage
from gateway.controllers.sessions import shown as shown_session
from gateway.declarations import Apart, Atomic
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


class UserOut(msgspec.Struct, frozen=True, kw_only=True):
    """A person who may sign in."""

    id: str
    email: str
    name: str
    state: UserState
    roles: list[str]
    has_second_factor: bool
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None


class UserPage(msgspec.Struct, frozen=True):
    """Users, newest first."""

    items: list[UserOut]
    next_cursor: str | None


class UserPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to change of a user; nobody gives or takes what they do not hold."""

    name: UserName | UnsetType = UNSET
    roles: UserRoles | UnsetType = UNSET
    state: UserState | UnsetType = UNSET


class UserController(Controller):
    """Users."""

    path = "/v1/users"
    tags = ("Users",)

    @get("/", permissions={"users:read"})
    async def list_users(
        self,
        request: ApiRequest,
        users: NamedDependency[Users],
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> UserPage:
        """List users, newest first."""
        window = request.window("users", limit, cursor, {})
        found = await users.page(request.tenant_id, window)
        return UserPage(
            [_shown(user) for user in found.items], request.next_cursor("users", found, {})
        )

    @get("/{user_id:str}", permissions={"users:read"})
    async def get_user(
        self, request: ApiRequest, users: NamedDependency[Users], user_id: Id
    ) -> Response[UserOut]:
        """Show a user."""
        found = await users.get(request.tenant_id, ids.decode("usr", user_id))
        return tagged(_shown(found), found.version)

    @patch("/{user_id:str}", permissions={"users:write"}, idempotency=Atomic())
    async def patch_user(
        self,
        request: ApiRequest,
        users: NamedDependency[Users],
        user_id: Id,
        data: MergePatch[UserPatch],
        if_match: IfMatch = None,
    ) -> Response[UserOut]:
        """Change a user's name, roles or state. Other roles hold within a second."""
        changed = await users.patch(
            request.auth,
            ids.decode("usr", user_id),
            without_unset(data),
            versions(if_match),
            address=request.origin.address,
        )
        return tagged(_shown(changed), changed.version)

    @delete("/{user_id:str}", permissions={"users:write"}, idempotency=Apart())
    async def remove_user(
        self,
        request: ApiRequest,
        users: NamedDependency[Users],
        user_id: Id,
        if_match: IfMatch = None,
    ) -> None:
        """Remove a user: sessions and the keys they made end within a second."""
        await users.remove(
            request.auth,
            ids.decode("usr", user_id),
            versions(if_match),
            address=request.origin.address,
        )

    @get("/{user_id:str}/sessions", permissions={"users:read"})
    async def list_user_sessions(
        self,
        request: ApiRequest,
        users: NamedDependency[Users],
        user_id: Id,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> SessionPage:
        """List a user's live sessions, newest first."""
        key = ids.decode("usr", user_id)
        window = request.window("user-sessions", limit, cursor, {"user": user_id})
        found = await users.sessions(request.tenant_id, key, window)
        return SessionPage(
            [shown_session(session, request.auth.session_id) for session in found.items],
            request.next_cursor("user-sessions", found, {"user": user_id}),
        )

    @delete("/{user_id:str}/sessions", permissions={"users:write"}, idempotency=Atomic())
    async def end_user_sessions(
        self, request: ApiRequest, users: NamedDependency[Users], user_id: Id
    ) -> None:
        """End all sessions of a user."""
        await users.end_sessions(
            request.auth, ids.decode("usr", user_id), address=request.origin.address
        )


def _shown(user: User) -> UserOut:
    return UserOut(
        id=ids.encode("usr", user.id),
        email=user.email,
        name=user.name,
        state=user.state,
        roles=list(user.roles),
        has_second_factor=user.has_second_factor,
        created_at=user.created_at,
        updated_at=user.updated_at,
        last_login_at=user.last_login_at,
    )
