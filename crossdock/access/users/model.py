"""What crosses the boundary of users."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from crossdock.access.roles.model import RoleName

MAX_ROLES: Final = 16
"""Of one user; a token carries them."""

UserState = Literal["active", "disabled"]
UserName = Annotated[str, Meta(min_length=1, max_length=100)]
UserRoles = Annotated[list[RoleName], Meta(max_length=MAX_ROLES)]
"""None at all permit nothing but to look after one's own account."""


class UserEdit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may be changed of a user by whoever looks after people."""

    name: UserName
    roles: UserRoles
    state: UserState


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person who may sign in to a tenant."""

    tenant_id: UUID
    id: UUID
    email: str
    name: str
    state: UserState
    roles: tuple[str, ...]
    has_second_factor: bool
    version: int
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None


class NewUser(msgspec.Struct, frozen=True, kw_only=True):
    """A person about to be one."""

    tenant_id: UUID
    id: UUID
    email: str
    name: str
    roles: tuple[str, ...]
    password_hash: str
