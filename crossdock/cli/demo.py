"""`crossdock demo`: the main job on real servers, before your eyes."""

import asyncio
import contextlib
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
import typer
from rich.console import Console
from rich.live import Live

from crossdock.config import LogSettings
from crossdock.demo.board import Board
from crossdock.demo.run import Demo, Outcome
from crossdock.telemetry import logs


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="End by itself; the last line is one JSON object.")
    ] = False,
    count: Annotated[int, typer.Option(min=100, help="How many good webhooks to send.")] = 3000,
) -> None:
    """Run the main job: signed webhooks in, durable, delivered, retried, dead-lettered, replayed.

    Starts a real NATS and PostgreSQL in a temporary folder. Exits with 1 if anything was lost.
    """
    logs.configure(LogSettings(level="warning", format="console"), "demo")
    with tempfile.TemporaryDirectory(prefix="crossdock-demo-") as folder:
        outcome = asyncio.run(_run(Path(folder), count, once=once))
    if outcome.lost:
        raise typer.Exit(1)


async def _run(folder: Path, count: int, *, once: bool) -> Outcome:
    console = Console()
    log_path = folder / "programs.log"
    with log_path.open("ab") as log:
        demo = Demo(folder / "data", count, _Log(log))
        console.print("Starting NATS, PostgreSQL, a gateway and a worker …")
        async with demo.stack() as settings:
            with _shown(console, demo.board):
                outcome = await demo.run(settings)
            if once:
                print(msgspec.json.encode(outcome).decode(), flush=True)
            else:
                _invite(console, settings.gateway.public_url, folder / "data", outcome)
                await _until_interrupted()
    return outcome


class _Log:
    """Keeps the programs' lines beside their data, out of the table's way."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __call__(self, _name: str, line: bytes) -> None:
        self._file.write(line)


@contextlib.contextmanager
def _shown(console: Console, board: Board) -> Iterator[None]:
    """Show the board live on a terminal, and once at the end elsewhere."""
    if console.is_terminal:
        with Live(board, console=console, refresh_per_second=4):
            yield
    else:
        yield
        console.print(board)


def _invite(console: Console, url: str, data: Path, outcome: Outcome) -> None:
    console.print(
        f"""
[bold]{outcome.accepted} accepted, {outcome.lost} lost.[/bold] It keeps running.
Try next, in another terminal:

  crossdock tenant create acme --data {data}
  crossdock doctor --data {data}
  curl {url}/health/components

The API is described at {url}/schema. Ctrl-C stops it and removes its data.
"""
    )


async def _until_interrupted() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
