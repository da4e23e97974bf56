"""Who may do what, as of revision 0002: what it adds to the first, and whom their name binds."""

from typing import Final

from migrations.first import rights as first

DEDICATED: Final = "crossdock_tenant_"
"""Roles of tenants of the dedicated tier are named so, and then by the tenant's id in hex."""

ONE: Final = (
    f"(SELECT CASE WHEN starts_with(SESSION_USER::text, '{DEDICATED}')"
    f" THEN substr(SESSION_USER::text, {len(DEDICATED) + 1})::uuid"
    " ELSE NULLIF(current_setting('crossdock.tenant_id', true), '')::uuid END)"
)
"""The tenant of a role that belongs to one, whatever is set; else the entered tenant. The session's
user is who logged in; the current one is changed by SET ROLE."""

TABLES: Final = (
    "shards",
    "placements",
    "users",
    "recovery_codes",
    "sessions",
    "refresh_tokens",
    "password_resets",
    "logins",
    "signups",
    "signing_keys",
    "throttles",
    "roles",
    "invitations",
    "support_accesses",
    "audit",
    "alerts",
    "mails",
    "usage_days",
)

APP_RIGHTS: Final = {
    "users": "SELECT, INSERT, DELETE, UPDATE (email, name, password_hash, state, roles, not_before,"
    " totp_sealed, totp_confirmed_at, totp_step, version, updated_at, last_login_at)",
    "recovery_codes": "SELECT, INSERT, DELETE, UPDATE (used_at)",
    "sessions": "SELECT, INSERT, UPDATE (last_used_at, idle_ends_at, revoked_at, revoked_reason)",
    "refresh_tokens": "SELECT, INSERT, UPDATE (used_at)",
    "password_resets": "SELECT, INSERT, UPDATE (used_at)",
    "roles": "SELECT, INSERT, DELETE, UPDATE (description, permissions, inherits, version,"
    " updated_at)",
    "invitations": "SELECT, INSERT, UPDATE (accepted_at, revoked_at)",
    "support_accesses": "SELECT, UPDATE (ended_at, ended_by)",
    "audit": "SELECT, INSERT",
    "alerts": "SELECT, INSERT, UPDATE (resolved_at)",
    "mails": "INSERT",
    "usage_days": "SELECT",
}
"""`crossdock_app`: the rows of the one tenant it has entered."""

OPERATOR_RIGHTS: Final = {
    "tenants": "SELECT, INSERT, UPDATE (name, state, version, plan, quotas, not_before, reason,"
    " terminate_at, blocked_until, roles_version)",
    "users": "SELECT, INSERT, DELETE",
    "support_accesses": "SELECT, INSERT, DELETE, UPDATE (ended_at, ended_by)",
    "audit": "SELECT, INSERT",
    "alerts": "SELECT, INSERT, DELETE",
    "mails": "SELECT, INSERT, DELETE",
    "usage_days": "SELECT, DELETE",
    "outbox": "SELECT, INSERT, DELETE",
    "route_changes": "SELECT, INSERT, DELETE",
    "api_keys": "SELECT, DELETE",
    "roles": "SELECT, DELETE",
    "invitations": "SELECT, INSERT, DELETE, UPDATE (revoked_at)",
    "recovery_codes": "SELECT, DELETE",
    "sessions": "SELECT, DELETE",
    "refresh_tokens": "SELECT, DELETE",
    "password_resets": "SELECT, DELETE",
    "sources": "SELECT, DELETE",
    "destinations": "SELECT, DELETE",
    "event_keys": "SELECT, DELETE",
    "event_aliases": "SELECT, DELETE",
    "events": "SELECT, DELETE",
    "deliveries": "SELECT, DELETE",
    "attempts": "SELECT, DELETE",
    "replays": "SELECT, DELETE",
}
"""`crossdock_operator`: one tenant as well, to make it, hold it, help in it and erase it."""

CONTROL_RIGHTS: Final = {
    "shards": "SELECT, INSERT, UPDATE (name, url, state)",
    "placements": "SELECT, INSERT, DELETE, UPDATE (name, shard, tier)",
    "logins": "SELECT, INSERT, DELETE, UPDATE (email_hash)",
    "signups": "SELECT, INSERT, DELETE, UPDATE (verified_at)",
    "signing_keys": "SELECT, INSERT, DELETE, UPDATE (private_sealed, signs_from, ends_at)",
    "throttles": "SELECT, INSERT, DELETE, UPDATE (free_at)",
    "mails": "INSERT",
}
"""`crossdock_control`: what must be known before a tenant is."""

ALL_RIGHTS: Final = {
    "control": CONTROL_RIGHTS,
    "dispatch": {"route_changes": "SELECT"},
    "maintenance": {
        "shards": "SELECT",
        "placements": "SELECT",
        "users": "SELECT (tenant_id, id, email, name, state, roles, not_before)",
        "sessions": "SELECT, DELETE",
        "refresh_tokens": "SELECT, DELETE",
        "password_resets": "SELECT, DELETE",
        "invitations": "SELECT, DELETE",
        "support_accesses": "SELECT",
        "roles": "SELECT",
        "audit": "INSERT",
        "alerts": "SELECT, INSERT, UPDATE (resolved_at)",
        "mails": "SELECT, INSERT, DELETE, UPDATE (sealed, state, attempts, due_at, sent_at,"
        " last_error)",
        "usage_days": "SELECT, INSERT, DELETE, UPDATE (events, bytes)",
    },
    "directory": {
        "shards": "SELECT",
        "placements": "SELECT",
        "users": "SELECT (tenant_id, id, not_before, state)",
        "sessions": "SELECT (tenant_id, id, user_id, ends_at, revoked_at)",
        "support_accesses": "SELECT (tenant_id, id, operator_id, ends_at, ended_at)",
        "roles": "SELECT (tenant_id, id, name, permissions, inherits)",
    },
}
"""Rows of every tenant: duties, and what gateways hold in memory."""

CALLS: Final = {
    "app": ("note_roles()",),
    "operator": (
        "enter(uuid)",
        "enter_new(uuid)",
        "note_route()",
        "note_roles()",
        "outbox_notify()",
    ),
}


def statements() -> list[str]:
    """Return all grants and policies, in an order that works."""
    newcomers = "crossdock_control, crossdock_operator"
    found = [
        "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA crossdock FROM PUBLIC",
        f"GRANT USAGE ON SCHEMA crossdock TO {newcomers}",
        f"GRANT SELECT ON crossdock.home, crossdock.alembic_version TO {newcomers}",
        # Of its own tenant, the app role may count changes of roles, and write the name.
        "GRANT UPDATE (name, roles_version) ON crossdock.tenants TO crossdock_app",
        first.policy("app", "tenants", "UPDATE", f"id = {ONE}"),
        "GRANT UPDATE (blocked_until) ON crossdock.tenants TO crossdock_maintenance",
        "GRANT UPDATE (rotated_to) ON crossdock.api_keys TO crossdock_app",
    ]
    for role, functions in CALLS.items():
        found += [f"GRANT EXECUTE ON FUNCTION crossdock.{f} TO crossdock_{role}" for f in functions]
    found += [
        f"ALTER TABLE crossdock.{table} {force} ROW LEVEL SECURITY"
        for table in TABLES
        for force in ("ENABLE", "FORCE")
    ]
    found += _rebound()
    found += first.bound("app", APP_RIGHTS, f"= {ONE}")
    found += first.bound("operator", OPERATOR_RIGHTS, f"= {first.ONE}")
    for role, rights in ALL_RIGHTS.items():
        found += first.bound(role, rights, None)
    return found


def _rebound() -> list[str]:
    """Return what binds the first revision's policies of the app role by the role's name, too."""
    found = []
    for table, privileges in first.TENANT_RIGHTS.items():
        column = "id" if table == "tenants" else "tenant_id"
        for command in first.COMMANDS:
            if command in privileges:
                using = "" if command == "INSERT" else f" USING ({column} = {ONE})"
                check = f" WITH CHECK ({column} = {ONE})" if command in first.CHECKED else ""
                policy = f"app_{command.lower()} ON crossdock.{table}"
                found.append(f"ALTER POLICY {policy}{using}{check}")
    return found
