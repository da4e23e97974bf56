"""The use cases of sources. A write and the word that it happened are one transaction."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import msgspec
from msgspec.structs import replace

from crossdock import ids, merge_patch, native, presets
from crossdock.db import Databases
from crossdock.errors import Conflict, NotFound
from crossdock.inbound.model import (
    OpenedSource,
    PauseMode,
    Scheme,
    Source,
    SourceEdit,
    SourceScheme,
)
from crossdock.inbound.sources import proving, rules, store
from crossdock.inbound.sources.keyring import Keyring, generate, new_token
from crossdock.inbound.sources.own import own_source
from crossdock.inbound.sources.proving import Proof
from crossdock.outbox import store as outbox
from crossdock.paging import Slice, Window
from crossdock.secrets import rules as rotation
from crossdock.secrets.seal import Sealer
from crossdock.tenancy import quotas
from crossdock.validation import convert


class DataKeys(Protocol):
    """Who makes and knows the keys that tenants' payloads are sealed with."""

    async def current(self, tenant_id: UUID) -> object:
        """Return a tenant's data key; make one where it has none."""


class Sources:
    """Makes and changes a tenant's sources."""

    def __init__(
        self,
        database: Databases,
        sealer: Sealer,
        *,
        max_body_bytes: int,
        data_keys: DataKeys | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Work on a tenant's sources.

        Args:
            database: Where they are.
            sealer: Seals their secrets.
            max_body_bytes: The most that a gateway takes.
            data_keys: Needed once a source is to encrypt.
            clock: Tells when.
        """
        self._database = database
        self._keyring = Keyring(sealer, clock)
        self._max_body_bytes = max_body_bytes
        self._data_keys = data_keys
        self._clock = clock

    async def create(
        self,
        tenant_id: UUID,
        scheme: Scheme | None,
        edit: SourceEdit,
        secrets: Sequence[str],
        *,
        preset: str | None = None,
        proof: Proof = proving.UNCHECKED,
    ) -> OpenedSource:
        """Make a source, with a secret of its own where none is given and the scheme has any.

        Args:
            tenant_id: Whose it will be.
            scheme: How its sender signs; the preset's way, if there is one.
            edit: The rest of it.
            secrets: The current one first; the others verify for a day more, as after a rotation.
            preset: The entry of the catalogue from which it gets what it is not given.
            proof: Why to believe that its recipe is right.

        Raises:
            Invalid: the recipe and the secrets are nothing to verify by.
            RecipeMismatch: an example was given, and does not verify.
            Conflict: another source has that name.
            QuotaReached: the tenant has as many sources as it may.
        """
        chosen = presets.chosen(preset, scheme, edit.recipe)
        scheme = chosen.scheme
        edit = rules.settled(replace(edit, recipe=chosen.recipe))
        made = None if secrets else generate(scheme)
        texts = tuple(secrets) or ((made,) if made else ())
        rules.check_recipe(scheme, edit.recipe, texts)
        if not chosen.is_proven or proof.example is not None:
            await proving.check(scheme, edit.recipe, secrets, proof)
        source = self._new(tenant_id, scheme, edit, texts, preset)
        await self._provide_key(tenant_id, wanted=edit.encrypts)
        async with self._database.tenant(tenant_id) as conn:
            await quotas.take(conn, tenant_id, "sources")
            if not await store.add_source(conn, source):
                raise Conflict("Another source has that name.")
            await outbox.add(conn, tenant_id, "source", str(source.id))
        return replace(self._keyring.open(source), new_secret=made)

    async def own(self, tenant_id: UUID) -> Source:
        """Return the source through which the tenant publishes itself; make it where there is none.

        It counts for no quota. Of several who ask at once, all get the same one.
        """

        def make(name: str) -> Source:
            return self._new(tenant_id, rules.OWN, SourceEdit(name=name), (), None)

        return await own_source(self._database, tenant_id, make)

    async def page(self, tenant_id: UUID, window: Window) -> Slice[OpenedSource]:
        """Return a page of sources, newest first."""
        async with self._database.tenant(tenant_id) as conn:
            rows = await store.page_sources(conn, tenant_id, window)
        return Slice.cut([self._keyring.open(row) for row in rows], window)

    async def get(self, tenant_id: UUID, source_id: UUID) -> OpenedSource:
        """Return one source.

        Raises:
            NotFound: this tenant has no such source.
        """
        async with self._database.tenant(tenant_id) as conn:
            found = await store.get_source(conn, tenant_id, source_id)
        if found is None:
            raise NotFound
        return self._keyring.open(found)

    async def patch(
        self,
        tenant_id: UUID,
        source_id: UUID,
        changes: Mapping[str, Any],
        versions: frozenset[int] | None,
        *,
        proof: Proof = proving.UNCHECKED,
    ) -> OpenedSource:
        """Merge changes (RFC 7396) into what is editable of a source.

        Args:
            tenant_id: Whose source it is.
            source_id: Which.
            changes: A merge patch of `SourceEdit`.
            versions: Those of which one must be current, or `None` for any.
            proof: Why to believe that a new recipe is right.

        Raises:
            NotFound: this tenant has no such source.
            PreconditionFailed: it has another version by now.
            Invalid: the outcome would be no source.
            RecipeMismatch: an example was given, and does not verify.
            Conflict: another source has the new name.
        """
        await self._provide_key(tenant_id, wanted=changes.get("encrypts") is True)
        async with self._changing(tenant_id, source_id, versions) as change:
            before = rules.editable(change.source)
            merged = merge_patch.apply(msgspec.to_builtins(before), changes)
            after = rules.settled(convert(merged, SourceEdit))
            await self._check(change.source, after, proof)
            if after != before:
                change.source = replace(
                    change.source,
                    name=after.name,
                    recipe=after.recipe,
                    max_body_bytes=rules.check_size(after.max_body_bytes, self._max_body_bytes),
                    webhooks_per_minute=after.webhooks_per_minute,
                    content_types=after.content_types,
                    indexed_fields=after.indexed_fields,
                    encrypts=after.encrypts,
                )
        return self._keyring.open(change.source)

    async def delete(
        self, tenant_id: UUID, source_id: UUID, versions: frozenset[int] | None
    ) -> None:
        """Delete a source: its URL answers as if it had never been. Its events stay.

        What it held back was accepted, and is delivered.

        Raises:
            NotFound: this tenant has no such source.
            PreconditionFailed: it has another version by now.
            Conflict: it is the tenant's own, which knows what was published by its id.
        """
        async with self._changing(tenant_id, source_id, versions) as change:
            if change.source.scheme == rules.OWN:
                raise Conflict("The source of your own events can be paused, and not deleted.")
            if change.source.state == "paused":
                await store.add_release(change.conn, tenant_id, source_id)
            change.source = replace(change.source, state="deleted", secrets=(), token_sealed=b"")

    async def pause(
        self,
        tenant_id: UUID,
        source_id: UUID,
        mode: PauseMode = "refuse",
        versions: frozenset[int] | None = None,
    ) -> OpenedSource:
        """Refuse a source's webhooks (its senders get 403), or take them and hold them back.

        To repeat it changes nothing; with the other mode, it changes that.

        Raises:
            NotFound: this tenant has no such source.
            PreconditionFailed: it has another version by now.
            Conflict: it was disabled by the operator.
        """
        async with self._changing(tenant_id, source_id, versions) as change:
            change.source = rules.paused(change.source, mode)
        return self._keyring.open(change.source)

    async def resume(
        self, tenant_id: UUID, source_id: UUID, versions: frozenset[int] | None = None
    ) -> OpenedSource:
        """Take a source's webhooks again, and have delivered what was held back.

        Raises:
            NotFound: this tenant has no such source.
            PreconditionFailed: it has another version by now.
            Conflict: it was disabled by the operator.
        """
        async with self._changing(tenant_id, source_id, versions) as change:
            if change.source.state == "paused":
                # Whatever its mode is now: it may have been the other one before.
                await store.add_release(change.conn, tenant_id, source_id)
            change.source = rules.resumed(change.source)
        return self._keyring.open(change.source)

    async def rotate_secret(
        self,
        tenant_id: UUID,
        source_id: UUID,
        secret: str | None,
        overlap: timedelta,
        versions: frozenset[int] | None = None,
    ) -> OpenedSource:
        """Make a given or a new secret the current one; the old ones verify for `overlap` more.

        Raises:
            NotFound: this tenant has no such source.
            PreconditionFailed: it has another version by now.
            Invalid: the secret can't be used with the scheme, or the overlap is out of range.
            Conflict: the scheme has no secrets, or there would be too many.
        """
        now = self._clock().timestamp()
        async with self._changing(tenant_id, source_id, versions) as change:
            source = change.source
            if source.scheme in {"none", rules.OWN}:
                raise Conflict(f"A source of the scheme {source.scheme} has no secret to rotate.")
            made = native.generate_secret(source.scheme) if secret is None else None
            chosen = secret or made or ""
            rules.check_recipe(source.scheme, source.recipe, (chosen,), pointer="/secret")
            sealed = self._keyring.secret(tenant_id, source_id, chosen)
            secrets = rotation.rotate(source.secrets, sealed, now=now, overlap=overlap)
            change.source = replace(source, secrets=secrets)
        return replace(self._keyring.open(change.source), new_secret=made)

    async def revoke_secret(
        self,
        tenant_id: UUID,
        source_id: UUID,
        secret_id: str,
        versions: frozenset[int] | None = None,
    ) -> None:
        """End one of the overlapping secrets at once.

        Raises:
            NotFound: this tenant has no such source, or it no such live secret.
            PreconditionFailed: it has another version by now.
            Conflict: it is the current secret.
        """
        now = self._clock().timestamp()
        async with self._changing(tenant_id, source_id, versions) as change:
            secrets = rotation.revoke(change.source.secrets, secret_id, now=now)
            change.source = replace(change.source, secrets=secrets)

    def live_secrets(self, source: Source) -> list[str]:
        """Return the secrets that verify a source's webhooks now; only for signing and checking."""
        return self._keyring.live(source)

    async def _check(self, source: Source, after: SourceEdit, proof: Proof) -> None:
        """Check that what a source is about to become still verifies."""
        secrets = self._keyring.live(source)
        rules.check_recipe(source.scheme, after.recipe, secrets)
        if source.scheme == rules.OWN:
            return
        if proof.example is not None or after.recipe.hmac != source.recipe.hmac:
            await proving.check(source.scheme, after.recipe, secrets, proof)

    async def _provide_key(self, tenant_id: UUID, *, wanted: bool) -> None:
        """Have the key that a source is about to encrypt with: gateways only look it up."""
        if wanted and self._data_keys is not None:
            await self._data_keys.current(tenant_id)

    def _new(
        self,
        tenant_id: UUID,
        scheme: SourceScheme,
        edit: SourceEdit,
        secrets: Sequence[str],
        preset: str | None,
    ) -> Source:
        now = self._clock()
        source_id = ids.new(now.timestamp())
        token = new_token()
        return Source(
            tenant_id=tenant_id,
            id=source_id,
            name=edit.name,
            scheme=scheme,
            state="active",
            recipe=edit.recipe,
            secrets=self._keyring.secrets(tenant_id, source_id, secrets),
            token_hash=rules.token_hash(token),
            token_sealed=self._keyring.token(tenant_id, source_id, token),
            max_body_bytes=rules.check_size(edit.max_body_bytes, self._max_body_bytes),
            webhooks_per_minute=edit.webhooks_per_minute,
            version=1,
            created_at=now,
            updated_at=now,
            preset=preset,
            content_types=edit.content_types,
            indexed_fields=edit.indexed_fields,
            encrypts=edit.encrypts,
        )

    @asynccontextmanager
    async def _changing(
        self, tenant_id: UUID, source_id: UUID, versions: frozenset[int] | None
    ) -> AsyncIterator["_Change"]:
        """Hold a source while the block changes it; a changed one is written as a new version."""
        async with self._database.tenant(tenant_id) as conn:
            found = await store.lock_source(conn, tenant_id, source_id)
            if found is None:
                raise NotFound
            rules.check_version(found.version, versions)
            change = _Change(found, conn)
            yield change
            if change.source != found:
                change.source = replace(
                    change.source, version=found.version + 1, updated_at=self._clock()
                )
                await store.save_source(conn, change.source)
                await outbox.add(conn, tenant_id, "source", str(source_id))


class _Change:
    def __init__(self, source: Source, conn: store.Connection) -> None:
        self.source = source
        self.conn = conn
