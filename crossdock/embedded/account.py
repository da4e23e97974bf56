"""Whom the servers run as. Root is nobody's choice: PostgreSQL refuses it, and NATS needs no right.

No user is added and no folder's mode is changed for this. Where the unprivileged user can't walk to
a data folder, such as one under root's home, the server is handed the folder as its working
directory instead: see `address`.
"""

import os
import pwd
import stat
import sys
from pathlib import Path
from typing import Final, Self

import msgspec

from crossdock.errors import ConfigurationError

UNPRIVILEGED: Final = "nobody"
WORKING_DIRECTORY: Final = "/proc/self/cwd"
"""Names the working directory without walking to it: no parent has to be traversable."""


class Account(msgspec.Struct, frozen=True):
    """A user that a server can run as."""

    uid: int
    gid: int

    @classmethod
    def for_folder(cls, folder: Path) -> Self | None:
        """Return whom to become for a server that keeps its data there; `None` is as we are.

        A folder that already has an unprivileged owner keeps it, so that data made by a user can be
        served by root and the other way round.

        Raises:
            ConfigurationError: the folder's owner is neither us nor somebody we may become.
        """
        owner = folder.stat() if folder.exists() else None
        if os.geteuid() != 0:
            if owner is not None and owner.st_uid != os.geteuid():
                raise ConfigurationError(
                    f"{folder} belongs to user {_name(owner.st_uid)}: run as that user or as root,"
                    " or choose another data folder."
                )
            return None
        if owner is not None and owner.st_uid != 0:
            return cls(owner.st_uid, owner.st_gid)
        try:
            entry = pwd.getpwnam(UNPRIVILEGED)
        except KeyError:
            raise ConfigurationError(
                f"There is no user {UNPRIVILEGED!r} to run the servers as: start as a normal user."
            ) from None
        return cls(entry.pw_uid, entry.pw_gid)

    def can_enter(self, folder: Path) -> bool:
        """Tell whether this user can walk to a folder and into it, going by the mode bits."""
        resolved = folder.resolve()
        return all(self._may_search(step) for step in (resolved, *resolved.parents))

    def _may_search(self, folder: Path) -> bool:
        status = folder.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def own(path: Path, account: Account | None) -> None:
    """Give one of our own files or folders to a server's user."""
    if account is not None:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def make_folder(folder: Path, account: Account | None) -> None:
    """Make a folder that only a server's user can read; an existing one is left as it is."""
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        return
    own(folder, account)


def address(folder: Path, account: Account | None) -> str:
    """Return the name under which a server started inside a folder finds it.

    Raises:
        ConfigurationError: the user can't get there, and this system has no way around it.
    """
    if account is None or account.can_enter(folder):
        return str(folder.resolve())
    if sys.platform == "linux":
        return WORKING_DIRECTORY
    raise ConfigurationError(
        f"The servers run as {_name(account.uid)}, who can't enter {folder}:"
        " choose a data folder outside root's home, or start as a normal user."
    )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
