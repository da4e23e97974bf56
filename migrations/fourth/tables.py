"""Tables and their indexes, as of revision 0004."""

from typing import Final

STATUSES: Final = "'accepted', 'warned', 'held', 'quarantined', 'releasing', 'released', 'dropped'"

STATEMENTS: Final = (
    """
    ALTER TABLE crossdock.sources
        ADD COLUMN preset text,
        ADD COLUMN content_types text[] DEFAULT '{}' NOT NULL,
        ADD COLUMN indexed_fields text[] DEFAULT '{}' NOT NULL,
        ADD COLUMN encrypts boolean DEFAULT false NOT NULL,
        ADD COLUMN buffers boolean DEFAULT false NOT NULL
    """,
    """
    CREATE UNIQUE INDEX sources_tenant_id_api_key ON crossdock.sources (tenant_id)
        WHERE scheme = 'api' AND state <> 'deleted'
    """,
    f"""
    ALTER TABLE crossdock.events
        ADD COLUMN status text DEFAULT 'accepted' NOT NULL,
        ADD COLUMN violation text,
        ADD COLUMN schema_version integer,
        ADD COLUMN data_key uuid,
        ADD CONSTRAINT events_status_check CHECK (status IN ({STATUSES}))
    """,
    "CREATE INDEX events_source_idx ON crossdock.events (tenant_id, source_id, id)",
    "CREATE INDEX events_type_idx ON crossdock.events (tenant_id, event_type, id)",
    """
    CREATE INDEX events_status_idx ON crossdock.events (tenant_id, status, id)
        WHERE status <> 'accepted'
    """,
    """
    CREATE TABLE crossdock.event_fields (
        tenant_id uuid NOT NULL,
        key bytea NOT NULL,
        id uuid NOT NULL,
        CONSTRAINT event_fields_pkey PRIMARY KEY (tenant_id, key, id),
        CONSTRAINT event_fields_key_check CHECK (octet_length(key) = 16)
    ) PARTITION BY RANGE (id)
    """,
    "CREATE TABLE crossdock.event_fields_rest PARTITION OF crossdock.event_fields DEFAULT",
    """
    CREATE TABLE crossdock.event_types (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        name text NOT NULL,
        description text DEFAULT '' NOT NULL,
        mode text DEFAULT 'off' NOT NULL,
        compatibility text DEFAULT 'backward' NOT NULL,
        latest integer DEFAULT 0 NOT NULL,
        version bigint DEFAULT 1 NOT NULL,
        created_at timestamptz DEFAULT now() NOT NULL,
        updated_at timestamptz DEFAULT now() NOT NULL,
        CONSTRAINT event_types_pkey PRIMARY KEY (tenant_id, id),
        CONSTRAINT event_types_tenant_id_fkey
            FOREIGN KEY (tenant_id) REFERENCES crossdock.tenants (id),
        CONSTRAINT event_types_tenant_id_name_key UNIQUE (tenant_id, name),
        CONSTRAINT event_types_mode_check CHECK (mode IN ('off', 'warn', 'quarantine', 'reject')),
        CONSTRAINT event_types_compatibility_check
            CHECK (compatibility IN ('none', 'backward', 'full'))
    )
    """,
    """
    CREATE TABLE crossdock.event_type_versions (
        tenant_id uuid NOT NULL,
        event_type_id uuid NOT NULL,
        number integer NOT NULL,
        schema text NOT NULL,
        weight integer NOT NULL,
        created_at timestamptz DEFAULT now() NOT NULL,
        CONSTRAINT event_type_versions_pkey PRIMARY KEY (tenant_id, event_type_id, number),
        CONSTRAINT event_type_versions_tenant_id_fkey
            FOREIGN KEY (tenant_id, event_type_id)
            REFERENCES crossdock.event_types (tenant_id, id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE crossdock.releases (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        source_id uuid,
        event_id uuid,
        created_at timestamptz DEFAULT now() NOT NULL,
        CONSTRAINT releases_pkey PRIMARY KEY (tenant_id, id),
        CONSTRAINT releases_what_check CHECK (num_nonnulls(source_id, event_id) = 1)
    )
    """,
    "CREATE INDEX releases_created_at_idx ON crossdock.releases (created_at)",
    """
    CREATE TABLE crossdock.payload_keys (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        wrapped bytea NOT NULL,
        created_at timestamptz DEFAULT now() NOT NULL,
        retired_at timestamptz,
        CONSTRAINT payload_keys_pkey PRIMARY KEY (tenant_id, id),
        CONSTRAINT payload_keys_tenant_id_fkey
            FOREIGN KEY (tenant_id) REFERENCES crossdock.tenants (id)
    )
    """,
    """
    CREATE UNIQUE INDEX payload_keys_current_key ON crossdock.payload_keys (tenant_id)
        WHERE retired_at IS NULL
    """,
    """
    CREATE TABLE crossdock.refusals (
        tenant_id uuid NOT NULL,
        source_id uuid NOT NULL,
        id uuid NOT NULL,
        reason text NOT NULL,
        detail text NOT NULL,
        method text NOT NULL,
        address text NOT NULL,
        headers bytea NOT NULL,
        size integer NOT NULL,
        body_sha256 bytea,
        CONSTRAINT refusals_pkey PRIMARY KEY (tenant_id, source_id, id)
    )
    """,
    """
    CREATE TABLE crossdock.refusal_counts (
        tenant_id uuid NOT NULL,
        source_id uuid NOT NULL,
        day date NOT NULL,
        reason text NOT NULL,
        count bigint NOT NULL,
        CONSTRAINT refusal_counts_pkey PRIMARY KEY (tenant_id, source_id, day, reason)
    )
    """,
    """
    CREATE TABLE crossdock.retention_drops (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        begins timestamptz NOT NULL,
        ends timestamptz NOT NULL,
        events bigint NOT NULL,
        bytes bigint NOT NULL,
        kept bigint NOT NULL,
        dropped_at timestamptz DEFAULT now() NOT NULL,
        CONSTRAINT retention_drops_pkey PRIMARY KEY (tenant_id, id)
    )
    """,
    """
    CREATE TYPE crossdock.new_event_2 AS (
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
        data_key uuid
    )
    """,
)
"""`new_event` stays beside `new_event_2`: workers of the release before go on persisting."""
