"""`/v1/invitations`: how people come to the caller's tenant."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import RequestBody
from msgspec import Meta

from crossdock import ids
from crossdock.access.invitations.acceptance import Acceptance
from crossdock.access.invitations.model import Invitation
from crossdock.access.invitations.service import Invitations
from crossdock.access.users.model import UserName, UserRoles
from gateway.controllers.auth import Email, Password, Token
from gateway.declarations import Atomic, Scoped
from gateway.entity_tags import versions
from gateway.request import ApiRequest
from gateway.wire import DEFAULT_LIMIT, Cursor, Id, IfMatch, Limit, tagged


class InvitationOut(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation, without its token."""

    id: str
    email: str
    roles: list[str]
    invited_by: str | None
    """The user who stands behind it."""
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    revoked_at: datetime | None


class InvitationPage(msgspec.Struct, frozen=True):
    """Invitations, newest first, ended ones included for a month."""

    items: list[InvitationOut]
    next_cursor: str | None


class InvitationCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whom to invite; nobody grants more than they hold."""

    email: Email
    roles: Annotated[UserRoles, Meta(min_length=1)]


class InvitationAccept(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An invitation's token, and who one is."""

    token: Token
    name: UserName
    password: Password


class AcceptedTenant(msgspec.Struct, frozen=True, kw_only=True):
    """Where one is a user now."""

    id: str
    slug: str
    name: str


class AcceptedUser(msgspec.Struct, frozen=True, kw_only=True):
    """Who one is there."""

    id: str
    email: str
    name: str
    roles: list[str]


class AcceptedOut(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant, and its new user."""

    tenant: AcceptedTenant
    user: AcceptedUser


class InvitationController(Controller):
    """Invitations."""

    path = "/v1/invitations"
    tags = ("Users",)

    @post("/", permissions={"users:write"}, idempotency=Atomic())
    async def create_invitation(
        self,
        request: ApiRequest,
        invitations: NamedDependency[Invitations],
        data: RequestBody[InvitationCreate],
    ) -> Response[InvitationOut]:
        """Invite somebody by a letter, which alone has the token."""
        made = await invitations.invite(
            request.auth, data.email, data.roles, address=request.origin.address
        )
        shown = _shown(made)
        return tagged(shown, made.version, Location=f"/v1/invitations/{shown.id}")

    @get("/", permissions={"users:read"})
    async def list_invitations(
        self,
        request: ApiRequest,
        invitations: NamedDependency[Invitations],
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> InvitationPage:
        """List invitations, newest first."""
        window = request.window("invitations", limit, cursor, {})
        found = await invitations.page(request.tenant_id, window)
        return InvitationPage(
            [_shown(item) for item in found.items],
            request.next_cursor("invitations", found, {}),
        )

    @get("/{invitation_id:str}", permissions={"users:read"})
    async def get_invitation(
        self, request: ApiRequest, invitations: NamedDependency[Invitations], invitation_id: Id
    ) -> Response[InvitationOut]:
        """Show an invitation."""
        found = await invitations.get(request.tenant_id, ids.decode("inv", invitation_id))
        return tagged(_shown(found), found.version)

    @delete("/{invitation_id:str}", permissions={"users:write"}, idempotency=Atomic())
    async def revoke_invitation(
        self,
        request: ApiRequest,
        invitations: NamedDependency[Invitations],
        invitation_id: Id,
        if_match: IfMatch = None,
    ) -> None:
        """Take an invitation back. It stays listed."""
        await invitations.revoke(
            request.auth,
            ids.decode("inv", invitation_id),
            versions(if_match),
            address=request.origin.address,
        )

    @post("/accept", public=True, idempotency=Scoped("token"))
    async def accept_invitation(
        self,
        request: ApiRequest,
        acceptance: NamedDependency[Acceptance],
        data: RequestBody[InvitationAccept],
    ) -> AcceptedOut:
        """Become a user, with an invitation's token."""
        joined = await acceptance.accept(
            data.token, name=data.name, password=data.password, address=request.origin.address
        )
        tenant, user = joined.tenant, joined.user
        return AcceptedOut(
            tenant=AcceptedTenant(
                id=ids.encode("ten", tenant.id), slug=tenant.slug, name=tenant.name
            ),
            user=AcceptedUser(
                id=ids.encode("usr", user.id),
                email=user.email,
                name=user.name,
                roles=list(user.roles),
            ),
        )


def _shown(invitation: Invitation) -> InvitationOut:
    by = invitation.invited_by
    return InvitationOut(
        id=ids.encode("inv", invitation.id),
        email=invitation.email,
        roles=list(invitation.roles),
        invited_by=None if by is None else ids.encode("usr", by),
        created_at=invitation.created_at,
        expires_at=invitation.expires_at,
        accepted_at=invitation.accepted_at,
        revoked_at=invitation.revoked_at,
    )
