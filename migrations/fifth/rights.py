"""Who may do what, as of revision 0005: what it adds to the first four."""

from typing import Final

from migrations.first import rights as first
from migrations.second import rights as second

TABLES: Final = ("order_floor", "destination_stats", "inbox_messages", "alert_settings")

APP_RIGHTS: Final = {
    "destination_stats": "SELECT, DELETE",
    "inbox_messages": "SELECT, DELETE",
    "alert_settings": "SELECT, INSERT, UPDATE (settings, version, updated_at)",
}
"""`crossdock_app`: the rows of the one tenant it has entered."""

OPERATOR_RIGHTS: Final = {
    "destination_stats": "SELECT, DELETE",
    "inbox_messages": "SELECT, DELETE",
    "alert_settings": "SELECT, DELETE",
}
"""`crossdock_operator`: to erase a tenant."""

SET_RIGHTS: Final = {
    "dispatch": {
        "destination_stats": "SELECT, INSERT, UPDATE (delivered, failed, dead, durations)",
        "inbox_messages": "SELECT (tenant_id, destination_id, id), INSERT, DELETE",
    },
}
"""The rows of the set of tenants that a batch has entered."""

ALL_RIGHTS: Final = {
    "maintenance": {
        "destinations": "SELECT (tenant_id, id, name, state, disabled_reason, disabled_at,"
        " failing_since, event_types)",
        "destination_stats": "SELECT, DELETE",
        "inbox_messages": "SELECT (tenant_id, destination_id, id), DELETE",
        "alert_settings": "SELECT",
    },
    "app": {"order_floor": "SELECT"},
    "dispatch": {"order_floor": "SELECT, UPDATE (seq)"},
}
"""Rows of every tenant: what is to be told of, the end of what is old, how far order has come."""

MAINTENANCE: Final = "crossdock_maintenance"
HOURS: Final = "hour, in_hour, hour_before"
"""How many webhooks were refused lately: gateways count, alerts go by it."""


def statements() -> list[str]:
    """Return all grants and policies, in an order that works."""
    new = "crossdock.new_event_3, crossdock.new_delivery_2"
    found = [
        f"REVOKE ALL ON TYPE {new} FROM PUBLIC",
        f"GRANT USAGE ON TYPE {new} TO crossdock_ingest",
        f"GRANT UPDATE (told_at, resolved_told_at, detail) ON crossdock.alerts TO {MAINTENANCE}",
        f"GRANT SELECT (reason, count, {HOURS}) ON crossdock.refusal_counts TO {MAINTENANCE}",
        f"GRANT UPDATE ({HOURS}) ON crossdock.refusal_counts TO crossdock_app",
        "GRANT UPDATE (released_at, matched) ON crossdock.events TO crossdock_ingest",
        "GRANT UPDATE (order_seq) ON crossdock.deliveries TO crossdock_dispatch",
        "GRANT UPDATE (disabled_at) ON crossdock.destinations TO crossdock_dispatch",
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
