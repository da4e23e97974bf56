"""What is right, what is not, and how to mend it; facts in, findings out."""

import base64
import binascii
import re
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Final, get_args

import msgspec

from crossdock.bus.facts import BrokerFacts, StreamFacts
from crossdock.config import DatabaseRole, KeySettings
from crossdock.db.roles import role_name
from crossdock.doctor.model import DatabaseFacts, Finding, Verdict

OLDEST_POSTGRES: Final = 150_000
OLDEST_NATS: Final = (2, 12, 3)
KEY_BYTES: Final = 32
CLOCK_WARNING: Final = timedelta(seconds=1)
CLOCK_WRONG: Final = timedelta(seconds=30)
PARTITIONS_WARNING: Final = timedelta(days=2)
FILL_WARNING: Final = 0.5
FILL_WRONG: Final = 0.9
DISK_WRONG: Final = 1024**3
ROLES: Final = get_args(DatabaseRole)


def database(facts: DatabaseFacts, now: datetime) -> Iterator[Finding]:
    """Judge PostgreSQL; `now` is this machine's clock when it answered."""
    text = f"PostgreSQL {facts.version // 10_000}.{facts.version % 10_000}"
    if facts.version < OLDEST_POSTGRES:
        yield Finding("database version", "wrong", text, "Upgrade to PostgreSQL 15 or newer.")
    else:
        yield Finding("database version", "ok", text)
    yield _revision(facts)
    if not facts.fsync:
        yield Finding(
            "database durability",
            "wrong",
            "fsync is off: a power cut can destroy everything",
            "Set fsync = on in postgresql.conf and reload.",
        )
    yield _clock(facts.now - now)
    yield from _roles(facts)
    yield from _isolation(facts)
    yield _partitions(facts, now)


def broker(facts: BrokerFacts) -> Iterator[Finding]:
    """Judge NATS and its streams."""
    found = tuple(int(part) for part in re.findall(r"\d+", facts.version)[:3])
    text = f"NATS {facts.version}"
    if found < OLDEST_NATS:
        yield Finding("broker version", "wrong", text, "Upgrade to NATS 2.12.3 or newer.")
    else:
        yield Finding("broker version", "ok", text)
    for stream in facts.streams:
        yield from _stream(stream)
    yield _sync(facts)


def consumers(facts: BrokerFacts, users: Collection[str] | None) -> Finding:
    """Judge the internal consumers; `users` are those who may sign in, where that is known."""
    check = "internal consumers"
    names = {reader.name for reader in facts.readers}
    lost = sorted(set(users or ()) - names)
    if lost:
        return Finding(
            check,
            "wrong",
            f"no durable consumer on EVENTS for: {', '.join(lost)}",
            "Take each away by `crossdock nats user remove`, and add it again.",
        )
    strangers = sorted(names - set(users)) if users is not None else []
    if strangers:
        return Finding(
            check,
            "warning",
            f"nobody may sign in as: {', '.join(strangers)}",
            "Take each away by `crossdock nats user remove`.",
        )
    if not facts.readers:
        return Finding(check, "ok", "none")
    last = max(facts.readers, key=lambda one: one.waiting)
    found = f"{len(names)}, the last of them {last.waiting} events behind ({last.name})"
    return Finding(check, "ok", found)


def keys(settings: KeySettings) -> Iterator[Finding]:
    """Judge the sealing keys; they are never shown."""
    named: dict[str, str | None] = msgspec.to_builtins(settings)
    for name, text in named.items():
        check = f"key of {name}"
        variable = f"CROSSDOCK_KEYS__{name.upper()}"
        if text is None:
            yield Finding(check, "unknown", "not given here", f"Set {variable} to check it.")
        elif _key_length(text) != KEY_BYTES:
            yield Finding(
                check,
                "wrong",
                f"not {KEY_BYTES} bytes in base64",
                f"Set {variable} to what `openssl rand -base64 32` prints. What was sealed under"
                " another key can't be opened with it.",
            )
        else:
            yield Finding(check, "ok", f"{KEY_BYTES} bytes")
    given = [text for text in named.values() if text is not None]
    if len(set(given)) < len(given):
        yield Finding(
            "keys",
            "wrong",
            "some are the same, so a worker can open what only gateways should",
            "Make a key of its own for each.",
        )


def program(name: str, url: str, *, ready: bool) -> Finding:
    """Judge a gateway or worker by what it says of itself."""
    if ready:
        return Finding(name, "ok", "ready")
    components = url.replace("/ready", "/components")
    return Finding(name, "wrong", "not ready", f"See {components} and its log.")


def disk(free: int, reserved: int) -> Finding:
    """Judge the space left on the data folder's disk, in bytes, against what streams may take."""
    text = f"{free / 1024**3:.1f} GiB free"
    if free < DISK_WRONG:
        return Finding("disk", "wrong", text, "Make room: PostgreSQL and NATS stop when it ends.")
    if free < reserved:
        return Finding(
            "disk",
            "warning",
            f"{text}, and the streams may still grow by {reserved / 1024**3:.1f} GiB",
            "Make room, or lower CROSSDOCK_NATS__INGEST_MAX_BYTES and …__EVENTS_MAX_BYTES.",
        )
    return Finding("disk", "ok", text)


def _revision(facts: DatabaseFacts) -> Finding:
    if facts.revision == facts.newest_revision:
        return Finding("schema", "ok", f"revision {facts.revision}")
    return Finding(
        "schema",
        "wrong",
        f"revision {facts.revision or 'none'}, and this release needs {facts.newest_revision}",
        "Run `crossdock migrate`.",
    )


def _clock(ahead: timedelta) -> Finding:
    seconds = ahead.total_seconds()
    text = f"the database's clock is {abs(seconds):.1f} s {'ahead' if seconds > 0 else 'behind'}"
    if abs(ahead) < CLOCK_WARNING:
        return Finding("clock", "ok", "agrees with the database's")
    mend = "Keep all machines' clocks by NTP: timestamps are judged by them."
    return Finding("clock", _severity(wrong=abs(ahead) > CLOCK_WRONG), text, mend)


def _roles(facts: DatabaseFacts) -> Iterator[Finding]:
    present = {role.name for role in facts.roles}
    missing = sorted({role_name(role) for role in ROLES} - present)
    mighty = sorted(
        role.name
        for role in facts.roles
        if role.is_superuser or role.bypasses_rls or role.creates_roles or role.creates_databases
    )
    if missing:
        yield Finding(
            "roles",
            "wrong",
            f"missing: {', '.join(missing)}",
            "Run `crossdock migrate` with CROSSDOCK_DATABASE__ADMIN_URL.",
        )
    if mighty:
        yield Finding(
            "roles",
            "wrong",
            f"can do more than they should: {', '.join(mighty)}",
            "ALTER ROLE … NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB, or run `crossdock"
            " migrate` with CROSSDOCK_DATABASE__ADMIN_URL.",
        )
    if not missing and not mighty:
        yield Finding("roles", "ok", f"all {len(ROLES)}, none of them privileged")


def _isolation(facts: DatabaseFacts) -> Iterator[Finding]:
    guarded = [table for table in facts.tables if table.has_tenant]
    bare = sorted(table.name for table in guarded if not table.rls_forced)
    reachable = sorted(table.name for table in guarded if table.is_partition and table.app_may)
    if bare:
        yield Finding(
            "tenant isolation",
            "wrong",
            f"row-level security is not forced on: {', '.join(bare)}",
            "ALTER TABLE crossdock.… ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; then find"
            " out who switched it off.",
        )
    if reachable:
        yield Finding(
            "tenant isolation",
            "wrong",
            f"crossdock_app reaches partitions directly: {', '.join(reachable)}",
            "REVOKE ALL ON crossdock.… FROM crossdock_app.",
        )
    if guarded and not bare and not reachable:
        yield Finding("tenant isolation", "ok", f"forced on all {len(guarded)} tables")


def _partitions(facts: DatabaseFacts, now: datetime) -> Finding:
    mend = "Run a worker with the role maintenance, which makes them ahead of time."
    if not facts.partitions_known:
        mend = "Give CROSSDOCK_DATABASE__MAINTENANCE_PASSWORD to check them."
        return Finding("partitions", "unknown", "not looked at", mend)
    if facts.partitions_end is None:
        return Finding("partitions", "wrong", "there is none for now", mend)
    ahead = facts.partitions_end - now
    text = f"{ahead.total_seconds() / 86_400:.1f} days ahead"
    if ahead > PARTITIONS_WARNING:
        return Finding("partitions", "ok", text)
    return Finding("partitions", "warning", text, mend)


def _stream(stream: StreamFacts) -> Iterator[Finding]:
    check = f"stream {stream.name}"
    if stream.differing is None:
        yield Finding(check, "wrong", "missing", "Run `crossdock migrate`.")
        return
    if stream.differing:
        found = ", ".join(
            f"{field} is {now} instead of {wanted}"
            for field, (wanted, now) in sorted(stream.differing.items())
        )
        yield Finding(check, "wrong", found, "Run `crossdock migrate`.")
        return
    fill = stream.bytes / stream.max_bytes if stream.max_bytes > 0 else 0.0
    text = f"{fill:.0%} full, {stream.replicas} replica{'s' if stream.replicas > 1 else ''}"
    if stream.refuses_when_full and fill > FILL_WARNING:
        verdict = _severity(wrong=fill > FILL_WRONG)
        mend = "Run more workers, and see why the present ones fall behind: full means 503."
        yield Finding(check, verdict, text, mend)
    else:
        yield Finding(check, "ok", text)


def _sync(facts: BrokerFacts) -> Finding:
    replicas = min((stream.replicas for stream in facts.streams), default=1)
    if facts.syncs_always:
        return Finding("broker durability", "ok", "syncs each write before it acknowledges it")
    if replicas > 1:
        return Finding("broker durability", "ok", f"{replicas} replicas of each stream")
    mend = "Set jetstream.sync_interval: always in the NATS server's configuration, or 3 replicas."
    if facts.syncs_always is None:
        return Finding(
            "broker durability",
            "unknown",
            "one replica, and only its system user may ask a server how often it syncs",
            mend,
        )
    return Finding(
        "broker durability",
        "warning",
        f"one replica, synced every {facts.sync_interval_s:.0f} s: a power cut can lose"
        " acknowledged webhooks",
        mend,
    )


def _severity(*, wrong: bool) -> Verdict:
    return "wrong" if wrong else "warning"


def _key_length(text: str) -> int:
    try:
        return len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return 0
