"""Metrics of a process that forks: children write to files, the parent serves their sum.

prometheus_client decides once, when it is first imported, whether values live in memory or in
mapped files. So this module imports nothing of it at the top, and a parent calls `prepare` first of
all.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"


def prepare() -> Path:
    """Make the folder that children write to; call before anything imports a metric."""
    folder = Path(tempfile.mkdtemp(prefix="crossdock-metrics-"))
    os.environ[VARIABLE] = str(folder)
    return folder


def serve(host: str, port: int) -> None:
    """Serve the sum of all children at `/metrics`, on a thread of its own."""
    from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415
    from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    start_http_server(port, host, registry)


def sweep() -> None:
    """Forget the live gauges of processes that are no more; a child does so when it starts."""
    folder = os.environ.get(VARIABLE)
    for path in Path(folder).glob("gauge_live*.db") if folder else ():
        pid = int(path.stem.rpartition("_")[2])
        if not _is_alive(pid):
            path.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def forget(folder: Path) -> None:
    """Remove the folder at the parent's end."""
    shutil.rmtree(folder, ignore_errors=True)
