"""Settings: one frozen tree, from a TOML file and the environment; the environment wins.

`CROSSDOCK_CONFIG` names the file. `CROSSDOCK_<SECTION>__<NAME>` sets one value, for example
`CROSSDOCK_DATABASE__URL`. Lists in the environment are comma separated. A process needs only what
it uses: a gateway has no business knowing the password of the ingest role.

A variable with `__` in its name must name a setting. Others that begin alike are left alone unless
they name one: people keep keys and addresses of theirs in such variables.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from crossdock.errors import ConfigurationError

PREFIX: Final = "CROSSDOCK_"

DatabaseRole = Literal[
    "owner", "app", "ingest", "dispatch", "maintenance", "directory", "control", "operator"
]
WorkerRole = Literal["webhooks", "maintenance"]


class DatabaseSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where PostgreSQL is, and the passwords of those roles that this process may take."""

    url: str = "postgresql://127.0.0.1:5432/crossdock"
    """Host, port, database and options; the user is the role's, so none is given here."""
    admin_url: str | None = None
    """An administrator's address of the same database; only `crossdock migrate` takes it."""
    owner_password: str | None = None
    app_password: str | None = None
    ingest_password: str | None = None
    dispatch_password: str | None = None
    maintenance_password: str | None = None
    directory_password: str | None = None
    control_password: str | None = None
    operator_password: str | None = None
    pool_size: int = 8
    """Connections each process keeps to each role it uses, on each shard."""
    tenant_connections: int = 4
    """Of those shared by all tenants, how many one of them may hold at once."""
    acquire_timeout_s: float = 2.0
    """How long a tenant's work waits for a connection before it is told to come again."""
    dedicated_pool_size: int = 4
    """Connections of a tenant of the dedicated tier, in a process."""
    dedicated_pools: int = 32
    """Such pools in a process; the one least recently used closes."""

    def password(self, role: DatabaseRole) -> str | None:
        """Return the password of a role, or `None` where the server asks for none."""
        value: str | None = getattr(self, f"{role}_password")
        return value


class NatsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where NATS is, and how its streams are kept."""

    url: str = "nats://127.0.0.1:4222"
    """One address, or several separated by commas."""
    user: str | None = None
    password: str | None = None
    tls_ca: Path | None = None
    replicas: int = 1
    group_commit: bool = True
    """Publish in atomic batches: what pays where the server syncs every write."""
    ingest_max_bytes: int = 4 * 1024**3
    events_max_bytes: int = 1024**3
    out_max_bytes: int = 1024**3
    """Of what is delivered to destinations on NATS."""
    bodies_max_bytes: int = 4 * 1024**3
    """Of large bodies that wait to be persisted."""


class GatewaySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The HTTP side."""

    host: str = "127.0.0.1"
    port: int = 8080
    processes: int = 1
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 9464
    public_url: str = "http://127.0.0.1:8080"
    """What senders see; Twilio and Square sign it, so a raw Host header is never trusted for it."""
    max_body_bytes: int = 5 * 1024**2
    """The largest webhook that any source may take."""
    inline_body_bytes: int = 512 * 1024
    """A larger one is stored apart, and its message says where: below the broker's `max_payload`,
    with room for the envelope."""
    large_bodies_bytes: int = 64 * 1024**2
    """Of bodies above that, how much one process holds at once; over it the answer is 503."""
    streams: int = 2_000
    """Listeners to live events in one process."""
    tenant_streams: int = 100
    """Of them, of one tenant."""
    body_timeout_s: float = 10.0
    max_pending: int = 10_000
    """Webhooks waiting for the broker's word in one process; over it the answer is 503."""
    publish_timeout_s: float = 5.0
    trusted_proxies: tuple[str, ...] = ()
    """Networks, as CIDR, whose `X-Forwarded-For` is believed."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call the REST API, such as `https://console.example.com`."""


class WorkerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The NATS side."""

    roles: tuple[WorkerRole, ...] = ("webhooks", "maintenance")
    shards: tuple[int, ...] = ()
    """Which shards to work for; empty means all."""
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 9465
    batch_size: int = 500
    concurrency: int = 128
    """Delivery attempts in flight in one process."""
    destination_concurrency: int = 32
    """Of them, to one destination."""
    drain_grace_s: float = 20.0
    retention_days: int = 30
    """How long events are kept; what is not finished outlives them."""


class DeliverySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Rules for calling out; see `docs/delivery.md`."""

    timeout_s: float = 15.0
    allow_loopback: bool = False
    """For development: lets destinations live on this machine. Never in production."""
    allowed_ports: tuple[int, ...] = (80, 443)
    """Ports a destination may name; empty means any."""
    lease_s: float = 60.0


class TransformSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What tenants' scripts may take; see `docs/transformations.md`."""

    processes: int = 2
    """That run scripts, beside each worker process and each gateway process that is asked to."""
    cpu_ms: int = 50
    """Of the processor, for one run."""
    memory_bytes: int = 32 * 1024**2
    """Of a script's heap."""
    output_bytes: int = 1024**2
    """Of the body that a script returns."""


class KeySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Keys that seal secrets at rest: 32 bytes each, base64."""

    sources: str | None = None
    """Seals sources' secrets; only gateways hold it."""
    destinations: str | None = None
    """Seals destinations' signing secrets; gateways and workers hold it."""
    identity: str | None = None
    """Seals the keys that sign tokens and the seeds of second factors; only gateways hold it."""
    mail: str | None = None
    """Seals letters that wait to be sent, for they hold tokens; gateways and workers hold it."""
    answers: str | None = None
    """Seals the answers that are kept for repeated requests; only gateways hold it."""
    payloads: str | None = None
    """Seals tenants' data keys, which seal payloads; gateways and workers hold it."""


class LimitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How often who may ask; see `docs/rate-limits.md`. Tenants' own limits are in their plan."""

    table: Path | None = None
    """The file that this machine's gateways and workers count in; by default each gateway server
    makes one of its own, and each worker. Name one where several of them share a machine."""
    slots: int = 65_536
    """Tenants, keys, sources and destinations that are counted at once, rounded up to a power of
    two."""
    address_per_minute: int = 600
    """Requests from one address without a credential, or with one that was refused."""
    address_burst: int = 200
    key_per_minute: int = 6_000
    """Requests with one API key or by one person, whatever the tenant's plan."""
    exchange: bool = True
    """Tell other nodes what was used here, over NATS."""
    exchange_s: float = 0.2


class IdentitySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Signing up and signing in; see `docs/identity.md`. Times are in seconds."""

    signup_open: bool = True
    """Whether anybody may make a tenant of their own."""
    signup_ttl_s: float = 86_400.0
    invitation_ttl_s: float = 7 * 86_400.0
    reset_ttl_s: float = 1_800.0
    access_ttl_s: float = 600.0
    """Life of an access token; revocations are remembered as long."""
    refresh_idle_s: float = 14 * 86_400.0
    refresh_absolute_s: float = 90 * 86_400.0
    refresh_grace_s: float = 10.0
    """How long a refresh token that was just used gives its successor once more."""
    hash_memory_kib: int = 65_536
    """Of one password's hash by argon2id; at least 19,456, as OWASP's cheat sheet asks."""
    hash_passes: int = 3
    """Over that memory, at least 2."""
    hash_queue: int = 16
    """Passwords waiting to be hashed in one process; over it the answer is 503."""
    breached_passwords: Path | None = None
    """A sorted file of SHA-1 sums in hex, `SUM` or `SUM:count` a line: passwords nobody may use."""


class MailSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How letters leave: by SMTP where a host is named, else into a folder."""

    folder: Path | None = None
    smtp_host: str | None = None
    smtp_port: int = 587
    smtp_user: str | None = None
    smtp_password: str | None = None
    smtp_tls: Literal["starttls", "tls", "none"] = "starttls"
    smtp_ca: Path | None = None
    """Certificates to trust besides the system's."""
    sender: str = "Crossdock <no-reply@localhost>"


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Logs go to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of them."""

    environment: str = "dev"
    """Part of every API key's text, so that a key of one environment is refused by another."""
    shard: int = 0
    database: DatabaseSettings = DatabaseSettings()
    nats: NatsSettings = NatsSettings()
    gateway: GatewaySettings = GatewaySettings()
    worker: WorkerSettings = WorkerSettings()
    delivery: DeliverySettings = DeliverySettings()
    transforms: TransformSettings = TransformSettings()
    keys: KeySettings = KeySettings()
    limits: LimitSettings = LimitSettings()
    identity: IdentitySettings = IdentitySettings()
    mail: MailSettings = MailSettings()
    log: LogSettings = LogSettings()


_PLAIN: Final = frozenset({f"{PREFIX}ENVIRONMENT", f"{PREFIX}SHARD"})
"""Settings that are in no section."""


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of this process.

    Raises:
        ConfigurationError: names the setting and says what is wrong with it.
    """
    env = os.environ if environ is None else environ
    tree = _from_file(env.get(f"{PREFIX}CONFIG"))
    for name, text in env.items():
        if name.startswith(PREFIX) and ("__" in name or name in _PLAIN):
            _graft(tree, name, text)
    try:
        return msgspec.convert(tree, Settings, strict=False, dec_hook=read_path)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"Settings: {error}") from error


def read_path(kind: type, value: Any) -> Path:
    """Return a setting that is a path from its text: msgspec's hook for what it does not know."""
    if kind is not Path or not isinstance(value, str):
        raise NotImplementedError
    if not value:
        raise ValueError("A path is never empty.")
    return Path(value)


def write_path(value: Any) -> str:
    """Return a path's text: the other hook."""
    if not isinstance(value, Path):
        raise NotImplementedError
    return str(value)


def _from_file(path: str | None) -> dict[str, Any]:
    if not path:
        return {}
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{PREFIX}CONFIG={path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def _graft(tree: dict[str, Any], name: str, text: str) -> None:
    *sections, leaf = name.removeprefix(PREFIX).lower().split("__")
    known: Any = Settings
    for part in (*sections, leaf):
        fields = {field.name: field for field in msgspec.structs.fields(known)}
        if part not in fields:
            raise ConfigurationError(f"{name} names no setting.")
        known = fields[part].type
    for section in sections:
        tree = tree.setdefault(section, {})
    is_list = getattr(known, "__origin__", None) is tuple
    tree[leaf] = [part for part in text.split(",") if part] if is_list else text
