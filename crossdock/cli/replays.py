"""`crossdock replays`: many deliveries made again, as a job, through the API."""

from threading import Event
from typing import Annotated, Any, Final, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from crossdock.cli import api
from crossdock.cli.api import HERE, Count, Json, Key, Url
from crossdock.client import Client

app = typer.Typer(no_args_is_help=True, help="Replay many deliveries or events, as a job.")

_COLUMNS: Final = ("id", "state", "progress", "seen", "replayed", "created_at", "finished_at")
_POLL_S: Final = 0.5

Replay = Annotated[str, typer.Argument(metavar="RPL", help="`rpl_…`.")]


@app.command("list")
def list_replays(url: Url = HERE, key: Key = "", limit: Count = 20, as_json: Json = False) -> None:
    """List replays, newest first."""
    with api.calling(url, key) as client:
        found = client.replays.list(limit=min(limit, 100))
        api.tell_all(found, _COLUMNS, limit=limit, as_json=as_json, empty="There is none.")


@app.command()
def start(
    state: Annotated[
        Literal["dead", "delivered", "cancelled", "missed", "all"],
        typer.Option(
            help="Deliveries in this state; or events that a destination missed, or all it wants."
        ),
    ] = "dead",
    destination: Annotated[str | None, typer.Option(metavar="DST", help="Only to it.")] = None,
    source: Annotated[str | None, typer.Option(metavar="SRC", help="Only of it.")] = None,
    event_type: Annotated[
        list[str] | None, typer.Option("--type", metavar="PATTERN", help="Only of these types.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="`15m`, `2h`, `3d`, or 2026-01-31T12:00:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Before this.")] = None,
    reason: Annotated[str | None, typer.Option(help="Class of dead letter.")] = None,
    last_status: Annotated[int | None, typer.Option(help="Answered last.")] = None,
    watched: Annotated[
        bool, typer.Option("--watch", help="Show how far it is until it is done.")
    ] = False,
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Start a replay."""
    options: dict[str, Any] = api.given(
        destination_id=destination,
        source_id=source,
        event_types=event_type,
        created_after=api.moment(since),
        created_before=api.moment(until),
        reason=reason,
        last_status=last_status,
    )
    with api.calling(url, key) as client:
        made = client.replays.create(state=state, **options)
        api.tell(_watch(client, made.id, quiet=as_json) if watched else made, as_json=as_json)


@app.command()
def show(replay: Replay, url: Url = HERE, key: Key = "", as_json: Json = False) -> None:
    """Show a replay and how far it is."""
    with api.calling(url, key) as client:
        api.tell(client.replays.get(replay), as_json=as_json)


@app.command()
def watch(replay: Replay, url: Url = HERE, key: Key = "", as_json: Json = False) -> None:
    """Show how far a replay is until it is done, paused or cancelled."""
    with api.calling(url, key) as client:
        api.tell(_watch(client, replay, quiet=as_json), as_json=as_json)


@app.command()
def pause(replay: Replay, url: Url = HERE, key: Key = "", as_json: Json = False) -> None:
    """Let a replay rest; what it has made goes on."""
    with api.calling(url, key) as client:
        api.tell(client.replays.pause(replay), as_json=as_json)


@app.command()
def resume(replay: Replay, url: Url = HERE, key: Key = "", as_json: Json = False) -> None:
    """Let a paused replay go on where it was."""
    with api.calling(url, key) as client:
        api.tell(client.replays.resume(replay), as_json=as_json)


@app.command()
def cancel(replay: Replay, url: Url = HERE, key: Key = "", as_json: Json = False) -> None:
    """End a replay; what it has made goes on."""
    with api.calling(url, key) as client:
        api.tell(client.replays.cancel(replay), as_json=as_json)


def _watch(client: Client, replay_id: str, *, quiet: bool) -> Any:
    """Return a replay once it runs no more, with a bar meanwhile."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task(replay_id, total=1.0)
        while True:
            found = client.replays.get(replay_id)
            said = f"{found.replayed} of {found.seen}"
            bar.update(task, completed=found.progress, description=said)
            if found.state != "running":
                return found
            Event().wait(_POLL_S)
