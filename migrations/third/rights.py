"""Who may do what, as of revision 0003: what it adds to the first two."""

from typing import Final

from migrations.first import rights as first
from migrations.second import rights as second

TABLES: Final = ("idempotency_keys",)

APP_RIGHTS: Final = {
    "idempotency_keys": "SELECT, INSERT, DELETE, UPDATE (fingerprint, state, status, answer,"
    " created_at, expires_at)",
}
"""`crossdock_app`: the rows of the one tenant it has entered."""

OPERATOR_RIGHTS: Final = {"idempotency_keys": "SELECT (tenant_id, digest), DELETE"}
"""`crossdock_operator`: to erase a tenant, and no look at its answers."""

ALL_RIGHTS: Final = {
    "maintenance": {"idempotency_keys": "SELECT (tenant_id, digest, expires_at), DELETE"},
}
"""Rows of every tenant: the end of those whose time is up."""


def statements() -> list[str]:
    """Return all grants and policies, in an order that works."""
    found = [
        "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA crossdock FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION crossdock.claim_key(uuid, bytea, bigint) TO crossdock_app",
        "GRANT UPDATE (requests_per_minute) ON crossdock.api_keys TO crossdock_app",
    ]
    found += [
        f"ALTER TABLE crossdock.{table} {force} ROW LEVEL SECURITY"
        for table in TABLES
        for force in ("ENABLE", "FORCE")
    ]
    found += first.bound("app", APP_RIGHTS, f"= {second.ONE}")
    found += first.bound("operator", OPERATOR_RIGHTS, f"= {first.ONE}")
    for role, rights in ALL_RIGHTS.items():
        found += first.bound(role, rights, None)
    return found
