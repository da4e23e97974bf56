"""Tables of people and of what they sign in with."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from crossdock.db.schema import OWN_RECORD, key, metadata, moment, one_of, tenant_table


def _of_user() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant_id", "user_id"],
        ["crossdock.users.tenant_id", "crossdock.users.id"],
        ondelete="CASCADE",
    )


users: Final = tenant_table(
    "users",
    key(),
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("password_hash", Text),
    Column("state", Text, nullable=False, server_default="active"),
    Column("roles", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    moment("not_before", nullable=True),
    Column("totp_sealed", LargeBinary),
    moment("totp_confirmed_at", nullable=True),
    Column("totp_step", BigInteger),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    moment("created_at", now=True),
    moment("updated_at", now=True),
    moment("last_login_at", nullable=True),
    ForeignKeyConstraint(["tenant_id"], ["crossdock.tenants.id"]),
    UniqueConstraint("tenant_id", "email"),
    one_of("state", "active", "disabled"),
    audit="full",
)
"""`email` is normalised; `not_before` ends every token made for the user before it; a seed of a
second factor counts once it is confirmed, and `totp_step` is the last step that was used."""

recovery_codes: Final = tenant_table(
    "recovery_codes",
    key("user_id"),
    Column("hash", LargeBinary, primary_key=True, nullable=False),
    moment("used_at", nullable=True),
    _of_user(),
    audit="full",
)

sessions: Final = tenant_table(
    "sessions",
    key(),
    Column("user_id", Uuid, nullable=False),
    moment("created_at", now=True),
    moment("last_used_at", now=True),
    moment("idle_ends_at"),
    moment("ends_at"),
    moment("revoked_at", nullable=True),
    Column("revoked_reason", Text),
    Column("user_agent", Text, nullable=False, server_default=""),
    Column("address", Text, nullable=False, server_default=""),
    _of_user(),
    Index(None, "tenant_id", "user_id"),
    audit="full",
)
"""A session is a family of refresh tokens. Whoever changes it locks its row first."""

refresh_tokens: Final = tenant_table(
    "refresh_tokens",
    Column("hash", LargeBinary, primary_key=True, nullable=False),
    Column("session_id", Uuid, nullable=False),
    Column("parent_hash", LargeBinary),
    moment("created_at", now=True),
    moment("used_at", nullable=True),
    ForeignKeyConstraint(
        ["tenant_id", "session_id"],
        ["crossdock.sessions.tenant_id", "crossdock.sessions.id"],
        ondelete="CASCADE",
    ),
    Index(None, "tenant_id", "session_id"),
    audit="none: sessions are, and these are only their steps",
)

password_resets: Final = tenant_table(
    "password_resets",
    Column("hash", LargeBinary, primary_key=True, nullable=False),
    Column("user_id", Uuid, nullable=False),
    moment("created_at", now=True),
    moment("expires_at"),
    moment("used_at", nullable=True),
    _of_user(),
    Index(None, "tenant_id", "user_id"),
    audit="full",
)

logins: Final = Table(
    "logins",
    metadata,
    Column("tenant_id", Uuid, primary_key=True, nullable=False),
    Column("user_id", Uuid, primary_key=True, nullable=False),
    Column("email_hash", LargeBinary, nullable=False),
    Index(None, "email_hash"),
    info={"tenant": "tenant_id", "audit": "none: it follows the users", "control": True},
)
"""Where an e-mail address may sign in. The address itself stays on its tenant's shard."""

signups: Final = Table(
    "signups",
    metadata,
    Column("tenant_id", Uuid, primary_key=True, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("tenant_name", Text, nullable=False),
    Column("slug", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("token_hash", LargeBinary, nullable=False),
    moment("expires_at"),
    moment("created_at", now=True),
    moment("verified_at", nullable=True),
    UniqueConstraint("token_hash"),
    info={
        "tenant": "tenant_id",
        "audit": "none: no tenant is there yet; it is, once the address is verified",
        "global_unique": {"signups_token_hash_key": "256 random bits, so it tells nobody anything"},
        "control": True,
    },
)
"""Tenants to be: their ids are made here, so that making them can be begun again."""

signing_keys: Final = Table(
    "signing_keys",
    metadata,
    Column("id", Text, primary_key=True, nullable=False),
    Column("algorithm", Text, nullable=False),
    Column("public", JSONB, nullable=False),
    Column("private_sealed", LargeBinary),
    moment("signs_from"),
    moment("ends_at", nullable=True),
    moment("created_at", now=True),
    info={"audit": OWN_RECORD, "control": True},
)
"""Keys that sign access tokens, by `kid`."""

throttles: Final = Table(
    "throttles",
    metadata,
    Column("key", LargeBinary, primary_key=True, nullable=False),
    moment("free_at"),
    Index(None, "free_at"),
    info={"audit": "none: counters that are worth nothing after an hour", "control": True},
)
"""When the next try is free (GCRA's theoretical arrival time), by a hash of what is limited."""
