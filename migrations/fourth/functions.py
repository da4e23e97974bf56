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

STATEMENTS: Final = (PARTITION_PARENT,)
