"""`crossdock shard`: the databases that tenants live on."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crossdock.cli.options import Data, Json, print_json
from crossdock.config import LogSettings, Settings
from crossdock.db import Databases
from crossdock.db.address import resolve
from crossdock.embedded import EmbeddedPostgres
from crossdock.errors import ConfigurationError
from crossdock.shards.model import Shard, ShardFacts
from crossdock.shards.service import Shards
from crossdock.supervisor.folder import DEFAULT, find_settings, names_servers
from crossdock.telemetry import logs

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Add, list, close and open shards.")

Name = Annotated[str, typer.Argument(help="The shard's name.")]


@app.command()
def add(
    name: Name,
    url: Annotated[
        str | None,
        typer.Option(
            help="Where it is: postgresql://HOST:PORT/DATABASE, or postgresql:///DATABASE for"
            " another database of shard 0's server. With a data folder it may be left out."
        ),
    ] = None,
    admin_url: Annotated[
        str | None,
        typer.Option(help="An administrator's address of it, where our roles are to be made."),
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for a server that isn't up yet.")
    ] = 60.0,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Make an empty database the next shard; safe to repeat. New tenants are placed on it at once.

    Its server must be there, and the database too; with a data folder it is made.
    """
    settings = find_settings(data)
    if url is None:
        url, admin_url = _beside(name, data)
    elif admin_url is None and settings.database.admin_url is not None:
        admin_url = resolve(url, settings.database.admin_url) if _has_no_host(url) else None
    made = _run(settings, lambda it: it.add(name, url, admin_url=admin_url, wait_s=wait))
    _tell(made, as_json=as_json)


@app.command("list")
def list_shards(data: Data = None, as_json: Json = False) -> None:
    """List all shards: whether they answer and take new tenants, and how many live there."""
    found = _run(find_settings(data), lambda it: it.all())
    if as_json:
        print_json({"items": [_shown(facts.shard) | _facts(facts) for facts in found]})
        return
    table = Table("shard", "name", "state", "tenants", "answers", "address", box=None)
    for facts in found:
        table.add_row(
            str(facts.shard.id),
            escape(facts.shard.name),
            facts.shard.state,
            str(facts.tenants),
            "yes" if facts.is_reachable else f"[red]no[/red]: {escape(facts.problem or '')}",
            escape(facts.shard.url) or "as the settings say",
        )
    Console().print(table)


@app.command()
def close(name: Name, data: Data = None, as_json: Json = False) -> None:
    """Place no new tenants on a shard; those that live there stay."""
    _tell(_run(find_settings(data), lambda it: it.switch(name, "closed")), as_json=as_json)


@app.command("open")
def open_shard(name: Name, data: Data = None, as_json: Json = False) -> None:
    """Place new tenants on a shard again."""
    _tell(_run(find_settings(data), lambda it: it.switch(name, "open")), as_json=as_json)


def _beside(name: str, data: Path | None) -> tuple[str, str]:
    """Make an empty database on a data folder's own server; return its address, and an admin's."""
    if data is None and names_servers(os.environ):
        raise ConfigurationError("Say where the database is, by --url.")
    server = EmbeddedPostgres(data or DEFAULT)
    database = f"crossdock_{name.replace('-', '_')}"
    if not database.isidentifier():  # the service says what is wrong with the name
        return f"postgresql:///{database}", server.admin_url()
    server.ensure_database(database)
    return f"postgresql:///{database}", server.admin_url(database)


def _has_no_host(url: str) -> bool:
    return url.startswith(("postgresql:///", "postgres:///"))


def _run(settings: Settings, work: Callable[[Shards], Awaitable[T]]) -> T:
    logs.configure(LogSettings(level="warning", format="console"), "shard")
    return asyncio.run(_with_service(settings, work))


async def _with_service(settings: Settings, work: Callable[[Shards], Awaitable[T]]) -> T:
    databases = await Databases.open(settings.database, {"control"})
    try:
        return await work(Shards(databases))
    finally:
        await databases.close()


def _tell(shard: Shard, *, as_json: bool) -> None:
    if as_json:
        print_json(_shown(shard))
        return
    for name, value in _shown(shard).items():
        print(f"{name:<11} {value}")


def _shown(shard: Shard) -> dict[str, Any]:
    return {
        "shard": shard.id,
        "name": shard.name,
        "state": shard.state,
        "url": shard.url or None,
        "created_at": shard.created_at.isoformat(timespec="seconds"),
    }


def _facts(facts: ShardFacts) -> dict[str, Any]:
    return {
        "tenants": facts.tenants,
        "reachable": facts.is_reachable,
        "problem": facts.problem,
    }
