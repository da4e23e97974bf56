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
    """
    ALTER TABLE crossdock.destinations ALTER COLUMN disabled_at TYPE timestamptz
        USING CASE WHEN state = 'disabled' THEN updated_at END
    """,
    "ALTER TABLE crossdock.deliveries ADD COLUMN line bigint, ADD COLUMN order_seq bigint",
    "DROP TRIGGER note_route ON crossdock.destinations",
    """
    CREATE TRIGGER note_route
    AFTER INSERT OR DELETE OR UPDATE OF state, disabled_reason, source_ids, event_types, filter,
        order_by, order_hold
    ON crossdock.destinations FOR EACH ROW EXECUTE FUNCTION crossdock.note_route()
    """,
    """
    CREATE INDEX deliveries_blocked_idx
        ON crossdock.deliveries (tenant_id, destination_id, line, order_seq, id)
        WHERE line IS NOT NULL AND state = 'pending' AND due_at = 'infinity'::timestamptz
    """,
    """
    CREATE INDEX deliveries_active_idx
        ON crossdock.deliveries (tenant_id, destination_id, line)
        WHERE line IS NOT NULL AND state = 'pending' AND due_at < 'infinity'::timestamptz
    """,
    """
    CREATE INDEX deliveries_joining_idx
        ON crossdock.deliveries (order_seq)
        WHERE line IS NOT NULL AND state = 'pending' AND due_at = 'infinity'::timestamptz
            AND order_seq IS NOT NULL
    """,
    """
    CREATE INDEX deliveries_held_idx
        ON crossdock.deliveries (tenant_id, destination_id, line, order_seq, id)
        WHERE line IS NOT NULL AND state = 'dead'
    """,
    """
    ALTER TABLE crossdock.attempts
        ADD COLUMN request_headers bytea,
        ADD COLUMN request_body bytea
    """,
    "ALTER TABLE crossdock.events ADD COLUMN matched smallint, ADD COLUMN stored_at timestamptz",
    "ALTER TABLE crossdock.events ALTER COLUMN stored_at SET DEFAULT now()",
    "ALTER TABLE crossdock.events ADD COLUMN released_at timestamptz",
    "CREATE INDEX events_unmatched_idx ON crossdock.events (tenant_id, id) WHERE matched = 0",
    """
    CREATE INDEX events_released_idx ON crossdock.events (tenant_id, id)
        WHERE released_at IS NOT NULL
    """,
    """
    CREATE INDEX deliveries_ended_idx ON crossdock.deliveries (tenant_id, destination_id, id)
        WHERE state IN ('dead', 'cancelled', 'replayed')
    """,
    """
    ALTER TABLE crossdock.replays
        ADD COLUMN seen integer DEFAULT 0 NOT NULL,
        ADD COLUMN low uuid,
        ADD COLUMN mark bigint,
        ADD COLUMN waits_for uuid,
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
    "CREATE INDEX destination_stats_hour_idx ON crossdock.destination_stats (hour)",
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
    """
    ALTER TABLE crossdock.alerts
        ADD COLUMN told_at timestamptz,
        ADD COLUMN resolved_told_at timestamptz
    """,
    """
    ALTER TABLE crossdock.alerts
        ALTER COLUMN told_at TYPE timestamptz USING created_at,
        ALTER COLUMN resolved_told_at TYPE timestamptz USING resolved_at
    """,
    """
    CREATE INDEX alerts_untold_idx ON crossdock.alerts (created_at) WHERE told_at IS NULL
    """,
    """
    CREATE INDEX alerts_passed_idx ON crossdock.alerts (resolved_at)
        WHERE resolved_at IS NOT NULL AND resolved_told_at IS NULL
    """,
    "CREATE INDEX alerts_open_idx ON crossdock.alerts (id) WHERE resolved_at IS NULL",
    """
    CREATE INDEX deliveries_died_idx
        ON crossdock.deliveries (tenant_id, destination_id, finished_at) WHERE state = 'dead'
    """,
    """
    ALTER TABLE crossdock.refusal_counts
        ADD COLUMN hour timestamptz,
        ADD COLUMN in_hour bigint DEFAULT 0 NOT NULL,
        ADD COLUMN hour_before bigint DEFAULT 0 NOT NULL
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

Columns of rows that there are already are filled by `USING`: row-level security, which is forced,
hides all rows from the owner, and an UPDATE of the owner's would find none.

What an older worker stores has no `line`: order begins when all workers are of this release.
"""
