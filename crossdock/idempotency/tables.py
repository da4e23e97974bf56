"""The table of idempotency keys and of the answers that were given."""

from typing import Final

from sqlalchemy import Column, Index, LargeBinary, SmallInteger, Text

from crossdock.db.schema import moment, one_of, tenant_table

idempotency_keys: Final = tenant_table(
    "idempotency_keys",
    Column("digest", LargeBinary, primary_key=True, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("state", Text, nullable=False, server_default="running"),
    Column("status", SmallInteger),
    Column("answer", LargeBinary),
    moment("created_at", now=True),
    moment("expires_at"),
    one_of("state", "running", "done", "unknown"),
    Index(None, "expires_at"),
    audit="none: what the requests did is audited",
)
"""`digest` is of a key and of whose it is, `fingerprint` of the request that it stands for.

`answer` is sealed. `unknown` are those whose work broke off where nobody can tell what it did.
"""
