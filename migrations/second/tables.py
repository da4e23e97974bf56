"""Tables and their indexes, as of revision 0002."""

from typing import Final

STATEMENTS: Final = (
    """
    ALTER TABLE crossdock.tenants
        ADD COLUMN plan text NOT NULL DEFAULT 'unlimited',
        ADD COLUMN quotas jsonb NOT NULL DEFAULT '{}',
        ADD COLUMN roles_version bigint NOT NULL DEFAULT 0,
        ADD COLUMN not_before timestamptz,
        ADD COLUMN reason text,
        ADD COLUMN terminate_at timestamptz,
        ADD COLUMN blocked_until timestamptz,
        DROP CONSTRAINT tenants_state_check,
        ADD CONSTRAINT tenants_state_check CHECK (
            state IN ('provisioning', 'active', 'suspended', 'terminating', 'terminated')
        )
    """,
    # Tenants that were here before there were plans keep what they had: no limits.
    "ALTER TABLE crossdock.tenants ALTER COLUMN plan SET DEFAULT 'standard'",
    "ALTER TABLE crossdock.api_keys ADD COLUMN created_by uuid, ADD COLUMN rotated_to uuid",
    """
    CREATE TABLE crossdock.shards (
        id integer NOT NULL,
        name text NOT NULL,
        url text NOT NULL,
        state text DEFAULT 'open' NOT NULL,
        created_at timestamptz DEFAULT now() NOT NULL,
        CONSTRAINT shards_pkey PRIMARY KEY (id),
        CONSTRAINT shards_name_key UNIQUE (name),
        CONSTRAINT shards_state_check CHECK (state IN ('open', 'closed'))
    )
    """,
    """
    CREATE TABLE crossdock.placements (
        tenant_id uuid NOT NULL,
        slug text NOT NULL,
        name text NOT NULL,
        shard integer NOT NULL,
        tier text DEFAULT 'shared' NOT NULL,
        created_at timestamptz DEFAULT now() NOT NULL,
        CONSTRAINT placements_pkey PRIMARY KEY (tenant_id),
        CONSTRAINT placements_shard_fkey
            FOREIGN KEY (shard) REFERENCES crossdock.shards (id),
        CONSTRAINT placements_slug_key UNIQUE (slug),
        CONSTRAINT placements_tier_check CHECK (tier IN ('shared', 'dedicated'))
    )
    """,
    "CREATE INDEX placements_shard_idx ON crossdock.placements (shard)",
    """
    CREATE INDEX placements_dedicated_idx ON crossdock.placements (tenant_id)
        WHERE tier = 'dedicated'
    """,
    """
    CREATE TABLE crossdock.users (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        email text NOT NULL,
        name text NOT NULL,
        password_hash text,
        state text DEFAULT 'active' NOT NULL,
        roles text[] DEFAULT '{}' NOT NULL,
        not_before timestamptz,
        totp_sealed bytea,
        totp_confirmed_at timestamptz,
        totp_step bigint,
        version bigint DEFAULT 1 NOT NULL,
        created_at timestamptz DEFAULT now() NOT NULL,
        updated_at timestamptz DEFAULT now() NOT NULL,
        last_login_at timestamptz,
        CONSTRAINT users_pkey PRIMARY KEY (tenant_id, id),
        CONSTRAINT users_tenant_id_fkey
            FOREIGN KEY (tenant_id) REFERENCES crossdock.tenants (id),
        CONSTRAINT users_tenant_id_email_key UNIQUE (tenant_id, email),
        CONSTRAINT users_state_check CHECK (state IN ('active', 'disabled'))
    )
    """,
    """
    CREATE TABLE crossdock.recovery_codes (
        tenant_id uuid NOT NULL,
        user_id uuid NOT NULL,
        hash bytea NOT NULL,
        used_at timestamptz,
        CONSTRAINT recovery_codes_pkey PRIMARY KEY (tenant_id, user_id, hash),
        CONSTRAINT recovery_codes_tenant_id_fkey
            FOREIGN KEY (tenant_id, user_id) REFERENCES crossdock.users (tenant_id, id)
                ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE crossdock.sessions (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        user_id uuid NOT NULL,
        created_at timestamptz DEFAULT now() NOT NULL,
        last_used_at timestamptz DEFAULT now() NOT NULL,
        idle_ends_at timestamptz NOT NULL,
        ends_at timestamptz NOT NULL,
        revoked_at timestamptz,
        revoked_reason text,
        user_agent text DEFAULT '' NOT NULL,
        address text DEFAULT '' NOT NULL,
        CONSTRAINT sessions_pkey PRIMARY KEY (tenant_id, id),
        CONSTRAINT sessions_tenant_id_fkey
            FOREIGN KEY (tenant_id, user_id) REFERENCES crossdock.users (tenant_id, id)
                ON DELETE CASCADE
    )
    """,
    "CREATE INDEX sessions_tenant_id_user_id_idx ON crossdock.sessions (tenant_id, user_id)",
    """
    CREATE TABLE crossdock.refresh_tokens (
        tenant_id uuid NOT NULL,
        hash bytea NOT NULL,
        session_id uuid NOT NULL,
        parent_hash bytea,
        created_at timestamptz DEFAULT now() NOT NULL,
        used_at timestamptz,
        CONSTRAINT refresh_tokens_pkey PRIMARY KEY (tenant_id, hash),
        CONSTRAINT refresh_tokens_tenant_id_fkey
            FOREIGN KEY (tenant_id, session_id) REFERENCES crossdock.sessions (tenant_id, id)
                ON DELETE CASCADE
    )
    """,
    """
    CREATE INDEX refresh_tokens_tenant_id_session_id_idx
        ON crossdock.refresh_tokens (tenant_id, session_id)
    """,
    """
    CREATE TABLE crossdock.password_resets (
        tenant_id uuid NOT NULL,
        hash bytea NOT NULL,
        user_id uuid NOT NULL,
        created_at timestamptz DEFAULT now() NOT NULL,
        expires_at timestamptz NOT NULL,
        used_at timestamptz,
        CONSTRAINT password_resets_pkey PRIMARY KEY (tenant_id, hash),
        CONSTRAINT password_resets_tenant_id_fkey
            FOREIGN KEY (tenant_id, user_id) REFERENCES crossdock.users (tenant_id, id)
                ON DELETE CASCADE
    )
    """,
    """
    CREATE INDEX password_resets_tenant_id_user_id_idx
        ON crossdock.password_resets (tenant_id, user_id)
    """,
    """
    CREATE TABLE crossdock.logins (
        tenant_id uuid NOT NULL,
        user_id uuid NOT NULL,
        email_hash bytea NOT NULL,
        CONSTRAINT logins_pkey PRIMARY KEY (tenant_id, user_id)
    )
    """,
    "CREATE INDEX logins_email_hash_idx ON crossdock.logins (email_hash)",
    """
    CREATE TABLE crossdock.signups (
        tenant_id uuid NOT NULL,
        user_id uuid NOT NULL,
        email text NOT NULL,
        name text NOT NULL,
        tenant_name text NOT NULL,
        slug text NOT NULL,
        password_hash text NOT NULL,
        token_hash bytea NOT NULL,
        expires_at timestamptz NOT NULL,
        created_at timestamptz DEFAULT now() NOT NULL,
        verified_at timestamptz,
        CONSTRAINT signups_pkey PRIMARY KEY (tenant_id),
        CONSTRAINT signups_token_hash_key UNIQUE (token_hash)
    )
    """,
    """
    CREATE TABLE crossdock.signing_keys (
        id text NOT NULL,
        algorithm text NOT NULL,
        public jsonb NOT NULL,
        private_sealed bytea,
        signs_from timestamptz NOT NULL,
        ends_at timestamptz,
        created_at timestamptz DEFAULT now() NOT NULL,
        CONSTRAINT signing_keys_pkey PRIMARY KEY (id)
    )
    """,
    """
    CREATE TABLE crossdock.throttles (
        key bytea NOT NULL,
        free_at timestamptz NOT NULL,
        CONSTRAINT throttles_pkey PRIMARY KEY (key)
    )
    """,
    "CREATE INDEX throttles_free_at_idx ON crossdock.throttles (free_at)",
    """
    CREATE TABLE crossdock.roles (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        name text NOT NULL,
        description text DEFAULT '' NOT NULL,
        permissions text[] NOT NULL,
        inherits text[] DEFAULT '{}' NOT NULL,
        version bigint DEFAULT 1 NOT NULL,
        created_at timestamptz DEFAULT now() NOT NULL,
        updated_at timestamptz DEFAULT now() NOT NULL,
        CONSTRAINT roles_pkey PRIMARY KEY (tenant_id, id),
        CONSTRAINT roles_tenant_id_fkey
            FOREIGN KEY (tenant_id) REFERENCES crossdock.tenants (id),
        CONSTRAINT roles_tenant_id_name_key UNIQUE (tenant_id, name)
    )
    """,
    """
    CREATE TABLE crossdock.invitations (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        email text NOT NULL,
        roles text[] NOT NULL,
        invited_by uuid,
        token_hash bytea NOT NULL,
        created_at timestamptz DEFAULT now() NOT NULL,
        expires_at timestamptz NOT NULL,
        accepted_at timestamptz,
        revoked_at timestamptz,
        CONSTRAINT invitations_pkey PRIMARY KEY (tenant_id, id),
        CONSTRAINT invitations_tenant_id_fkey
            FOREIGN KEY (tenant_id) REFERENCES crossdock.tenants (id)
    )
    """,
    """
    CREATE TABLE crossdock.support_accesses (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        operator_id uuid NOT NULL,
        operator text NOT NULL,
        reason text NOT NULL,
        created_at timestamptz DEFAULT now() NOT NULL,
        ends_at timestamptz NOT NULL,
        ended_at timestamptz,
        ended_by text,
        CONSTRAINT support_accesses_pkey PRIMARY KEY (tenant_id, id),
        CONSTRAINT support_accesses_tenant_id_fkey
            FOREIGN KEY (tenant_id) REFERENCES crossdock.tenants (id)
    )
    """,
    """
    CREATE TABLE crossdock.audit (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        actor_kind text NOT NULL,
        actor_id uuid,
        action text NOT NULL,
        target text,
        address text,
        detail jsonb DEFAULT '{}' NOT NULL,
        created_at timestamptz DEFAULT now() NOT NULL,
        CONSTRAINT audit_pkey PRIMARY KEY (tenant_id, id),
        CONSTRAINT audit_actor_kind_check
            CHECK (actor_kind IN ('user', 'key', 'operator', 'system', 'anonymous'))
    )
    """,
    """
    CREATE TABLE crossdock.alerts (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        kind text NOT NULL,
        subject text NOT NULL,
        level smallint NOT NULL,
        period text DEFAULT '' NOT NULL,
        detail jsonb DEFAULT '{}' NOT NULL,
        created_at timestamptz DEFAULT now() NOT NULL,
        resolved_at timestamptz,
        CONSTRAINT alerts_pkey PRIMARY KEY (tenant_id, id),
        CONSTRAINT alerts_tenant_id_kind_subject_level_period_key
            UNIQUE (tenant_id, kind, subject, level, period)
    )
    """,
    """
    CREATE TABLE crossdock.mails (
        tenant_id uuid NOT NULL,
        id uuid NOT NULL,
        sealed bytea,
        state text DEFAULT 'waiting' NOT NULL,
        attempts smallint DEFAULT 0 NOT NULL,
        due_at timestamptz DEFAULT now() NOT NULL,
        created_at timestamptz DEFAULT now() NOT NULL,
        sent_at timestamptz,
        last_error text,
        CONSTRAINT mails_pkey PRIMARY KEY (tenant_id, id),
        CONSTRAINT mails_state_check CHECK (state IN ('waiting', 'sent', 'failed'))
    )
    """,
    "CREATE INDEX mails_due_idx ON crossdock.mails (due_at) WHERE state = 'waiting'",
    """
    CREATE TABLE crossdock.usage_days (
        tenant_id uuid NOT NULL,
        day date NOT NULL,
        events bigint DEFAULT 0 NOT NULL,
        bytes bigint DEFAULT 0 NOT NULL,
        CONSTRAINT usage_days_pkey PRIMARY KEY (tenant_id, day)
    )
    """,
)
