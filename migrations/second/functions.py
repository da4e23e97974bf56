"""Functions, as of revision 0002."""

from typing import Final

ENTER_NEW: Final = """
CREATE FUNCTION crossdock.enter_new(tenant uuid) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.set_config('crossdock.tenant_id', tenant::text, true);
    IF EXISTS (
        SELECT FROM crossdock.tenants AS t
        WHERE t.id = tenant AND t.shard IS DISTINCT FROM (SELECT h.shard FROM crossdock.home AS h)
    ) THEN
        RAISE EXCEPTION 'tenant % lives on another shard', tenant USING ERRCODE = 'CD002';
    END IF;
END $$
"""
"""How a tenant is entered while it is being made: it need not be there yet."""

NOTE_ROLES: Final = """
CREATE FUNCTION crossdock.note_roles() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE crossdock.tenants AS t SET roles_version = t.roles_version + 1
    WHERE t.id = CASE TG_OP WHEN 'DELETE' THEN OLD.tenant_id ELSE NEW.tenant_id END;
    RETURN NULL;
END $$
"""
"""What gateways hold of a tenant names its roles, so a change of them is a newer version of it."""

NOTE_ROLES_TRIGGER: Final = """
CREATE TRIGGER note_roles AFTER INSERT OR UPDATE OR DELETE ON crossdock.roles
FOR EACH ROW EXECUTE FUNCTION crossdock.note_roles()
"""

STATEMENTS: Final = (ENTER_NEW, NOTE_ROLES, NOTE_ROLES_TRIGGER)
