"""The internal consumers that an embedded NATS server knows, in a file of its data folder."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from crossdock.consumers.model import ConsumerUser
from crossdock.embedded.secrets import write_private
from crossdock.errors import ConfigurationError

_decoder: Final = msgspec.json.Decoder(tuple[ConsumerUser, ...])


class UserFile:
    """Users, with hashes of their passwords and no password."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> tuple[ConsumerUser, ...]:
        """Return all users.

        Raises:
            ConfigurationError: the file can't be read.
        """
        try:
            return _decoder.decode(self._path.read_bytes())
        except FileNotFoundError:
            return ()
        except (OSError, msgspec.DecodeError) as error:
            raise ConfigurationError(f"{self._path}: {error}.") from error

    def save(self, users: Sequence[ConsumerUser]) -> None:
        """Write all users."""
        write_private(self._path, msgspec.json.encode(users).decode())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other commands from changing it, until the block ends."""
        path = self._path.with_suffix(".lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
