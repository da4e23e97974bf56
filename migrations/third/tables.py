"""Tables and their indexes, as of revision 0003."""

from typing import Final

STATEMENTS: Final = (
    """
    CREATE TABLE crossdock.idempotency_keys (
        tenant_id uuid NOT NULL,
        digest bytea NOT NULL,
        fingerprint bytea NOT NULL,
        state text DEFAULT 'running' NOT NULL,
        status smallint,
        answer bytea,
        created_at timestamptz DEFAULT now() NOT NULL,
        expires_at timestamptz NOT NULL,
        CONSTRAINT idempotency_keys_pkey PRIMARY KEY (tenant_id, digest),
        CONSTRAINT idempotency_keys_state_check CHECK (state IN ('running', 'done', 'unknown'))
    )
    """,
    "CREATE INDEX idempotency_keys_expires_at_idx ON crossdock.idempotency_keys (expires_at)",
    """
    ALTER TABLE crossdock.sources ADD COLUMN webhooks_per_minute integer,
        ADD CONSTRAINT sources_webhooks_per_minute_check CHECK (webhooks_per_minute > 0)
    """,
    """
    ALTER TABLE crossdock.api_keys ADD COLUMN requests_per_minute integer,
        ADD CONSTRAINT api_keys_requests_per_minute_check CHECK (requests_per_minute > 0)
    """,
)
