"""Tables and their indexes, as of revision 0001."""

from typing import Final

PARTITIONED: Final = ("events", "deliveries", "attempts")
"""Each has a default partition, so that an accepted webhook is stored whatever its id's time."""

STATEMENTS: Final = (
    """
    CREATE TABLE crossdock.home (
        one boolean NOT NULL DEFAULT true,
        shard integer NOT NULL,
        CONSTRAINT home_pkey PRIMARY KEY (one),
        CONSTRAINT home_one_check CHECK (one)
    )
    """,
    """
    CREATE TABLE crossdock.tenants (
        id uuid NOT NULL,
        slug text NOT NULL,
        name text NOT NULL,
        state text NOT NULL DEFAULT 'active',
        shard integer NOT NULL DEFAULT 0,
        version bigint NOT NULL DEFAULT 1,
        created_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT tenants_pkey PRIMARY KEY (id),
        CONSTRAINT tenants_slug_key UNIQUE (slug),
        CONSTRAINT tenants_state_check
            CHECK (state IN ('active', 'suspended', 'terminating', 'terminated'))
    )
    """,
    """
    CREATE TABLE crossdock.api_keys (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        name text NOT NULL,
        secret_hash bytea NOT NULL,
        permissions text[] NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz,
        last_used_at timestamptz,
        revoked_at timestamptz,
        CONSTRAINT api_keys_pkey PRIMARY KEY (tenant_id, id),
        CONSTRAINT api_keys_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES crossdock.tenants (id)
    )
    """,
    """
    CREATE TABLE crossdock.sources (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        name text NOT NULL,
        scheme text NOT NULL,
        state text NOT NULL DEFAULT 'active',
        recipe jsonb NOT NULL,
        secrets jsonb NOT NULL DEFAULT '[]',
        token_hash bytea NOT NULL,
        token_sealed bytea NOT NULL,
        max_body_bytes integer NOT NULL,
        version bigint NOT NULL DEFAULT 1,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT sources_pkey PRIMARY KEY (tenant_id, id),
        CONSTRAINT sources_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES crossdock.tenants (id),
        CONSTRAINT sources_token_hash_key UNIQUE (token_hash),
        CONSTRAINT sources_state_check CHECK (state IN ('active', 'paused', 'disabled', 'deleted'))
    )
    """,
    """
    CREATE UNIQUE INDEX sources_tenant_id_name_key ON crossdock.sources (tenant_id, name)
        WHERE state <> 'deleted'
    """,
    """
    CREATE TABLE crossdock.destinations (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        name text NOT NULL,
        url text NOT NULL,
        state text NOT NULL DEFAULT 'enabled',
        disabled_reason text,
        source_ids uuid[] NOT NULL DEFAULT '{}',
        event_types text[] NOT NULL DEFAULT '{}',
        secrets jsonb NOT NULL DEFAULT '[]',
        retry jsonb,
        timeout_s real NOT NULL DEFAULT 15,
        failing_since timestamptz,
        version bigint NOT NULL DEFAULT 1,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT destinations_pkey PRIMARY KEY (tenant_id, id),
        CONSTRAINT destinations_tenant_id_fkey
            FOREIGN KEY (tenant_id) REFERENCES crossdock.tenants (id),
        CONSTRAINT destinations_tenant_id_name_key UNIQUE (tenant_id, name),
        CONSTRAINT destinations_state_check CHECK (state IN ('enabled', 'disabled')),
        CONSTRAINT destinations_disabled_reason_check
            CHECK (disabled_reason IN ('by_owner', 'failing', 'gone'))
    )
    """,
    """
    CREATE TABLE crossdock.event_keys (
        tenant_id uuid NOT NULL,
        source_id uuid NOT NULL,
        dedupe_hash bytea NOT NULL,
        event_id uuid NOT NULL,
        CONSTRAINT event_keys_pkey PRIMARY KEY (tenant_id, source_id, dedupe_hash),
        CONSTRAINT event_keys_dedupe_hash_check CHECK (octet_length(dedupe_hash) = 16)
    )
    """,
    """
    CREATE TABLE crossdock.event_aliases (
        tenant_id uuid NOT NULL,
        alias_id uuid NOT NULL,
        event_id uuid NOT NULL,
        CONSTRAINT event_aliases_pkey PRIMARY KEY (tenant_id, alias_id)
    )
    """,
    """
    CREATE TABLE crossdock.events (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        source_id uuid NOT NULL,
        stream_seq bigint NOT NULL,
        event_type text NOT NULL,
        provider_id text,
        content_type text NOT NULL,
        traceparent text NOT NULL,
        headers bytea NOT NULL,
        body bytea NOT NULL,
        CONSTRAINT events_pkey PRIMARY KEY (tenant_id, id)
    ) PARTITION BY RANGE (id)
    """,
    """
    CREATE TABLE crossdock.deliveries (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        event_id uuid NOT NULL,
        destination_id uuid NOT NULL,
        due_at timestamptz NOT NULL,
        finished_at timestamptz,
        lease uuid,
        replay_id uuid,
        attempts smallint NOT NULL DEFAULT 0,
        last_status smallint,
        is_replay boolean NOT NULL DEFAULT true,
        state text NOT NULL DEFAULT 'pending',
        last_error text,
        reason text,
        CONSTRAINT deliveries_pkey PRIMARY KEY (tenant_id, id),
        CONSTRAINT deliveries_state_check
            CHECK (state IN ('pending', 'delivered', 'dead', 'cancelled', 'replayed'))
    ) PARTITION BY RANGE (id)
    """,
    """
    CREATE INDEX deliveries_replay_idx ON crossdock.deliveries (tenant_id, event_id)
        WHERE is_replay
    """,
    """
    CREATE INDEX deliveries_due_idx ON crossdock.deliveries (tenant_id, destination_id, due_at)
        WHERE state = 'pending'
    """,
    """
    CREATE INDEX deliveries_dead_idx ON crossdock.deliveries (tenant_id, id) WHERE state = 'dead'
    """,
    """
    CREATE TABLE crossdock.attempts (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        delivery_id uuid NOT NULL,
        duration_ms integer NOT NULL,
        number smallint NOT NULL,
        status smallint,
        error text,
        response_headers bytea,
        response_body bytea,
        CONSTRAINT attempts_pkey PRIMARY KEY (tenant_id, id)
    ) PARTITION BY RANGE (id)
    """,
    "CREATE INDEX attempts_delivery_idx ON crossdock.attempts (tenant_id, delivery_id)",
    """
    CREATE TABLE crossdock.replays (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        state text NOT NULL DEFAULT 'running',
        filter jsonb NOT NULL,
        cursor uuid,
        matched integer NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL DEFAULT now(),
        finished_at timestamptz,
        CONSTRAINT replays_pkey PRIMARY KEY (tenant_id, id),
        CONSTRAINT replays_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES crossdock.tenants (id),
        CONSTRAINT replays_state_check CHECK (state IN ('running', 'done', 'cancelled'))
    )
    """,
    """
    CREATE TABLE crossdock.outbox (
        tenant_id uuid NOT NULL,
        id bigint GENERATED ALWAYS AS IDENTITY,
        topic text NOT NULL,
        key text NOT NULL,
        position bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
        created_at timestamptz NOT NULL DEFAULT now(),
        published_at timestamptz,
        CONSTRAINT outbox_pkey PRIMARY KEY (tenant_id, id)
    )
    """,
    "CREATE INDEX outbox_waiting_idx ON crossdock.outbox (id) WHERE published_at IS NULL",
    "CREATE INDEX outbox_position_idx ON crossdock.outbox (position)",
    """
    CREATE TABLE crossdock.route_changes (
        tenant_id uuid NOT NULL,
        id bigint GENERATED ALWAYS AS IDENTITY,
        position bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
        created_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT route_changes_pkey PRIMARY KEY (tenant_id, id)
    )
    """,
    "CREATE INDEX route_changes_position_idx ON crossdock.route_changes (position)",
    """
    CREATE TYPE crossdock.new_event AS (
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
        dedupe_hash bytea
    )
    """,
    """
    CREATE TYPE crossdock.new_delivery AS (
        tenant_id uuid, id uuid, event_id uuid, destination_id uuid, is_open boolean
    )
    """,
    *(
        f"CREATE TABLE crossdock.{parent}_rest PARTITION OF crossdock.{parent} DEFAULT"
        for parent in PARTITIONED
    ),
)
"""In this order. Hot tables have no foreign keys: checking one costs more than the insert.

The types are what persisting sends: arrays of rows, which a client encodes faster than arrays of
columns. They are apart from the tables, so that an older worker can go on beside a newer schema.
"""
