"""Functions, as of revision 0003."""

from typing import Final

CLAIM_KEY: Final = """
CREATE FUNCTION crossdock.claim_key(
    tenant uuid, key bytea, lock bigint,
    OUT claimed boolean, OUT fingerprint bytea, OUT state text, OUT status smallint,
    OUT answer bytea, OUT age interval
)
LANGUAGE plpgsql AS $$
BEGIN
    claimed := pg_catalog.pg_try_advisory_xact_lock(lock);
    SELECT k.fingerprint, k.state, k.status, k.answer,
        pg_catalog.clock_timestamp() - k.created_at
    INTO fingerprint, state, status, answer, age
    FROM crossdock.idempotency_keys AS k
    WHERE k.tenant_id = tenant AND k.digest = key AND k.expires_at > pg_catalog.now();
END $$
"""
"""One call, two statements: the second sees what was committed before the lock was had. In a single
statement both would look at the rows of the moment before, and a request could have its effect
twice."""

STATEMENTS: Final = (CLAIM_KEY,)
