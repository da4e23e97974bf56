"""The use cases of API keys."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from crossdock import ids
from crossdock.access import rules, store
from crossdock.access.model import ApiKey, NewApiKey
from crossdock.db import Database
from crossdock.errors import NotFound
from crossdock.paging import Slice, Window


class ApiKeys:
    """Makes, lists and ends a tenant's API keys."""

    def __init__(
        self,
        database: Database,
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
    ) -> NewApiKey:
        """Make a key; its text is in the answer and nowhere else.

        Args:
            tenant_id: Whose key it is.
            name: For people, to tell keys apart.
            permissions: What it may do.
            held: What its maker may do; nobody grants more.
            expires_at: When it ends by itself, if it does.

        Raises:
            Invalid: a permission that does not exist, or an end that is none.
            Forbidden: a permission that its maker lacks.
        """
        rules.check_permissions(permissions, held)
        now = self._clock()
        if expires_at is not None:
            rules.check_end(expires_at, now)
        text = rules.KeyText(tenant_id, ids.new(now.timestamp()), os.urandom(rules.SECRET_BYTES))
        key = ApiKey(
            tenant_id=tenant_id,
            id=text.key_id,
            name=name,
            permissions=tuple(sorted(permissions)),
            created_at=now,
            expires_at=expires_at,
            last_used_at=None,
            revoked_at=None,
        )
        async with self._database.tenant(tenant_id) as conn:
            await store.add(conn, key, text.secret_hash)
        return NewApiKey(key, text.format(self._environment))

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

    async def revoke(self, tenant_id: UUID, key_id: UUID) -> None:
        """End a key: refused everywhere within a second. Ending it again changes nothing.

        Raises:
            NotFound: this tenant has no such key.
        """
        async with self._database.tenant(tenant_id) as conn:
            found = await store.revoke(conn, tenant_id, key_id, self._clock())
        if not found:
            raise NotFound
