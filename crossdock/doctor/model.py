"""What an examination looks at, and what it says."""

from datetime import datetime
from typing import Literal

import msgspec

Verdict = Literal["ok", "warning", "wrong", "unknown"]


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at."""

    check: str
    verdict: Verdict
    found: str
    mend: str = ""
    """What to do about it; empty where all is well."""


class RoleFacts(msgspec.Struct, frozen=True):
    """A role of ours, as the server has it."""

    name: str
    is_superuser: bool
    bypasses_rls: bool
    creates_roles: bool
    creates_databases: bool


class TableFacts(msgspec.Struct, frozen=True):
    """A table or partition of our schema."""

    name: str
    has_tenant: bool
    is_partition: bool
    rls_forced: bool
    app_may: bool
    """Whether `crossdock_app` has any right on it."""


class DatabaseFacts(msgspec.Struct, frozen=True):
    """PostgreSQL, as it answered."""

    version: int
    """As `server_version_num` has it: 180006."""
    revision: str | None
    newest_revision: str
    fsync: bool
    now: datetime
    roles: tuple[RoleFacts, ...]
    tables: tuple[TableFacts, ...]
    partitions_end: datetime | None
    """The end of the partitions without a gap from now; `None` where there is none for now."""
    partitions_known: bool
    """Whether we had the role that may ask for them."""
