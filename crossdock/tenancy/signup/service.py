"""The use cases of signing up.

A signup is a row of the control database and a letter; nothing else is there before the address is
proven. Its tenant's id and its owner's are made with it, so that making the tenant, which takes two
databases, can be begun any number of times and ends the same: the place first, then tenant and
owner in one transaction on their shard, then where the owner signs in. The answers never depend on
whether an address is known: it may own any number of tenants.
"""

import base64
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from crossdock import ids
from crossdock.config import IdentitySettings
from crossdock.db import Databases
from crossdock.errors import Conflict, SignupClosed
from crossdock.identity import emails
from crossdock.identity.hashing import PasswordHasher
from crossdock.identity.passwords import PasswordPolicy
from crossdock.identity.throttle import (
    LOGIN_BY_ADDRESS,
    SIGNUP_BY_ACCOUNT,
    SIGNUP_BY_ADDRESS,
    Throttle,
    address_of,
    site_of,
)
from crossdock.mail.letters import Letters
from crossdock.mail.service import Postbox
from crossdock.tenancy import rules as tenants
from crossdock.tenancy.model import Joined
from crossdock.tenancy.signup import rules, store
from crossdock.tenancy.signup.founding import Founder
from crossdock.tenancy.signup.model import Form, Signup

log = structlog.get_logger(__name__)


class Signups:
    """Takes signups and makes their tenants."""

    def __init__(
        self,
        database: Databases,
        *,
        settings: IdentitySettings,
        hasher: PasswordHasher,
        policy: PasswordPolicy,
        throttle: Throttle,
        postbox: Postbox,
        letters: Letters,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._database = database
        self._founder = Founder(database, clock=clock)
        self._settings = settings
        self._hasher = hasher
        self._policy = policy
        self._throttle = throttle
        self._postbox = postbox
        self._letters = letters
        self._clock = clock
        self._random = random

    async def begin(self, form: Form, *, address: str) -> datetime:
        """Take a signup and post its letter; return when its token ends.

        Raises:
            SignupClosed: operators make the tenants here.
            TooManyRequests: of that address of the network, or that e-mail address.
            Invalid: a name, the slug, the address or the password will not do.
            Conflict: another tenant has that slug.
            Busy: too many passwords wait to be hashed.
        """
        self._check_open()
        await self._throttle.take("signup address", address_of(address), SIGNUP_BY_ADDRESS)
        email = emails.normalise(form.email)
        tenants.check_name(form.name)
        slug = await self._slug(form)
        names = (form.name, form.tenant_name, slug)
        password = self._policy.check(form.password, email=email, names=names)
        await self._throttle.take("signup account", email, SIGNUP_BY_ACCOUNT)
        token = base64.urlsafe_b64encode(self._random(rules.TOKEN_BYTES)).rstrip(b"=").decode()
        with self._hasher.asking(site_of(address)):
            password_hash = await self._hasher.hash(password)
        now = self._clock()
        signup = Signup(
            tenant_id=ids.new(now.timestamp()),
            user_id=ids.new(now.timestamp()),
            email=email,
            name=form.name,
            tenant_name=form.tenant_name,
            slug=slug,
            password_hash=password_hash,
            token_hash=rules.token_hash(token),
            expires_at=now + timedelta(seconds=self._settings.signup_ttl_s),
            created_at=now,
        )
        letter = self._letters.verify_address(
            email,
            name=form.name,
            tenant=form.tenant_name,
            token=token,
            expires_at=signup.expires_at,
        )
        async with self._database.control() as conn:
            await store.add(conn, signup)
            await self._postbox.put_raw(conn, signup.tenant_id, letter)
        log.info("signup_begun", slug=slug, address=address)
        return signup.expires_at

    async def verify(
        self, token: str, *, slug: str | None = None, password: str | None = None, address: str
    ) -> Joined:
        """Make the tenant of a signup, and its owner.

        Anybody may sign up with anybody's address, and whoever reads its mail might take one
        letter for another: the tenant would be theirs, and its password a stranger's. So where an
        address has several signups, a token is good with the password of its own only.

        A token works until it has worked once: what broke off is finished by sending it again, and
        of those who send it at the same moment one hears of the tenant.

        Args:
            token: from the letter.
            slug: another one than the signup has, for when that was taken meanwhile. Once the
                tenant has its place it counts for nothing.
            password: the one that was chosen; asked for where the address has other signups.
            address: where the request comes from.

        Raises:
            SignupClosed: operators make the tenants here.
            TooManyRequests: of that address of the network.
            Invalid: the token is none or has expired, or the slug or the password will not do.
            Conflict: another tenant has the slug, or the token has done its work; says how to go
                on.
            Busy: too many passwords wait to be compared.
        """
        self._check_open()
        await self._throttle.take("verify address", address_of(address), LOGIN_BY_ADDRESS)
        digest = rules.token_hash(token)
        await self._check_password(digest, password)
        async with self._database.control() as conn:
            signup = await store.lock(conn, digest)
            if signup is None:
                raise rules.unknown_token()
            rules.check_open(signup, self._clock())
            place = await self._founder.claim(conn, signup, slug)
            if signup.verified_at is not None:
                raise rules.verified(place.slug)
        if not await self._founder.found(signup, place, address):
            raise rules.verified(place.slug)
        return Joined(
            tenant_id=signup.tenant_id,
            slug=place.slug,
            tenant_name=signup.tenant_name,
            user_id=signup.user_id,
            email=signup.email,
        )

    async def _check_password(self, digest: bytes, password: str | None) -> None:
        """Check that a token's letter is about the signup of whoever has it, if it may not be."""
        async with self._database.control() as conn:
            stored = await store.rivalled(conn, digest, self._clock())
        if stored is None:
            return
        if password is None or not await self._hasher.verify(stored, password):
            raise rules.rivalled()

    def _check_open(self) -> None:
        if not self._settings.signup_open:
            raise SignupClosed

    async def _slug(self, form: Form) -> str:
        """Return the slug of a tenant to be: the chosen one, or one that is free."""
        wanted = tenants.slug_of(form.tenant_name) if form.slug is None else form.slug
        tenants.check_name(form.tenant_name, "/tenant_name")
        if form.slug is not None:
            tenants.check_own(form.tenant_name, wanted)
        async with self._database.control() as conn:
            is_taken = await store.is_slug_taken(conn, wanted)
        if form.slug is None:
            suffix = base64.b32hexencode(self._random(rules.SUFFIX_BYTES)).rstrip(b"=")
            return rules.made_slug(form.tenant_name, suffix.decode().lower(), is_taken=is_taken)
        if is_taken:
            raise Conflict(f"The slug {wanted} belongs to another tenant; choose another.")
        return wanted
