"""`/v1/auth`: signing in, going on, signing out, and one's own password."""

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import RequestBody
from msgspec import Meta

from crossdock import ids
from crossdock.errors import Invalid, Violation
from crossdock.identity.credentials.change import PasswordChange
from crossdock.identity.credentials.resets import PasswordResets
from crossdock.identity.login.service import Login
from crossdock.identity.myself import Myself
from crossdock.identity.sessions.model import TokenPair
from crossdock.identity.sessions.renewal import Renewals
from crossdock.identity.sessions.service import Sessions
from crossdock.tenancy.model import TenantState
from gateway import cookies
from gateway.cookies import Browsers, BrowserSessionOut
from gateway.declarations import Apart, Atomic, Scoped
from gateway.request import ApiRequest
from gateway.wire import tagged

Email = Annotated[str, Meta(min_length=1, max_length=320)]
Password = Annotated[str, Meta(min_length=1, max_length=1024)]
"""Longer ones are no password; hashing them would be work for nothing."""
Slug = Annotated[str, Meta(min_length=1, max_length=63)]
Code = Annotated[str, Meta(min_length=1, max_length=64)]
Token = Annotated[str, Meta(min_length=1, max_length=512)]

LOGIN_KEYLESS: Final = (
    "An answer that is replayed would hand out a session without asking for the password, and past"
    " the throttle. To sign in twice makes two sessions, no more."
)
REFRESH_KEYLESS: Final = (
    "The refresh token is the key: sent again within the grace, it gives the same successor."
)


class LoginIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who signs in, and where."""

    email: Email
    password: Annotated[str, Meta(max_length=1024)]
    tenant: Slug | None = None
    """Its slug; needed by those whose address belongs to several."""
    code: Code | None = None
    """Of the second factor, or a recovery code."""
    cookie: bool = False
    """Put the tokens into cookies: for a browser, and pages that are served from here."""


class RefreshIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A session to go on with."""

    refresh_token: Token | None = None
    """Left out where it is in a cookie."""


class TokenPairOut(msgspec.Struct, frozen=True, kw_only=True):
    """A session's tokens (RFC 6749, 5.1)."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    """Seconds that the access token lives."""
    refresh_token: str
    """Good for one use: the answer to it has the next."""
    refresh_expires_at: datetime
    session_id: str


class PasswordIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Another password for oneself."""

    current_password: Password
    new_password: Password


class ResetIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose password is lost."""

    email: Email
    tenant: Slug | None = None


class ResetConfirmIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A reset's token, and the password to have from now on."""

    token: Token
    new_password: Password


class Nothing(msgspec.Struct, frozen=True):
    """Nothing to tell."""


class ActorOut(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who asks."""

    kind: Literal["user", "key", "operator"]
    id: str
    email: str | None = None


class OwnTenantOut(msgspec.Struct, frozen=True, kw_only=True):
    """Where."""

    id: str
    slug: str
    state: TenantState


class MeOut(msgspec.Struct, frozen=True, kw_only=True):
    """Whom these credentials stand for, and what they permit."""

    actor: ActorOut
    tenant: OwnTenantOut
    roles: list[str]
    permissions: list[str]


class AuthController(Controller):
    """Signing in and out."""

    path = "/v1/auth"
    tags = ("Auth",)

    @post("/login", public=True, status_code=200, no_key=LOGIN_KEYLESS)
    async def login(
        self,
        request: ApiRequest,
        login: NamedDependency[Login],
        browsers: NamedDependency[Browsers],
        data: RequestBody[LoginIn],
    ) -> Response[TokenPairOut | BrowserSessionOut]:
        """Sign in. The answer to what is wrong never tells which part of it is."""
        if data.cookie:
            browsers.check_page(request)
        pair = await login.login(
            email=data.email,
            password=data.password,
            slug=data.tenant,
            code=data.code,
            origin=request.origin,
        )
        return browsers.opened(pair) if data.cookie else Response(shown(pair))

    @post("/refresh", public=True, status_code=200, no_key=REFRESH_KEYLESS)
    async def refresh(
        self,
        request: ApiRequest,
        renewals: NamedDependency[Renewals],
        browsers: NamedDependency[Browsers],
        data: RequestBody[RefreshIn],
    ) -> Response[TokenPairOut | BrowserSessionOut]:
        """Go on with a session; a refresh token that comes again later ends it."""
        if data.refresh_token is not None:
            return Response(shown(await renewals.renew(data.refresh_token, request.origin)))
        if not cookies.has_refresh(request):
            raise Invalid(None, Violation("/refresh_token", "It is missing, in a cookie as well."))
        browsers.check_page(request)
        token = cookies.cookie_of(request, cookies.REFRESH)
        return browsers.opened(await renewals.renew(token, request.origin))

    @post("/logout", user=True, status_code=204, idempotency=Atomic())
    async def logout(
        self, request: ApiRequest, sessions: NamedDependency[Sessions]
    ) -> Response[None]:
        """End the session that asks."""
        await sessions.logout(request.auth, request.origin)
        return cookies.closed(None) if cookies.is_by_cookie(request) else Response(None)

    @post("/password", user=True, status_code=200, idempotency=Apart(secret=True))
    async def change_password(
        self,
        request: ApiRequest,
        password_change: NamedDependency[PasswordChange],
        browsers: NamedDependency[Browsers],
        data: RequestBody[PasswordIn],
    ) -> Response[TokenPairOut | BrowserSessionOut]:
        """Change one's password: all sessions end, and the answer is a new one."""
        pair = await password_change.change(
            request.auth,
            current=data.current_password,
            new=data.new_password,
            origin=request.origin,
        )
        return browsers.opened(pair) if cookies.is_by_cookie(request) else Response(shown(pair))

    @post("/password/reset", public=True, status_code=202, idempotency=Scoped("email"))
    async def request_password_reset(
        self,
        request: ApiRequest,
        password_resets: NamedDependency[PasswordResets],
        data: RequestBody[ResetIn],
    ) -> Nothing:
        """Have a token mailed, if there is such an account; the answer does not tell."""
        await password_resets.request(email=data.email, slug=data.tenant, origin=request.origin)
        return Nothing()

    @post("/password/reset/confirm", public=True, status_code=204, idempotency=Scoped("token"))
    async def confirm_password_reset(
        self,
        request: ApiRequest,
        password_resets: NamedDependency[PasswordResets],
        data: RequestBody[ResetConfirmIn],
    ) -> None:
        """Set another password with a token from a mail: all sessions end."""
        await password_resets.confirm(data.token, new=data.new_password, origin=request.origin)

    @get("/me", permissions=frozenset())
    async def get_me(self, request: ApiRequest, myself: NamedDependency[Myself]) -> Response[MeOut]:
        """Show whom these credentials stand for."""
        caller = request.auth
        found = await myself.get(caller)
        kind: ids.Kind = "key" if caller.actor.kind == "key" else "usr"
        me = MeOut(
            actor=ActorOut(
                kind=caller.actor.kind, id=ids.encode(kind, caller.actor.id), email=found.email
            ),
            tenant=OwnTenantOut(
                id=ids.encode("ten", caller.tenant_id), slug=found.slug, state=caller.tenant_state
            ),
            roles=sorted(caller.roles),
            permissions=sorted(caller.permissions),
        )
        return tagged(me)


def shown(pair: TokenPair) -> TokenPairOut:
    """Return a pair of tokens as it is answered."""
    return TokenPairOut(
        access_token=pair.access_token,
        token_type="Bearer",  # noqa: S106 - a kind of token, not one
        expires_in=pair.expires_in,
        refresh_token=pair.refresh_token,
        refresh_expires_at=pair.refresh_expires_at,
        session_id=ids.encode("ses", pair.session_id),
    )
