"""Who may do what, as of revision 0001: grants first, then the rows that each role sees."""

from typing import Final

from migrations.first.tables import PARTITIONED

ONE: Final = "(SELECT NULLIF(current_setting('crossdock.tenant_id', true), '')::uuid)"
"""The entered tenant, read once a query; NULL outside of one, which no row equals."""

MANY: Final = (
    "IN (SELECT unnest(string_to_array(NULLIF(current_setting('crossdock.tenant_ids', true), ''),"
    " ',')::uuid[]))"
)
"""The entered set, hashed once a query. `= ANY (array)` compares every row with half of the set:
measured on 500 tenants, it made a batch's statements a fifth slower."""

TABLES: Final = (
    "tenants",
    "api_keys",
    "sources",
    "destinations",
    "event_keys",
    "event_aliases",
    "events",
    "deliveries",
    "attempts",
    "replays",
    "outbox",
    "route_changes",
)

ROLES: Final = ("app", "ingest", "dispatch", "maintenance", "directory")

TENANT_RIGHTS: Final = {
    "tenants": "SELECT",
    "api_keys": "SELECT, INSERT, UPDATE (name, permissions, expires_at, last_used_at, revoked_at)",
    "sources": "SELECT, INSERT, UPDATE, DELETE",
    "destinations": "SELECT, INSERT, UPDATE, DELETE",
    "event_aliases": "SELECT",
    "events": "SELECT",
    "deliveries": "SELECT, INSERT, UPDATE",
    "attempts": "SELECT",
    "replays": "SELECT, INSERT, UPDATE",
    "outbox": "INSERT",
    "route_changes": "INSERT",
}
"""`crossdock_app`: the rows of the one tenant it has entered."""

SET_RIGHTS: Final = {
    "ingest": {
        "tenants": "SELECT (id, state, shard)",
        "destinations": "SELECT",
        "event_keys": "SELECT, INSERT",
        "event_aliases": "SELECT, INSERT",
        "events": "SELECT, INSERT",
        "deliveries": "SELECT, INSERT",
    },
    "dispatch": {
        "tenants": "SELECT (id, state, shard)",
        "destinations": "SELECT, UPDATE (state, disabled_reason, failing_since, version,"
        " updated_at)",
        "events": "SELECT",
        "attempts": "INSERT",
        "route_changes": "INSERT",
    },
}
"""The rows of the set of tenants that a batch has entered."""

ALL_RIGHTS: Final = {
    "ingest": {"route_changes": "SELECT"},
    "dispatch": {
        "deliveries": "SELECT, UPDATE (state, attempts, due_at, lease, last_status, last_error,"
        " reason, finished_at)",
        "replays": "SELECT",
    },
    "maintenance": {
        "tenants": "SELECT, INSERT, UPDATE (name, state, shard, version)",
        "sources": "SELECT",
        "event_keys": "SELECT, DELETE",
        "event_aliases": "SELECT, DELETE",
        "events": "SELECT, DELETE",
        "deliveries": "SELECT, DELETE",
        "attempts": "SELECT, DELETE",
        "outbox": "SELECT, INSERT, UPDATE, DELETE",
        "route_changes": "SELECT, INSERT, DELETE",
    },
    "directory": {
        "tenants": "SELECT",
        "sources": "SELECT",
        "outbox": "SELECT",
    },
}
"""Rows of every tenant: claims, retention, the outbox, and the gateways' fallback directory."""

EVERYBODY_CALLS: Final = ("partitions(text)", "uuid7_floor(timestamptz)")

CALLS: Final = {
    "app": ("enter(uuid)", "outbox_notify()", "note_route()"),
    "ingest": ("enter_many(uuid[])",),
    "dispatch": ("enter_many(uuid[])", "note_route()"),
    "maintenance": (
        "partition_name(text, timestamptz)",
        "prepare_partition(text, timestamptz, timestamptz)",
        "lock_partitions(text)",
        "drop_partition(text, timestamptz)",
        "attach_partition(text, timestamptz, timestamptz)",
        "discard_partition(text, timestamptz)",
        "outbox_notify()",
        "note_route()",
    ),
    "directory": (),
}


COMMANDS: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")
CHECKED: Final = ("INSERT", "UPDATE")

NEW_ROWS: Final = "crossdock.new_event, crossdock.new_delivery"


def statements() -> list[str]:
    """Return all grants and policies, in an order that works."""
    everybody = ", ".join(f"crossdock_{role}" for role in ROLES)
    found = [
        "REVOKE ALL ON ALL TABLES IN SCHEMA crossdock FROM PUBLIC",
        "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA crossdock FROM PUBLIC",
        f"REVOKE ALL ON TYPE {NEW_ROWS} FROM PUBLIC",
        f"GRANT USAGE ON TYPE {NEW_ROWS} TO crossdock_ingest",
        "ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM PUBLIC",
        f"GRANT USAGE ON SCHEMA crossdock TO {everybody}",
        f"GRANT SELECT ON crossdock.home, crossdock.alembic_version TO {everybody}",
    ]
    found += [f"GRANT EXECUTE ON FUNCTION crossdock.{f} TO {everybody}" for f in EVERYBODY_CALLS]
    for role, functions in CALLS.items():
        found += [f"GRANT EXECUTE ON FUNCTION crossdock.{f} TO crossdock_{role}" for f in functions]
    for table in (*TABLES, *(f"{parent}_rest" for parent in PARTITIONED)):
        found += [
            f"ALTER TABLE crossdock.{table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE crossdock.{table} FORCE ROW LEVEL SECURITY",
        ]
    found += bound("app", TENANT_RIGHTS, f"= {ONE}")
    for role, rights in SET_RIGHTS.items():
        found += bound(role, rights, MANY)
    for role, rights in ALL_RIGHTS.items():
        found += bound(role, rights, None)
    return found


def bound(role: str, rights: dict[str, str], bound: str | None) -> list[str]:
    """Return grants of a role, and one policy a command for the rows they reach."""
    found = []
    for table, privileges in rights.items():
        column = "id" if table == "tenants" else "tenant_id"
        rows = "true" if bound is None else f"{column} {bound}"
        found.append(f"GRANT {privileges} ON crossdock.{table} TO crossdock_{role}")
        found += [
            policy(role, table, command, rows) for command in COMMANDS if command in privileges
        ]
    return found


def policy(role: str, table: str, command: str, rows: str) -> str:
    """Return the policy of a role for one command on a table."""
    using = "" if command == "INSERT" else f" USING ({rows})"
    check = f" WITH CHECK ({rows})" if command in CHECKED else ""
    return (
        f"CREATE POLICY {role}_{command.lower()} ON crossdock.{table}"
        f" FOR {command} TO crossdock_{role}{using}{check}"
    )
