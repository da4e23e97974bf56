"""The data folder of a stack: who serves it, where its parts listen, what they need to know."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from crossdock import config
from crossdock.config import (
    DatabaseSettings,
    KeySettings,
    MailSettings,
    Settings,
    read_path,
    write_path,
)
from crossdock.embedded import EmbeddedNats, EmbeddedPostgres, SecretFolder
from crossdock.embedded.identity import Identity
from crossdock.embedded.ports import free_port, is_free, obstacle
from crossdock.embedded.secrets import write_private
from crossdock.embedded.server import make_data_folder
from crossdock.errors import ConfigurationError
from crossdock.supervisor.lock import FolderLock
from crossdock.supervisor.readiness import reachable

DEFAULT: Final = Path(".crossdock")

SIZES: Final = (
    "pool_size",
    "tenant_connections",
    "acquire_timeout_s",
    "dedicated_pool_size",
    "dedicated_pools",
)
"""Settings of the database that are a deployment's to choose, wherever the server is."""


class State(msgspec.Struct, frozen=True):
    """What `up.json` says: enough for the other commands to find a running stack."""

    settings: Settings = Settings()
    """Without servers and secrets: those are filled in from the folder when asked for."""
    programs: dict[str, Identity] = {}
    """The gateway's and the worker's processes; the servers keep their own."""


_decoder: Final = msgspec.json.Decoder(State, dec_hook=read_path)


class DataFolder:
    """A folder that `crossdock up` serves."""

    def __init__(self, path: Path = DEFAULT) -> None:
        self.path = path
        self.lock = FolderLock(path / "up.lock")
        self.secrets = SecretFolder(path / "secrets")
        self._file = path / "up.json"

    def prepare(self) -> None:
        """Make the folder, unless it is there.

        Raises:
            ConfigurationError: it can't be made.
        """
        make_data_folder(self.path)

    def fresh_scratch(self) -> Path:
        """Return an empty folder for the programs' passing files.

        A killed program leaves its own behind: here they go at the next start, and not in a folder
        that the whole machine shares.
        """
        folder = (self.path / "tmp").resolve()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        return folder

    def state(self) -> State:
        """Return what the last supervisor wrote down."""
        try:
            return _decoder.decode(self._file.read_bytes())
        except (FileNotFoundError, msgspec.DecodeError):
            return State()
        except OSError as error:
            raise ConfigurationError(f"{self._file}: {error.strerror}.") from error

    def save(self, state: State) -> None:
        """Write it down for the other commands and for the next supervisor."""
        write_private(self._file, msgspec.json.encode(state, enc_hook=write_path).decode())

    def choose_ports(self, settings: Settings, port: int | None) -> Settings:
        """Return settings with a port for each program: as told, as last time, or a free one.

        Raises:
            ConfigurationError: the port asked for can't be had.
        """
        last, plain = self.state().settings, Settings()
        gateway, worker = settings.gateway, settings.worker
        if port is not None and (reason := obstacle(port, gateway.host)) is not None:
            raise ConfigurationError(f"Port {port} on {gateway.host}: {reason}. Name another.")
        if port is None:
            port = _choose(gateway.port, last.gateway.port, plain.gateway.port)
        public_url = gateway.public_url
        if public_url == plain.gateway.public_url:
            public_url = f"http://{reachable(gateway.host)}:{port}"
        gateway = msgspec.structs.replace(
            gateway,
            port=port,
            public_url=public_url,
            metrics_port=_choose(
                gateway.metrics_port, last.gateway.metrics_port, plain.gateway.metrics_port
            ),
        )
        worker = msgspec.structs.replace(
            worker,
            metrics_port=_choose(
                worker.metrics_port, last.worker.metrics_port, plain.worker.metrics_port
            ),
        )
        return msgspec.structs.replace(settings, gateway=gateway, worker=worker)

    def complete(self, settings: Settings) -> Settings:
        """Return settings with this folder's servers, passwords, keys and mail."""
        return msgspec.structs.replace(
            settings,
            database=_sized(EmbeddedPostgres(self.path).settings(), settings.database),
            nats=EmbeddedNats(self.path).settings(),
            keys=KeySettings(
                sources=self.secrets.key("key-sources"),
                destinations=self.secrets.key("key-destinations"),
                identity=self.secrets.key("key-identity"),
                mail=self.secrets.key("key-mail"),
                answers=self.secrets.key("key-answers"),
                payloads=self.secrets.key("key-payloads"),
            ),
            mail=self.way_out(settings.mail),
        )

    def way_out(self, mail: MailSettings) -> MailSettings:
        """Return how letters leave: as told, or into a folder beside the data."""
        if mail.smtp_host is not None or mail.folder is not None:
            return mail
        return msgspec.structs.replace(mail, folder=(self.path / "mail").resolve())

    def settings(self) -> Settings:
        """Return all settings of the stack that runs here.

        Raises:
            ConfigurationError: none does.
        """
        if self.lock.holder() is None:
            raise ConfigurationError(
                f"No stack runs in {self.path}: start one with `crossdock up --data {self.path}`,"
                " or name its folder by --data."
            )
        return self.complete(self.state().settings)


def find_settings(data: Path | None = None) -> Settings:
    """Return the settings for a command that works beside a deployment.

    They come from a data folder that is named, from the environment or file that name servers, or
    from a stack that runs in the default folder.

    Raises:
        ConfigurationError: no stack runs there, or the settings are wrong.
    """
    if data is None and names_servers(os.environ):
        return config.load()
    return DataFolder(data or DEFAULT).settings()


def served_folder(data: Path | None = None) -> Path | None:
    """Return the data folder whose stack `find_settings` finds; `None` where it finds another's."""
    return None if data is None and names_servers(os.environ) else data or DEFAULT


def names_servers(environment: Mapping[str, str]) -> bool:
    """Tell whether settings point at servers, rather than only adjust this or that."""
    pointing = tuple(f"{config.PREFIX}{name}" for name in ("CONFIG", "DATABASE__", "NATS__"))
    return any(name.startswith(pointing) for name in environment)


def only_sizes(told: DatabaseSettings) -> DatabaseSettings:
    """Return what a stack lets its database settings say: how many connections, for whom."""
    return _sized(DatabaseSettings(), told)


def _sized(own: DatabaseSettings, told: DatabaseSettings) -> DatabaseSettings:
    return msgspec.structs.replace(own, **{name: getattr(told, name) for name in SIZES})


def _choose(told: int, last: int, default: int) -> int:
    """Return a port: the one told by settings, that of last time if it is free, or a free one."""
    if told != default:
        return told
    return last if last != default and is_free(last) else free_port()
