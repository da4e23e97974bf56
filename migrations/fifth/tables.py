"""Tables and their indexes, as of revision 0005."""

from typing import Final

STATEMENTS: Final = (
    """
    ALTER TABLE crossdock.destinations
        ADD COLUMN disabled_at timestamptz,
        ADD COLUMN kind text DEFAULT 'http' NOT NULL,
        ADD COLUMN settings jsonb,
        ADD COLUMN credentials jsonb,
        ADD COLUMN filter text,
        ADD COLUMN transform text,
        ADD COLUMN signing text DEFAULT 'hmac' NOT NULL,
        ADD COLUMN rate jsonb,
        ADD COLUMN concurrency smallint,
        ADD COLUMN order_by text,
        ADD COLUMN order_hold text DEFAULT 'until_dead' NOT NULL,
        ADD COLUMN breaker text DEFAULT 'auto' NOT NULL,
        ADD CONSTRAINT destinations_kind_check
            CHECK (kind IN ('http', 'nats', 'inbox', 'storage')),
        ADD CONSTRAINT destinations_signing_check CHECK (signing IN ('hmac', 'ed25519')),
        ADD CONSTRAINT destinations_order_hold_check
            CHECK (order_hold IN ('until_dead', 'until_delivered')),
        ADD CONSTRAINT destinations_breaker_check CHECK (breaker IN ('auto', 'open', 'off'))
    """,
    "UPDATE crossdock.destinations SET disabled_at = updated_at WHERE state = 'disabled'",
    "ALTER TABLE crossdock.deliveries ADD COLUMN line bigint, ADD COLUMN order_seq bigint",
    """
    CREATE INDEX deliveries_line_idx
        ON crossdock.deliveries (tenant_id, destination_id, line, order_seq, id)
        WHERE line IS NOT NULL AND state IN ('pending', 'dead')
    """,
    """
    ALTER TABLE crossdock.attempts
        ADD COLUMN request_headers bytea,
        ADD COLUMN request_body bytea
    """,
    "ALTER TABLE crossdock.events ADD COLUMN matched smallint, ADD COLUMN stored_at timestamptz",
    "ALTER TABLE crossdock.events ALTER COLUMN stored_at SET DEFAULT now()",
    """
    ALTER TABLE crossdock.replays
        ADD COLUMN seen integer DEFAULT 0 NOT NULL,
        DROP CONSTRAINT replays_state_check,
        ADD CONSTRAINT replays_state_check
            CHECK (state IN ('running', 'paused', 'done', 'cancelled'))
    """,
    """
    CREATE TABLE crossdock.order_floor (
        id boolean DEFAULT true NOT NULL,
        seq bigint DEFAULT 0 NOT NULL,
        CONSTRAINT order_floor_pkey PRIMARY KEY (id),
        CONSTRAINT order_floor_one_check CHECK (id)
    )
    """,
    "INSERT INTO crossdock.order_floor DEFAULT VALUES",
    """
    CREATE TABLE crossdock.destination_stats (
        tenant_id uuid NOT NULL,
        destination_id uuid NOT NULL,
        hour timestamptz NOT NULL,
        delivered bigint DEFAULT 0 NOT NULL,
        failed bigint DEFAULT 0 NOT NULL,
        dead bigint DEFAULT 0 NOT NULL,
        durations bigint[] DEFAULT '{}'::bigint[] NOT NULL,
        CONSTRAINT destination_stats_pkey PRIMARY KEY (tenant_id, destination_id, hour)
    )
    """,
    """
    CREATE TABLE crossdock.inbox_messages (
        tenant_id uuid NOT NULL,
        destination_id uuid NOT NULL,
        id uuid NOT NULL,
        event_id uuid NOT NULL,
        outcome text NOT NULL,
        headers bytea NOT NULL,
        body bytea NOT NULL,
        CONSTRAINT inbox_messages_pkey PRIMARY KEY (tenant_id, destination_id, id)
    )
    """,
    "ALTER TABLE crossdock.alerts ADD COLUMN told_at timestamptz",
    "UPDATE crossdock.alerts SET told_at = created_at",
    """
    CREATE INDEX alerts_untold_idx ON crossdock.alerts (created_at) WHERE told_at IS NULL
    """,
    """
    CREATE TABLE crossdock.alert_settings (
        tenant_id uuid NOT NULL,
        settings jsonb NOT NULL,
        version bigint DEFAULT 1 NOT NULL,
        updated_at timestamptz DEFAULT now() NOT NULL,
        CONSTRAINT alert_settings_pkey PRIMARY KEY (tenant_id),
        CONSTRAINT alert_settings_tenant_id_fkey
            FOREIGN KEY (tenant_id) REFERENCES crossdock.tenants (id)
    )
    """,
    """
    CREATE TYPE crossdock.new_event_3 AS (
        tenant_id uuid,
        id uuid,
        source_id uuid,
        stream_seq bigint,
        event_type text,
        provider_id text,
        content_type text,
        traceparent text,
        headers bytea,
        body bytea,
        dedupe_hash bytea,
        status text,
        violation text,
        schema_version integer,
        data_key uuid,
        matched smallint
    )
    """,
    """
    CREATE TYPE crossdock.new_delivery_2 AS (
        tenant_id uuid,
        id uuid,
        event_id uuid,
        destination_id uuid,
        is_open boolean,
        line bigint,
        order_seq bigint
    )
    """,
)
"""The types of the releases before stay beside the new ones: their workers go on persisting.

What an older worker stores has no `line`: order begins when all workers are of this release.
"""
