"""Who may do what, as of revision 0004: what it adds to the first three."""

from typing import Final

from migrations.first import rights as first
from migrations.second import rights as second

TABLES: Final = (
    "event_fields",
    "event_fields_rest",
    "event_types",
    "event_type_versions",
    "releases",
    "payload_keys",
    "refusals",
    "refusal_counts",
    "retention_drops",
)

APP_RIGHTS: Final = {
    "event_fields": "SELECT",
    "event_types": "SELECT, INSERT, DELETE, UPDATE (description, mode, compatibility, latest,"
    " version, updated_at)",
    "event_type_versions": "SELECT, INSERT, DELETE",
    "releases": "SELECT, INSERT",
    "payload_keys": "SELECT, INSERT",
    "refusals": "SELECT, INSERT, DELETE",
    "refusal_counts": "SELECT, INSERT, UPDATE (count)",
    "retention_drops": "SELECT",
}
"""`crossdock_app`: the rows of the one tenant it has entered."""

OPERATOR_RIGHTS: Final = {
    table: "SELECT, DELETE" for table in TABLES if table != "event_fields_rest"
}
"""`crossdock_operator`: to erase a tenant."""

SET_RIGHTS: Final = {
    "ingest": {
        "event_fields": "SELECT, INSERT",
        "sources": "SELECT (tenant_id, id, state, buffers)",
        "payload_keys": "SELECT",
    },
    "dispatch": {"payload_keys": "SELECT"},
}
"""The rows of the set of tenants that a batch has entered."""

ALL_RIGHTS: Final = {
    "ingest": {"releases": "SELECT, DELETE, UPDATE (created_at)"},
    "maintenance": {
        "event_fields": "SELECT, DELETE",
        "event_types": "SELECT",
        "event_type_versions": "SELECT",
        "payload_keys": "SELECT",
        "refusals": "SELECT (tenant_id, source_id, id), DELETE",
        "refusal_counts": "SELECT (tenant_id, source_id, day), DELETE",
        "retention_drops": "SELECT, INSERT, DELETE",
    },
    "directory": {
        "event_types": "SELECT",
        "event_type_versions": "SELECT",
        "payload_keys": "SELECT",
    },
}
"""Rows of every tenant: what is to be released, settings for gateways, the end of what is old."""


def statements() -> list[str]:
    """Return all grants and policies, in an order that works."""
    found = [
        "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA crossdock FROM PUBLIC",
        "REVOKE ALL ON TYPE crossdock.new_event_2 FROM PUBLIC",
        "GRANT USAGE ON TYPE crossdock.new_event_2 TO crossdock_ingest",
        "GRANT UPDATE (status) ON crossdock.events TO crossdock_app, crossdock_ingest",
        first.policy("app", "events", "UPDATE", f"tenant_id = {second.ONE}"),
        first.policy("ingest", "events", "UPDATE", f"tenant_id {first.MANY}"),
    ]
    found += [
        f"ALTER TABLE crossdock.{table} {force} ROW LEVEL SECURITY"
        for table in TABLES
        for force in ("ENABLE", "FORCE")
    ]
    found += first.bound("app", APP_RIGHTS, f"= {second.ONE}")
    found += first.bound("operator", OPERATOR_RIGHTS, f"= {first.ONE}")
    for role, rights in SET_RIGHTS.items():
        found += first.bound(role, rights, first.MANY)
    for role, rights in ALL_RIGHTS.items():
        found += first.bound(role, rights, None)
    return found
