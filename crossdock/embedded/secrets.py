"""Generated passwords and keys: one file each, readable by nobody else."""

import base64
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from crossdock.errors import ConfigurationError

KEY_BYTES: Final = 32
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def _password() -> str:
    return secrets.token_urlsafe(24)


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


class SecretFolder:
    """A folder of secrets, each made when first asked for and the same ever after."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def password(self, name: str) -> str:
        """Return the password of that name: URL-safe text of 192 random bits."""
        return self._read_or_make(name, _password)

    def key(self, name: str) -> str:
        """Return the sealing key of that name: 32 bytes, base64."""
        return self._read_or_make(name, _key)

    def _read_or_make(self, name: str, make: Callable[[], str]) -> str:
        path = self.folder / name
        try:
            return self._read(path)
        except FileNotFoundError:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(path, make() + "\n")
            return self._read(path)

    def _read(self, path: Path) -> str:
        try:
            with path.open(encoding="ascii") as file:
                if os.fstat(file.fileno()).st_mode & OTHERS:
                    raise ConfigurationError(
                        f"{path} can be read by others: change the secret, or `chmod 600` the file"
                        " if nobody but you had access to this machine."
                    )
                return file.read().strip()
        except PermissionError as error:
            raise ConfigurationError(f"{path} can't be read: {error.strerror}.") from error


def write_private(path: Path, text: str) -> None:
    """Write a file whole or not at all, with mode 0600, replacing what was there."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, no path
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
