"""The use cases of event types. A write and the word that it happened are one transaction."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from crossdock import ids, merge_patch, versions
from crossdock.db import Databases
from crossdock.errors import Conflict, Invalid, NotFound, QuotaReached, Violation
from crossdock.event_types import rules, store
from crossdock.event_types.compatibility import against, compare
from crossdock.event_types.model import (
    Breach,
    Check,
    DetailedType,
    EventType,
    EventTypeEdit,
    SchemaVersion,
    Trial,
)
from crossdock.inbound.events.service import Events
from crossdock.outbox import store as outbox
from crossdock.paging import Slice, Window
from crossdock.validation import convert


class EventTypes:
    """Makes and changes a tenant's event types; gateways have a change within a second."""

    def __init__(
        self,
        database: Databases,
        events: Events,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Say where.

        Args:
            database: opened for the role `app`.
            events: reads what is stored.
            clock: for tests.
        """
        self._database = database
        self._events = events
        self._clock = clock

    async def create(
        self, tenant_id: UUID, name: str, edit: EventTypeEdit, schema: bytes | None
    ) -> DetailedType:
        """Make an event type.

        Raises:
            Invalid: the schema is none that payloads can be held to, or one is missing.
            Conflict: another has that name.
            QuotaReached: there are as many as there may be, or their schemas are too large.
        """
        rules.check_mode(edit, has_schema=schema is not None)
        weight = 0 if schema is None else await _weigh(schema)
        now = self._clock()
        made = EventType(
            tenant_id=tenant_id,
            id=ids.new(now.timestamp()),
            name=name,
            description=edit.description,
            mode=edit.mode,
            compatibility=edit.compatibility,
            latest=0 if schema is None else 1,
            version=1,
            created_at=now,
            updated_at=now,
        )
        async with self._database.tenant(tenant_id) as conn:
            await self._reserve(conn, made, weight, more=1)
            if not await store.add(conn, made):
                raise Conflict("Another event type has that name.")
            text = await self._add_version(conn, made, schema, weight)
            await outbox.add(conn, tenant_id, "type", str(made.id))
        return DetailedType(made, text)

    async def page(self, tenant_id: UUID, window: Window) -> Slice[EventType]:
        """Return a page of event types, newest first."""
        async with self._database.tenant(tenant_id) as conn:
            return Slice.cut(await store.page(conn, tenant_id, window), window)

    async def get(self, tenant_id: UUID, type_id: UUID) -> DetailedType:
        """Return one event type with its newest schema.

        Raises:
            NotFound: this tenant has no such event type.
        """
        async with self._database.tenant(tenant_id) as conn:
            found = await store.detailed(conn, tenant_id, type_id)
        if found is None:
            raise NotFound
        return found

    async def patch(
        self,
        tenant_id: UUID,
        type_id: UUID,
        changes: Mapping[str, Any],
        allowed: frozenset[int] | None,
        *,
        schema: bytes | None = None,
        force: bool = False,
    ) -> DetailedType:
        """Merge changes (RFC 7396) into what is editable of an event type; replace its schema.

        Args:
            tenant_id: Whose it is.
            type_id: Which.
            changes: A merge patch of `EventTypeEdit`.
            allowed: Versions of which one must be current, or `None` for any.
            schema: The new one, which is not merged: it is another version.
            force: Take it whatever the policy says.

        Raises:
            NotFound: this tenant has no such event type.
            PreconditionFailed: it has another version by now.
            Invalid: the outcome would be no event type.
            Incompatible: the type's policy does not allow that change of the schema.
            QuotaReached: the tenant's schemas together would be too large.
        """
        weight = 0 if schema is None else await _weigh(schema)
        async with self._database.tenant(tenant_id) as conn:
            if schema is not None:
                await store.lock_all(conn, tenant_id)
            before = await self._locked(conn, tenant_id, type_id, allowed)
            current = await store.get_version(conn, tenant_id, type_id, before.latest)
            patched = merge_patch.apply(msgspec.to_builtins(rules.editable(before)), changes)
            edit = convert(patched, EventTypeEdit)
            rules.check_mode(edit, has_schema=bool(schema or current))
            after = replace(before, **msgspec.structs.asdict(edit))
            text = None if current is None else current.schema
            is_new = schema is not None and schema.decode() != text
            if is_new:
                after = replace(after, latest=before.latest + 1)
            if after == before:
                return DetailedType(before, text)
            after = replace(after, version=before.version + 1, updated_at=self._clock())
            if is_new and schema is not None:
                await self._reserve(conn, after, weight)
                if text is not None and not force:
                    await asyncio.to_thread(
                        rules.check_change, text, schema.decode(), edit.compatibility
                    )
                text = await self._add_version(conn, after, schema, weight)
            await store.save(conn, after)
            await outbox.add(conn, tenant_id, "type", str(type_id))
        return DetailedType(after, text)

    async def delete(self, tenant_id: UUID, type_id: UUID, allowed: frozenset[int] | None) -> None:
        """Delete an event type: its events are taken as they come from then on. They stay.

        Raises:
            NotFound: this tenant has no such event type.
            PreconditionFailed: it has another version by now.
        """
        async with self._database.tenant(tenant_id) as conn:
            await self._locked(conn, tenant_id, type_id, allowed)
            await store.remove(conn, tenant_id, type_id)
            await outbox.add(conn, tenant_id, "type", str(type_id))

    async def page_versions(
        self, tenant_id: UUID, type_id: UUID, window: Window
    ) -> Slice[SchemaVersion]:
        """Return a page of an event type's schemas, newest first.

        Raises:
            NotFound: this tenant has no such event type.
        """
        async with self._database.tenant(tenant_id) as conn:
            if await store.get(conn, tenant_id, type_id) is None:
                raise NotFound
            rows = await store.page_versions(conn, tenant_id, type_id, window)
        return Slice.cut(rows, window)

    async def get_version(self, tenant_id: UUID, type_id: UUID, number: int) -> SchemaVersion:
        """Return one schema of an event type.

        Raises:
            NotFound: this tenant has no such event type, or it no such schema any more.
        """
        async with self._database.tenant(tenant_id) as conn:
            found = await store.get_version(conn, tenant_id, type_id, number)
        if found is None:
            raise NotFound
        return found

    async def check(self, tenant_id: UUID, type_id: UUID, schema: bytes) -> Check:
        """Tell what a new schema would mean, and change nothing.

        Raises:
            NotFound: this tenant has no such event type.
            Invalid: that is no schema that payloads can be held to.
        """
        compiled = await asyncio.to_thread(rules.compiled, schema)
        found = await self.get(tenant_id, type_id)
        policy = found.event_type.compatibility
        differences = []
        if found.schema is not None:
            differences = await asyncio.to_thread(compare, found.schema, schema.decode())
        async with self._database.tenant(tenant_id) as conn:
            sizes = await store.newest_events(conn, tenant_id, found.event_type.name, rules.SAMPLE)
        bodies = await self._events.bodies(tenant_id, rules.sample(sizes))
        trial: Trial = await asyncio.to_thread(rules.tried, compiled, bodies, len(sizes))
        return Check(
            allowed=not against(differences, policy),
            policy=policy,
            differences=tuple(differences),
            stored=trial,
        )

    async def validate(
        self, tenant_id: UUID, type_id: UUID, body: bytes, number: int | None = None
    ) -> tuple[int, Sequence[Breach]]:
        """Hold a payload to a schema of an event type: the newest, or that of a number.

        Returns:
            The schema's number, and where the payload breaks it.

        Raises:
            NotFound: this tenant has no such event type.
            Invalid: it has no schema of that number, or none at all.
        """
        async with self._database.tenant(tenant_id) as conn:
            found = await store.get(conn, tenant_id, type_id)
            if found is None:
                raise NotFound
            chosen = found.latest if number is None else number
            schema = await store.get_version(conn, tenant_id, type_id, chosen)
        if schema is None:
            words = "This event type has no such schema." if number else "It has no schema yet."
            raise Invalid(None, Violation("/version", words))
        compiled = await asyncio.to_thread(rules.compiled, schema.schema.encode())
        return chosen, await asyncio.to_thread(rules.breaches, compiled, body)

    async def _reserve(
        self, conn: store.Connection, event_type: EventType, weight: int, *, more: int = 0
    ) -> None:
        """Hold the tenant's types while one is added or gets another schema, if there is room."""
        await store.lock_all(conn, event_type.tenant_id)
        count, others = await store.totals(conn, event_type.tenant_id, event_type.id)
        if count + more > rules.MAX_TYPES:
            raise QuotaReached(f"A tenant has {rules.MAX_TYPES} event types at most.")
        if others + weight > rules.MAX_WEIGHT:
            raise QuotaReached("The schemas of this tenant's event types are too large together.")

    async def _add_version(
        self, conn: store.Connection, event_type: EventType, schema: bytes | None, weight: int
    ) -> str | None:
        """Add a schema as an event type's newest; return its text."""
        if schema is None:
            return None
        made = SchemaVersion(
            number=event_type.latest, schema=schema.decode(), created_at=event_type.updated_at
        )
        await store.add_version(conn, event_type, made, weight=weight, kept=rules.KEPT_VERSIONS)
        return made.schema

    async def _locked(
        self,
        conn: store.Connection,
        tenant_id: UUID,
        type_id: UUID,
        allowed: frozenset[int] | None,
    ) -> EventType:
        found = await store.lock(conn, tenant_id, type_id)
        if found is None:
            raise NotFound
        versions.check(found.version, allowed)
        return found


async def _weigh(schema: bytes) -> int:
    """Return about how many bytes a schema takes compiled.

    Raises:
        Invalid: it is none that payloads can be held to.
    """
    compiled = await asyncio.to_thread(rules.compiled, schema)
    return compiled.size
