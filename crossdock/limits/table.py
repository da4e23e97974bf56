"""The table that the processes of a machine count in: a file, mapped into each of them."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec
import structlog

from crossdock.config import LimitSettings
from crossdock.native import LimitTable
from crossdock.telemetry.metrics import LIMITS_OPEN

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
SYSCTL_S: Final = 5.0

log = structlog.get_logger(__name__)


class OpenTable(msgspec.Struct, frozen=True):
    """A table, and where it is."""

    table: LimitTable
    path: Path | None
    """`None` for one of this process's own, which nobody shares."""


def open_table(settings: LimitSettings) -> OpenTable:
    """Return the table that the settings name, or one of this process's own.

    A table that can't be opened stops nobody: the process counts for itself then, so that the
    processes of this machine admit more between them. That is logged as an error, and counted.
    """
    if settings.table is not None:
        try:
            table = LimitTable(str(settings.table), boot_id(), settings.slots)
        except (OSError, ValueError) as error:
            LIMITS_OPEN.labels("table").inc()
            log.error("limit_table_unusable", path=str(settings.table), reason=str(error))
        else:
            return OpenTable(table, settings.table)
    return OpenTable(LimitTable(None, boot_id(), settings.slots), None)


def boot_id() -> bytes:
    """Return what names this boot of the machine; a table of another one is worth nothing.

    The clock that arrival times are kept by begins anew with each boot.
    """
    try:
        return BOOT_ID.read_bytes().strip()
    except OSError:
        pass
    if sys.platform == "darwin":
        done = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"],
            capture_output=True,
            timeout=SYSCTL_S,
            check=False,
        )
        return done.stdout.strip()
    return b""
