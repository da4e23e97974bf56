"""Tenants by the thousand, and some people to sign in."""

import hashlib
import secrets
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import asyncpg
import msgspec
from argon2 import PasswordHasher

from bench.ingest.webhooks import SECRET
from crossdock import ids
from crossdock.identity import emails
from crossdock.inbound.sources.sealing import secret_context, token_context
from crossdock.secrets import model
from crossdock.secrets.model import SealedSecret
from crossdock.secrets.seal import Sealer

PASSWORD: Final = "a password for the bench"
SLUG: Final = "bench-0"

_TENANTS: Final = ("id", "slug", "name", "plan")
_PLACEMENTS: Final = ("tenant_id", "slug", "name", "shard")
_SOURCES: Final = (
    "tenant_id",
    "id",
    "name",
    "scheme",
    "recipe",
    "secrets",
    "token_hash",
    "token_sealed",
    "max_body_bytes",
)


class Stored(msgspec.Struct, frozen=True):
    """What was stored."""

    tokens: list[str]
    """Of one source a tenant."""
    source_id: UUID
    """Of the first tenant, whose people these are."""
    people: list[str]
    """Their addresses."""


async def store(admin: asyncpg.Connection, sealer: Sealer, *, tenants: int, people: int) -> Stored:
    """Store tenants with a source each, and people of the first one."""
    made = [(ids.new(), f"bench-{number}") for number in range(tenants)]
    await _copy(admin, "tenants", _TENANTS, [(i, slug, slug, "unlimited") for i, slug in made])
    await _copy(admin, "placements", _PLACEMENTS, [(i, slug, slug, 0) for i, slug in made])
    tokens = [secrets.token_urlsafe(32) for _ in made]
    rows = [_source(sealer, i, token) for (i, _), token in zip(made, tokens, strict=True)]
    await _copy(admin, "sources", _SOURCES, rows)
    addresses = [f"person-{number}@example.com" for number in range(people)]
    await _people(admin, made[0][0], addresses)
    source_id = rows[0][1]
    assert isinstance(source_id, UUID)
    return Stored(tokens, source_id, addresses)


async def _people(admin: asyncpg.Connection, tenant_id: UUID, addresses: list[str]) -> None:
    password_hash = PasswordHasher(parallelism=1).hash(PASSWORD)
    users = [(tenant_id, ids.new(), address) for address in addresses]
    await _copy(
        admin,
        "users",
        ("tenant_id", "id", "email", "name", "password_hash", "roles", "created_at"),
        [(*user, "Person", password_hash, ["owner"], datetime.now(UTC)) for user in users],
    )
    await _copy(
        admin,
        "logins",
        ("tenant_id", "user_id", "email_hash"),
        [(tenant, user, emails.hash_of(address)) for tenant, user, address in users],
    )


async def _copy(
    admin: asyncpg.Connection, table: str, columns: tuple[str, ...], rows: list[tuple[object, ...]]
) -> None:
    await admin.copy_records_to_table(table, schema_name="crossdock", columns=columns, records=rows)


def _source(sealer: Sealer, tenant_id: UUID, token: str) -> tuple[object, ...]:
    source_id = ids.new()
    secret = sealer.seal(SECRET.encode(), context=secret_context(tenant_id, source_id))
    return (
        tenant_id,
        source_id,
        "bench",
        "stripe",
        '{"scheme": "stripe"}',
        model.encode((SealedSecret("aaaaaaaa", secret),)),
        hashlib.sha256(token.encode()).digest(),
        sealer.seal(token.encode(), context=token_context(tenant_id, source_id)),
        262_144,
    )
