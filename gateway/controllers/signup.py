"""`/v1/signup`: how somebody whom nobody knows gets a tenant of their own."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import RequestBody
from msgspec import Meta

from crossdock import ids
from crossdock.inbound.model import Label
from crossdock.tenancy.signup import Signups
from crossdock.tenancy.signup.model import Form
from gateway.declarations import Scoped
from gateway.request import ApiRequest

Slug = Annotated[str, Meta(min_length=3, max_length=63, pattern="^[a-z0-9-]+$")]


class SignupIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who wants a tenant, and how it shall be called."""

    email: Annotated[str, Meta(min_length=3, max_length=254)]
    password: Annotated[str, Meta(max_length=1024)]
    """12 to 256 characters, of which several words are a good choice."""
    name: Label
    """Of whoever signs up, and will own the tenant."""
    tenant_name: Label
    slug: Slug | None = None
    """The tenant's short name, for good; made from `tenant_name` unless chosen."""


class SignupOut(msgspec.Struct, frozen=True):
    """A letter with a token is on its way."""

    expires_at: datetime
    """Until when the token is good."""


class VerifyIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The token of a letter."""

    token: Annotated[str, Meta(max_length=128)]
    slug: Slug | None = None
    """Another slug, for when the one that was chosen belongs to another tenant by now."""
    password: Annotated[str, Meta(max_length=1024)] | None = None
    """The one that was chosen; asked for where somebody signed up with this address again."""


class NewTenantOut(msgspec.Struct, frozen=True):
    """The tenant that was made."""

    id: str
    slug: str
    name: str


class NewOwnerOut(msgspec.Struct, frozen=True):
    """Its owner, who can sign in now."""

    id: str
    email: str


class JoinedOut(msgspec.Struct, frozen=True):
    """A tenant and its owner."""

    tenant: NewTenantOut
    user: NewOwnerOut


class SignupController(Controller):
    """Signing up."""

    path = "/v1/signup"
    tags = ("Signing up",)

    @post("/", public=True, status_code=202, idempotency=Scoped("email"))
    async def sign_up(
        self,
        request: ApiRequest,
        signups: NamedDependency[Signups],
        data: RequestBody[SignupIn],
    ) -> SignupOut:
        """Ask for a tenant: a token is mailed, which proves that the address is yours."""
        form = Form(
            email=data.email,
            password=data.password,
            name=data.name,
            tenant_name=data.tenant_name,
            slug=data.slug,
        )
        return SignupOut(await signups.begin(form, address=request.origin.address))

    @post("/verify", public=True, idempotency=Scoped("token"))
    async def verify_signup(
        self,
        request: ApiRequest,
        signups: NamedDependency[Signups],
        data: RequestBody[VerifyIn],
    ) -> JoinedOut:
        """Make the tenant and its owner, with the token from the letter."""
        made = await signups.verify(
            data.token,
            slug=data.slug,
            password=data.password,
            address=request.origin.address,
        )
        return JoinedOut(
            NewTenantOut(ids.encode("ten", made.tenant_id), made.slug, made.tenant_name),
            NewOwnerOut(ids.encode("usr", made.user_id), made.email),
        )
