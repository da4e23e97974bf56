"""Functions, as of revision 0004."""

from typing import Final

PARTITION_PARENT: Final = """
CREATE OR REPLACE FUNCTION crossdock.partition_parent(parent text) RETURNS regclass
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF parent NOT IN ('events', 'event_fields', 'deliveries', 'attempts') THEN
        RAISE EXCEPTION '% is not cut into partitions', parent USING ERRCODE = 'CD003';
    END IF;
    RETURN pg_catalog.to_regclass('crossdock.' || pg_catalog.quote_ident(parent));
END $$
"""

LOCK_PARTITIONS: Final = """
CREATE OR REPLACE FUNCTION crossdock.lock_partitions(parent text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format(
        'LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', crossdock.partition_parent(parent)
    );
END $$
"""
"""`ONLY`: everybody comes through the parent, so that is enough; and a vacuum, which goes to the
partitions themselves and may be at any of them for minutes, is not in the way."""

STATEMENTS: Final = (PARTITION_PARENT, LOCK_PARTITIONS)
