"""`crossdock alerts`: what a tenant was told of, and who is told of what, through the API."""

from typing import Annotated, Final, Literal

import typer

from crossdock.cli import api
from crossdock.cli.api import HERE, Count, Json, Key, Url

app = typer.Typer(no_args_is_help=True, help="List alerts, and say who is told of what.")

Kind = Literal[
    "quota",
    "destination_failing",
    "destination_disabled",
    "dead_letters",
    "source_refusing",
    "test",
]

_COLUMNS: Final = ("id", "kind", "subject", "state", "created_at", "resolved_at", "detail")


@app.command("list")
def list_alerts(
    state: Annotated[
        Literal["open", "resolved"] | None, typer.Option(help="Only those that are so.")
    ] = None,
    kind: Annotated[Kind | None, typer.Option(help="Only of this kind.")] = None,
    url: Url = HERE,
    key: Key = "",
    limit: Count = 20,
    as_json: Json = False,
) -> None:
    """List alerts, newest first."""
    with api.calling(url, key) as client:
        found = client.alerts.list(limit=min(limit, 100), state=state, kind=kind)
        api.tell_all(found, _COLUMNS, limit=limit, as_json=as_json, empty="There is none.")


@app.command()
def settings(url: Url = HERE, key: Key = "", as_json: Json = False) -> None:
    """Show who is told of what, and from when on."""
    with api.calling(url, key) as client:
        api.tell(client.alerts.get_settings(), as_json=as_json)


@app.command()
def change(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help='Changes as JSON: {"emails": ["a@b.c"]}; `-` to read.'),
    ],
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Change who is told of what; what the file leaves out stays."""
    changes = api.read_json(file, "The changes")
    with api.calling(url, key) as client:
        api.tell(client.alerts.patch_settings(**changes), as_json=as_json)


@app.command("test")
def send_test(url: Url = HERE, key: Key = "", as_json: Json = False) -> None:
    """Send an alert that says it is a test, to see it arrive."""
    with api.calling(url, key) as client:
        api.tell(client.alerts.test(), as_json=as_json)
