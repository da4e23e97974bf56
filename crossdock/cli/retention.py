"""`crossdock retention`: what of the past went, and what would."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from crossdock.cli.options import Data, Json, print_json
from crossdock.config import LogSettings, Settings
from crossdock.db import Databases
from crossdock.db.retention import Due
from crossdock.retention.model import Pass, Total
from crossdock.retention.service import MOST_TOTALS, Passes
from crossdock.supervisor.folder import find_settings
from crossdock.telemetry import logs

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="See what of old events went, and let go of them now.")


@app.command()
def report(
    limit: Annotated[
        int, typer.Option(min=1, max=MOST_TOTALS, help="Partitions to tell of, at most.")
    ] = 30,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Tell what went lately of all tenants' events, by partition, newest first."""
    settings = find_settings(data)
    found = _run(settings, lambda it: it.totals(limit))
    if as_json:
        print_json(
            {
                "days": settings.worker.retention_days,
                "items": [msgspec.to_builtins(total) for total in found],
            }
        )
        return
    table = Table("shard", "from", "to", "tenants", "events", "bytes", "kept", "dropped", box=None)
    for total in found:
        table.add_row(*_row(total))
    Console().print(table)
    print(f"Events are kept for {settings.worker.retention_days} days.")


@app.command()
def run(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would go, and change nothing.")
    ] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Do now what a worker does every hour: drop what is older than the retention; safe to repeat.

    What is not finished stays. Ingest goes on meanwhile.
    """
    settings = find_settings(data)
    found = _run(settings, lambda it: it.run(dry=dry_run))
    if as_json:
        print_json({"dry_run": dry_run, "shards": [_shown(one) for one in found]})
        return
    for one in found:
        for line in _lines(one):
            print(line)


def _run(settings: Settings, work: Callable[[Passes], Awaitable[T]]) -> T:
    logs.configure(LogSettings(level="warning", format="console"), "retention")
    return asyncio.run(_with_service(settings, work))


async def _with_service(settings: Settings, work: Callable[[Passes], Awaitable[T]]) -> T:
    databases = await Databases.open(settings.database, {"maintenance"})
    try:
        return await work(Passes(databases, days=settings.worker.retention_days))
    finally:
        await databases.close()


def _row(total: Total) -> tuple[str, ...]:
    return (
        str(total.shard),
        _moment(total.begins),
        _moment(total.ends),
        f"{total.tenants:,}",
        f"{total.events:,}",
        f"{total.bytes:,}",
        f"{total.kept:,}",
        _moment(total.dropped_at),
    )


def _moment(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="minutes")


def _shown(one: Pass) -> dict[str, Any]:
    if one.report is None:
        return {"shard": one.shard, "due": [_due(due) for due in one.due]}
    return {"shard": one.shard, **msgspec.to_builtins(one.report)}


def _due(due: Due) -> dict[str, Any]:
    return {
        "name": due.name,
        "begins": due.begins,
        "ends": due.ends,
        "tenants": len(due.shares),
        "events": sum(share.events for share in due.shares),
        "bytes": sum(share.bytes for share in due.shares),
        "kept": sum(share.kept for share in due.shares),
    }


def _lines(one: Pass) -> list[str]:
    if one.report is not None:
        gone = one.report
        line = (
            f"shard {one.shard}: {len(gone.partitions)} partitions dropped,"
            f" {gone.events:,} events with {gone.bytes:,} bytes"
        )
        return [line]
    found = [
        f"shard {one.shard}: {due['name']} would go, {due['events']:,} events with"
        f" {due['bytes']:,} bytes; {due['kept']:,} stay"
        for due in map(_due, one.due)
    ]
    return found or [f"shard {one.shard}: nothing would go"]
