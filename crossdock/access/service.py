"""The use cases of API keys."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from crossdock import ids
from crossdock.access import grants, rules, store, trail
from crossdock.access.model import ApiKey, NewApiKey, Principal
from crossdock.access.store import Connection
from crossdock.audit import store as audit
from crossdock.db import Databases
from crossdock.errors import Conflict, NotFound
from crossdock.paging import Slice, Window
from crossdock.tenancy import quotas
from crossdock.tenancy.rules import PLATFORM
from crossdock.versions import check


class ApiKeys:
    """Makes, lists, rotates and ends a tenant's API keys."""

    def __init__(
        self,
        database: Databases,
        *,
        environment: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._environment = environment
        self._clock = clock

    async def create(
        self,
        tenant_id: UUID,
        *,
        name: str,
        permissions: frozenset[str],
        held: frozenset[str],
        expires_at: datetime | None = None,
        requests_per_minute: int | None = None,
        by: Principal | None = None,
        address: str | None = None,
    ) -> NewApiKey:
        """Make a key; its text is in the answer and nowhere else.

        Args:
            tenant_id: Whose key it is.
            name: For people, to tell keys apart.
            permissions: What it may do.
            held: What its maker may do; nobody grants more.
            expires_at: When it ends by itself, if it does.
            requests_per_minute: How many requests it may send, where that is fewer than any key.
            by: Its maker; nobody in particular where an operator makes it by hand.
            address: Where the maker is.

        Raises:
            Invalid: a permission that does not exist, or an end that is none.
            Forbidden: a permission that its maker lacks.
            QuotaReached: the tenant has as many keys as it may.
        """
        async with trail.refusals(self._database, by, "api-key.create", None, address):
            rules.check_permissions(permissions, held, platform=tenant_id == PLATFORM)
            now = self._clock()
            if expires_at is not None:
                rules.check_end(expires_at, now)
            async with self._database.tenant(tenant_id) as conn:
                await quotas.take(conn, tenant_id, "api_keys")
                new = await self._add(
                    conn,
                    tenant_id,
                    name=name,
                    permissions=permissions,
                    expires_at=expires_at,
                    requests_per_minute=requests_per_minute,
                    maker=await _maker(conn, by, permissions),
                )
                done = trail.entry(
                    by,
                    "api-key.create",
                    ids.encode("key", new.key.id),
                    address,
                    name=name,
                    permissions=sorted(permissions),
                )
                await audit.add(conn, tenant_id, done)
        return new

    async def rotate(
        self,
        by: Principal,
        key_id: UUID,
        overlap: timedelta,
        versions: frozenset[int] | None = None,
        *,
        address: str | None = None,
    ) -> NewApiKey:
        """Make a key in the place of another, which goes on for a while and then ends.

        The new one has the same name, permissions, limit and end; it is the caller's. For as long
        as the older of the two is accepted the newer can't be rotated, so there are never more than
        two.

        Raises:
            NotFound: this tenant has no such key.
            PreconditionFailed: it has another version by now.
            Forbidden: it may do what the caller may not.
            Conflict: it has ended or was rotated, or the one before it is still accepted.
            Invalid: the overlap is out of range.
        """
        tenant_id = by.tenant_id
        shown = ids.encode("key", key_id)
        async with (
            trail.refusals(self._database, by, "api-key.rotate", shown, address),
            self._database.tenant(tenant_id) as conn,
        ):
            old = await store.get(conn, tenant_id, key_id, lock=True)
            if old is None:
                raise NotFound
            check(old.version, versions)
            now = self._clock()
            ends_at = rules.rotated_end(old.expires_at, now, overlap)
            await _check_rotatable(conn, old, now)
            permissions = frozenset(old.permissions)
            new = await self._add(
                conn,
                tenant_id,
                name=old.name,
                permissions=permissions,
                expires_at=old.expires_at,
                requests_per_minute=old.requests_per_minute,
                maker=await _maker(conn, by, permissions),
            )
            await store.replace(conn, tenant_id, key_id, new.key.id, ends_at)
            successor = ids.encode("key", new.key.id)
            done = trail.entry(by, "api-key.rotate", shown, address, rotated_to=successor)
            await audit.add(conn, tenant_id, done)
        return new

    async def page(self, tenant_id: UUID, window: Window) -> Slice[ApiKey]:
        """Return a page of keys, newest first."""
        async with self._database.tenant(tenant_id) as conn:
            return Slice.cut(await store.page(conn, tenant_id, window), window)

    async def get(self, tenant_id: UUID, key_id: UUID) -> ApiKey:
        """Return one key.

        Raises:
            NotFound: this tenant has no such key.
        """
        async with self._database.tenant(tenant_id) as conn:
            found = await store.get(conn, tenant_id, key_id)
        if found is None:
            raise NotFound
        return found

    async def revoke(
        self,
        tenant_id: UUID,
        key_id: UUID,
        versions: frozenset[int] | None = None,
        *,
        by: Principal | None = None,
        address: str | None = None,
    ) -> None:
        """End a key: refused everywhere within a second. Ending it again changes nothing.

        Raises:
            NotFound: this tenant has no such key.
            PreconditionFailed: it has another version by now.
        """
        async with self._database.tenant(tenant_id) as conn:
            found = await store.get(conn, tenant_id, key_id, lock=True)
            if found is None:
                raise NotFound
            check(found.version, versions)
            if found.revoked_at is None:
                await store.revoke(conn, tenant_id, key_id, self._clock())
                shown = ids.encode("key", key_id)
                done = trail.entry(by, "api-key.revoke", shown, address, name=found.name)
                await audit.add(conn, tenant_id, done)

    async def _add(
        self,
        conn: Connection,
        tenant_id: UUID,
        *,
        name: str,
        permissions: frozenset[str],
        expires_at: datetime | None,
        requests_per_minute: int | None,
        maker: UUID | None,
    ) -> NewApiKey:
        now = self._clock()
        text = rules.KeyText.new(tenant_id, ids.new(now.timestamp()))
        key = ApiKey(
            tenant_id=tenant_id,
            id=text.id,
            name=name,
            permissions=tuple(sorted(permissions)),
            created_at=now,
            expires_at=expires_at,
            last_used_at=None,
            revoked_at=None,
            created_by=maker,
            requests_per_minute=requests_per_minute,
        )
        await store.add(conn, key, text.hash)
        return NewApiKey(key, text.format(self._environment))


async def _maker(
    conn: Connection, by: Principal | None, permissions: frozenset[str]
) -> UUID | None:
    """Return the person behind a new key: whoever makes it, or made the key it is made with.

    Raises:
        Forbidden: by now, they may not do all that the key may.
    """
    if by is None:
        return None
    rights = await grants.current(conn, by)
    rules.check_permissions(permissions, rights.held, platform=by.tenant_id == PLATFORM)
    if by.actor.kind == "user":
        return by.actor.id
    key = await store.get(conn, by.tenant_id, by.actor.id)
    return None if key is None else key.created_by


async def _check_rotatable(conn: Connection, key: ApiKey, now: datetime) -> None:
    """Check that another key may take the place of this one.

    Raises:
        Conflict: it has ended or was rotated, or the one before it is still accepted.
    """
    if not rules.is_live(now=now, expires_at=key.expires_at, revoked_at=key.revoked_at):
        raise Conflict("That key has ended; make a new one.")
    if key.rotated_to is not None:
        raise Conflict("That key was rotated already; rotate the one that took its place.")
    before = await store.replaced_by(conn, key.tenant_id, key.id)
    if before is not None and rules.is_live(
        now=now, expires_at=before.expires_at, revoked_at=before.revoked_at
    ):
        raise Conflict("The key before it is still accepted; revoke that one first.")
