"""`crossdock up`: everything on this machine, under one supervisor."""

import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path
from threading import Lock
from typing import Annotated, Final

import msgspec
import typer

from crossdock import config
from crossdock.config import Settings
from crossdock.supervisor.folder import DEFAULT, DataFolder
from crossdock.supervisor.stack import Interrupted, Stack
from crossdock.telemetry import logs

COLOURS: Final = {"gateway": 36, "worker": 35, "migrate": 33}
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def up(
    data: Annotated[
        Path, typer.Option(help="Folder for data, passwords and keys.", show_default=True)
    ] = DEFAULT,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Where HTTP listens; a free port unless given."),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address HTTP listens on; this machine only unless given.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, max=256, help="Gateway processes.")
    ] = None,
    allow_loopback_destinations: Annotated[
        bool,
        typer.Option(
            "--allow-loopback-destinations",
            help="Let destinations live on this machine, on any port. For development.",
        ),
    ] = False,
    sync: Annotated[
        str,
        typer.Option(
            help="When NATS syncs to disk: [bold]always[/bold] before it acknowledges, or every so"
            " often, such as 2m, which a power cut can cost you."
        ),
    ] = "always",
) -> None:
    """Start everything here: NATS, PostgreSQL, gateway and worker.

    Whatever ends is started again. Ctrl-C stops all in good order, a second Ctrl-C in a hurry.
    """
    settings = _settings(host, processes, allow_loopback=allow_loopback_destinations)
    logs.configure(settings.log, "up")
    stack = Stack(DataFolder(data), settings, port=port, sync_interval=sync, sink=_Lines(settings))
    for number in STOP_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # under nohup it is
            signal.signal(number, lambda *_: stack.interrupt())
    with contextlib.suppress(Interrupted), stack:
        _welcome(stack, data)
        stack.wait()
        print("Stopping …", flush=True)


def _settings(host: str | None, processes: int | None, *, allow_loopback: bool) -> Settings:
    settings = config.load()
    gateway = msgspec.structs.replace(
        settings.gateway,
        host=host or settings.gateway.host,
        processes=processes or settings.gateway.processes,
    )
    delivery = settings.delivery
    if allow_loopback:
        delivery = msgspec.structs.replace(delivery, allow_loopback=True, allowed_ports=())
    log = settings.log
    if sys.stderr.isatty() and "CROSSDOCK_LOG__FORMAT" not in os.environ:
        log = msgspec.structs.replace(log, format="console")
    return msgspec.structs.replace(settings, gateway=gateway, delivery=delivery, log=log)


def _welcome(stack: Stack, data: Path) -> None:
    where = stack.settings.gateway
    option = "" if data == DEFAULT else f" --data {data}"
    us = "crossdock" if shutil.which("crossdock") else sys.argv[0]
    print(
        f"""
Crossdock is up.

  Webhooks   {where.public_url}/in/…
  REST API   {where.public_url}/v1      described at {where.public_url}/schema
  Health     {where.public_url}/health/components
  Metrics    http://{where.metrics_host}:{where.metrics_port}/metrics
  Data       {data.resolve()}

Try next, in another terminal:

  {us} tenant create "My first tenant"{option}
  {us} doctor{option}

Ctrl-C stops it.
""",
        flush=True,
    )


class _Lines:
    """Hands on what the programs write: for people behind the program's name, else as it is."""

    def __init__(self, settings: Settings) -> None:
        self._for_people = settings.log.format == "console"
        self._coloured = sys.stderr.isatty()
        self._lock = Lock()

    def __call__(self, name: str, line: bytes) -> None:
        if self._for_people:
            label = f"{name:>8} │ "
            if self._coloured:
                label = f"\x1b[{COLOURS.get(name, 37)}m{label}\x1b[0m"
            line = label.encode() + line
        # A closed terminal must not stop the programs.
        with self._lock, contextlib.suppress(OSError, ValueError):
            sys.stderr.buffer.write(line.rstrip(b"\n") + b"\n")
            sys.stderr.buffer.flush()
