"""`crossdock keys`: the keys that sign access tokens."""

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
from crossdock.identity.keys import KeyInfo, SigningKeys, list_keys
from crossdock.secrets.seal import Sealer
from crossdock.supervisor.folder import find_settings
from crossdock.telemetry import logs

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Rotate and list the keys that sign access tokens.")


@app.command("list")
def list_all(data: Data = None, as_json: Json = False) -> None:
    """List all keys, newest first: which signs, which will, which did."""
    keys = _run(find_settings(data), list_keys)
    if as_json:
        print_json({"items": [_shown(key) for key in keys]})
        return
    table = Table("kid", "algorithm", "phase", "signs from", "ends at")
    for key in keys:
        end = "" if key.ends_at is None else _moment(key.ends_at)
        table.add_row(key.kid, key.algorithm, key.phase, _moment(key.signs_from), end)
    Console().print(table)


@app.command()
def rotate(
    at_once: Annotated[
        bool,
        typer.Option(
            "--now", help="Sign with it from now on, not in ten minutes, when all have heard of it."
        ),
    ] = False,
    revoke_old: Annotated[
        bool,
        typer.Option(
            "--revoke-old",
            help="End all other keys, and with them every access token there is. For a key that"
            " leaked; implies [bold]--now[/bold].",
        ),
    ] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Make a new key. The old one stays published until its last token is over."""
    settings = find_settings(data)
    logs.configure(LogSettings(level="warning", format="console"), "keys")
    sealer = Sealer.from_text(settings.keys.identity, setting="CROSSDOCK_KEYS__IDENTITY")

    async def work(database: Databases) -> KeyInfo:
        keys = SigningKeys(database, sealer)
        return await keys.rotate(at_once=at_once, revoke_old=revoke_old)

    made = _run(settings, work)
    if as_json:
        print_json(_shown(made))
        return
    print(f"Key {made.kid} signs from {_moment(made.signs_from)}.")
    if revoke_old:
        print("All other keys ended; clients go on with their refresh tokens.")


def _run(settings: Settings, work: Callable[[Databases], Awaitable[T]]) -> T:
    return asyncio.run(_with_database(settings, work))


async def _with_database(settings: Settings, work: Callable[[Databases], Awaitable[T]]) -> T:
    database = await Databases.open(settings.database, {"control"})
    try:
        return await work(database)
    finally:
        await database.close()


def _moment(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="seconds")


def _shown(key: KeyInfo) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(key)
    return shown
