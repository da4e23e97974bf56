"""Functions, as of revision 0001.

Those that change partitions are the only definers: they run as the owner, take one of three names
and two moments, and read no rows. Data is moved by the maintenance role, under policies.
"""

from typing import Final

ENTER: Final = """
CREATE FUNCTION crossdock.enter(tenant uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    tenant_shard integer;
BEGIN
    PERFORM pg_catalog.set_config('crossdock.tenant_id', tenant::text, true);
    SELECT t.shard INTO tenant_shard FROM crossdock.tenants AS t WHERE t.id = tenant;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'tenant % does not exist here', tenant USING ERRCODE = 'CD001';
    ELSIF tenant_shard IS DISTINCT FROM (SELECT h.shard FROM crossdock.home AS h) THEN
        RAISE EXCEPTION 'tenant % lives on shard %', tenant, tenant_shard USING ERRCODE = 'CD002';
    END IF;
END $$
"""

ENTER_MANY: Final = """
CREATE FUNCTION crossdock.enter_many(tenants uuid[]) RETURNS void
LANGUAGE sql AS $$
    SELECT pg_catalog.set_config(
        'crossdock.tenant_ids', pg_catalog.array_to_string(tenants, ','), true
    )
$$
"""

UUID7_FLOOR: Final = """
CREATE FUNCTION crossdock.uuid7_floor(moment timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT pg_catalog.rpad(
        pg_catalog.lpad(
            pg_catalog.to_hex((pg_catalog.extract('epoch', moment) * 1000)::bigint), 12, '0'
        ), 32, '0'
    )::uuid
$$
"""

PARTITIONS: Final = """
CREATE FUNCTION crossdock.partitions(parent text)
RETURNS TABLE (name text, low uuid, high uuid)
LANGUAGE sql STABLE AS $$
    SELECT c.relname::text, bound[1]::uuid, bound[2]::uuid
    FROM pg_catalog.pg_inherits AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
    CROSS JOIN LATERAL pg_catalog.regexp_match(
        pg_catalog.pg_get_expr(c.relpartbound, c.oid),
        'FROM \\(''([0-9a-f-]{36})''\\) TO \\(''([0-9a-f-]{36})''\\)'
    ) AS bound
    WHERE i.inhparent = pg_catalog.to_regclass('crossdock.' || pg_catalog.quote_ident(parent))
        AND bound IS NOT NULL
    ORDER BY 2
$$
"""

PARTITION_PARENT: Final = """
CREATE FUNCTION crossdock.partition_parent(parent text) RETURNS regclass
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF parent NOT IN ('events', 'deliveries', 'attempts') THEN
        RAISE EXCEPTION '% is not cut into partitions', parent USING ERRCODE = 'CD003';
    END IF;
    RETURN pg_catalog.to_regclass('crossdock.' || pg_catalog.quote_ident(parent));
END $$
"""

PARTITION_NAME: Final = """
CREATE FUNCTION crossdock.partition_name(parent text, low timestamptz) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT parent || '_' || pg_catalog.to_char(
        low AT TIME ZONE 'UTC',
        CASE WHEN low = pg_catalog.date_trunc('day', low, 'UTC')
            THEN 'YYYYMMDD' ELSE 'YYYYMMDD"t"HH24MI' END
    )
$$
"""

PREPARE_PARTITION: Final = """
CREATE FUNCTION crossdock.prepare_partition(parent text, low timestamptz, high timestamptz)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    whole regclass := crossdock.partition_parent(parent);
    fresh text := crossdock.partition_name(parent, low) || '_new';
BEGIN
    EXECUTE format('DROP TABLE IF EXISTS crossdock.%I', fresh);
    EXECUTE format('CREATE TABLE crossdock.%I (LIKE %s INCLUDING ALL)', fresh, whole);
    EXECUTE format(
        'ALTER TABLE crossdock.%I ADD CONSTRAINT bounds CHECK (id >= %L AND id < %L)',
        fresh, crossdock.uuid7_floor(low), crossdock.uuid7_floor(high)
    );
    EXECUTE format(
        'GRANT SELECT, INSERT, DELETE ON crossdock.%I TO crossdock_maintenance', fresh
    );
    RETURN fresh;
END $$
"""

LOCK_PARTITIONS: Final = """
CREATE FUNCTION crossdock.lock_partitions(parent text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', crossdock.partition_parent(parent));
END $$
"""

DROP_PARTITION: Final = """
CREATE FUNCTION crossdock.drop_partition(parent text, low timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    whole regclass := crossdock.partition_parent(parent);
    old text := crossdock.partition_name(parent, low);
BEGIN
    EXECUTE format('ALTER TABLE %s DETACH PARTITION crossdock.%I', whole, old);
    EXECUTE format('DROP TABLE crossdock.%I', old);
END $$
"""

ATTACH_PARTITION: Final = """
CREATE FUNCTION crossdock.attach_partition(parent text, low timestamptz, high timestamptz)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    whole regclass := crossdock.partition_parent(parent);
    name text := crossdock.partition_name(parent, low);
    fresh text := name || '_new';
BEGIN
    EXECUTE format(
        'ALTER TABLE %s ATTACH PARTITION crossdock.%I FOR VALUES FROM (%L) TO (%L)',
        whole, fresh, crossdock.uuid7_floor(low), crossdock.uuid7_floor(high)
    );
    EXECUTE format('ALTER TABLE crossdock.%I DROP CONSTRAINT bounds', fresh);
    EXECUTE format('REVOKE ALL ON crossdock.%I FROM crossdock_maintenance', fresh);
    EXECUTE format('ALTER TABLE crossdock.%I ENABLE ROW LEVEL SECURITY', fresh);
    EXECUTE format('ALTER TABLE crossdock.%I FORCE ROW LEVEL SECURITY', fresh);
    EXECUTE format('ALTER TABLE crossdock.%I RENAME TO %I', fresh, name);
    RETURN name;
END $$
"""

DISCARD_PARTITION: Final = """
CREATE FUNCTION crossdock.discard_partition(parent text, low timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM crossdock.partition_parent(parent);
    EXECUTE format('DROP TABLE crossdock.%I', crossdock.partition_name(parent, low) || '_new');
END $$
"""

OUTBOX_NOTIFY: Final = """
CREATE FUNCTION crossdock.outbox_notify() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('crossdock_outbox', '');
    RETURN NULL;
END $$
"""

OUTBOX_TRIGGER: Final = """
CREATE TRIGGER outbox_notify AFTER INSERT ON crossdock.outbox
FOR EACH STATEMENT EXECUTE FUNCTION crossdock.outbox_notify()
"""

NOTE_ROUTE: Final = """
CREATE FUNCTION crossdock.note_route() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'tenants' THEN
        INSERT INTO crossdock.route_changes (tenant_id) VALUES (NEW.id);
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO crossdock.route_changes (tenant_id) VALUES (OLD.tenant_id);
    ELSE
        INSERT INTO crossdock.route_changes (tenant_id) VALUES (NEW.tenant_id);
    END IF;
    RETURN NULL;
END $$
"""

NOTE_ROUTE_TRIGGERS: Final = (
    """
    CREATE TRIGGER note_route
    AFTER INSERT OR DELETE OR UPDATE OF state, disabled_reason, source_ids, event_types
    ON crossdock.destinations FOR EACH ROW EXECUTE FUNCTION crossdock.note_route()
    """,
    """
    CREATE TRIGGER note_route AFTER UPDATE OF state, shard
    ON crossdock.tenants FOR EACH ROW EXECUTE FUNCTION crossdock.note_route()
    """,
)

STATEMENTS: Final = (
    ENTER,
    ENTER_MANY,
    UUID7_FLOOR,
    PARTITIONS,
    PARTITION_PARENT,
    PARTITION_NAME,
    PREPARE_PARTITION,
    LOCK_PARTITIONS,
    DROP_PARTITION,
    ATTACH_PARTITION,
    DISCARD_PARTITION,
    OUTBOX_NOTIFY,
    OUTBOX_TRIGGER,
    NOTE_ROUTE,
    *NOTE_ROUTE_TRIGGERS,
)
