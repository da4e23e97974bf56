"""Operators made by hand: the first ones, before there is anybody to invite them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from uuid import UUID

from msgspec.structs import replace

from crossdock import ids
from crossdock.access import grants
from crossdock.access.roles import store as role_store
from crossdock.access.users import store
from crossdock.access.users.model import NewUser, User
from crossdock.audit import store as audit
from crossdock.audit.model import Entry
from crossdock.db import Databases
from crossdock.errors import Conflict, NotFound
from crossdock.identity import emails, revocation
from crossdock.identity.passwords import PasswordPolicy
from crossdock.paging import Window
from crossdock.tenancy.rules import PLATFORM, check_name

_MANY: Final = Window(None, 1000)


class Hasher(Protocol):
    """Turns a password into what is stored of it."""

    async def hash(self, password: str) -> str:
        """Return the hash."""


class Operators:
    """The platform's people, as whoever may run commands beside the servers looks after them.

    Needs the roles `app` and `control`.
    """

    def __init__(
        self, database: Databases, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._clock = clock

    async def create(
        self,
        email: str,
        role: str,
        password: str,
        *,
        name: str,
        hasher: Hasher,
        policy: PasswordPolicy,
        by: str | None = None,
    ) -> User:
        """Make an operator who can sign in at once.

        Raises:
            Invalid: the address, the role, the name or the password will not do.
            Conflict: the address is an operator's already.
        """
        email = emails.normalise(email)
        check_name(name)
        grants.check_built_in(PLATFORM, (role,), "/roles")
        hashed = await hasher.hash(policy.check(password, email=email, names=(name,)))
        now = self._clock()
        made = NewUser(
            tenant_id=PLATFORM,
            id=ids.new(now.timestamp()),
            email=email,
            name=name,
            roles=(role,),
            password_hash=hashed,
        )
        async with self._database.tenant(PLATFORM) as conn:
            await role_store.lock_rights(conn, PLATFORM)
            if await store.is_known(conn, PLATFORM, email):
                raise Conflict(f"{email} is an operator already.")
            await store.add(conn, made, now)
            await audit.add(conn, PLATFORM, _entry("user.create", made.id, by, roles=[role]))
            async with self._database.control() as control:
                await store.add_login(control, PLATFORM, made.id, emails.hash_of(email))
            found = await store.get(conn, PLATFORM, made.id)
        if found is None:
            raise NotFound
        return found

    async def all(self) -> Sequence[User]:
        """Return the operators, newest first."""
        async with self._database.tenant(PLATFORM) as conn:
            return await store.page(conn, PLATFORM, _MANY)

    async def disable(self, email: str, *, by: str | None = None) -> User:
        """Let an operator do nothing any more, within a second; to repeat it changes nothing.

        It may be the last one: another is made as the first was.

        Raises:
            NotFound: that address is no operator's.
        """
        email = emails.normalise(email)
        async with self._database.tenant(PLATFORM) as conn:
            await role_store.lock_rights(conn, PLATFORM)
            known = {user.email: user for user in await store.page(conn, PLATFORM, _MANY)}
            if email not in known:
                raise NotFound(f"{email} is no operator's address.")
            before = known[email]
            if before.state == "disabled":
                return before
            now = self._clock()
            after = replace(before, state="disabled", version=before.version + 1, updated_at=now)
            await store.save(conn, after)
            await revocation.end_sessions(conn, PLATFORM, before.id, "user-disabled")
            await audit.add(conn, PLATFORM, _entry("user.update", before.id, by, state="disabled"))
        return after


def _entry(action: str, user_id: UUID, by: str | None, **detail: Any) -> Entry:
    return Entry(action=action, target=ids.encode("usr", user_id), detail={"by": by, **detail})
