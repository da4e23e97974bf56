"""Small disks of their own for servers, to be filled: a tmpfs, where we may mount one."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

MIB: Final = 1024 * 1024
PIECE: Final = 64 * 1024


def obstacle() -> str | None:
    """Return why there can be no small disk here, or `None`."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("mount"):
        return "only root on Linux mounts a small disk"
    return None


class Disk:
    """A mounted tmpfs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave not a byte of room."""
        with suppress(OSError), self._ballast.open("ab", buffering=0) as ballast:
            while True:
                ballast.write(bytes(PIECE))
        with suppress(OSError), self._ballast.open("ab", buffering=0) as ballast:
            while True:
                ballast.write(bytes(512))

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)

    @property
    def room(self) -> int:
        """Bytes that are free."""
        return shutil.disk_usage(self.folder).free


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Disk]:
    """Mount a disk of so many bytes over a folder, with what was in it."""
    moved = folder.with_name(f"{folder.name}.moved")
    folder.rename(moved)
    folder.mkdir()
    owner = moved.stat()
    options = f"size={size},mode=0700,uid={owner.st_uid},gid={owner.st_gid}"
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "crossdock-test", str(folder)],  # noqa: S607
        check=True,
    )
    try:
        subprocess.run(["cp", "-a", f"{moved}/.", f"{folder}/"], check=True)  # noqa: S607
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)  # noqa: S607
        shutil.rmtree(moved, ignore_errors=True)
