"""`crossdock deliveries`: what is on its way, what was given up, through the API."""

from typing import Annotated, Any, Final, Literal

import typer

from crossdock.cli import api
from crossdock.cli.api import HERE, Count, Json, Key, Url
from crossdock.cli.options import print_json

app = typer.Typer(no_args_is_help=True, help="List, show, replay and cancel deliveries.")

_COLUMNS: Final = (
    "id",
    "state",
    "attempt_count",
    "last_status",
    "last_error",
    "reason",
    "next_attempt_at",
)
_DEAD: Final = ("id", "reason", "last_status", "last_error", "attempt_count", "destination_id")
_PAGE: Final = 100

Delivery = Annotated[str, typer.Argument(metavar="DLV", help="`dlv_…`.")]
Deliveries = Annotated[list[str], typer.Argument(metavar="DLV…", help="One or more, `dlv_…`.")]
To = Annotated[
    str | None, typer.Option("--destination", metavar="DST", help="Only those to `dst_…`.")
]
Since = Annotated[str | None, typer.Option(help="`15m`, `2h`, `3d`, or 2026-01-31T12:00:00Z.")]
Until = Annotated[str | None, typer.Option(help="Made before this.")]
Reason = Annotated[str | None, typer.Option(help="Why it was given up: `attempts_exhausted`, …")]


@app.command("list")
def list_deliveries(
    state: Annotated[
        Literal["pending", "delivered", "dead", "cancelled", "replayed"] | None,
        typer.Option(help="Only those in this state."),
    ] = None,
    destination: To = None,
    event: Annotated[str | None, typer.Option(metavar="EVT", help="Only those of it.")] = None,
    since: Since = None,
    until: Until = None,
    url: Url = HERE,
    key: Key = "",
    limit: Count = 20,
    as_json: Json = False,
) -> None:
    """List deliveries, newest first."""
    with api.calling(url, key) as client:
        found = client.deliveries.list(
            limit=min(limit, _PAGE),
            state=state,
            destination_id=destination,
            event_id=event,
            created_after=api.moment(since),
            created_before=api.moment(until),
        )
        api.tell_all(found, _COLUMNS, limit=limit, as_json=as_json, empty="There is none.")


@app.command()
def show(delivery: Delivery, url: Url = HERE, key: Key = "", as_json: Json = False) -> None:
    """Show a delivery with its attempts."""
    with api.calling(url, key) as client:
        api.tell(client.deliveries.get(delivery), as_json=as_json)


@app.command()
def replay(deliveries: Deliveries, url: Url = HERE, key: Key = "", as_json: Json = False) -> None:
    """Deliver some again. Exits with 1 where one could not be."""
    with api.calling(url, key) as client:
        _outcomes(client.deliveries.replay_many(ids=deliveries), as_json=as_json)


@app.command()
def cancel(deliveries: Deliveries, url: Url = HERE, key: Key = "", as_json: Json = False) -> None:
    """Cancel what waits, discard what is dead. Exits with 1 where one could not be."""
    with api.calling(url, key) as client:
        _outcomes(client.deliveries.cancel_many(ids=deliveries), as_json=as_json)


@app.command()
def dead(
    reason: Reason = None,
    destination: To = None,
    since: Since = None,
    until: Until = None,
    url: Url = HERE,
    key: Key = "",
    limit: Count = 20,
    as_json: Json = False,
) -> None:
    """List dead letters, newest first."""
    with api.calling(url, key) as client:
        found = client.dead_letters.list(
            limit=min(limit, _PAGE),
            reason=reason,
            destination_id=destination,
            created_after=api.moment(since),
            created_before=api.moment(until),
        )
        api.tell_all(found, _DEAD, limit=limit, as_json=as_json, empty="There is none.")


@app.command("dead-summary")
def dead_summary(
    destination: To = None,
    since: Since = None,
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Count dead letters by what would have to change, and by destination."""
    with api.calling(url, key) as client:
        found = client.dead_letters.summarise(
            destination_id=destination, created_after=api.moment(since)
        )
    if as_json:
        print_json(found)
        return
    more = " and more" if found.is_capped else ""
    api.plain.print(f"{found.total}{more} dead letters")
    for items, name in ((found.reasons, "reason"), (found.destinations, "destination_id")):
        if items:
            api.tell_all(items, (name, "count"), limit=len(items), as_json=False, empty="")


def _outcomes(found: Any, *, as_json: bool) -> None:
    """Print what became of each; exit with 1 where one was refused."""
    items = found.items
    if as_json:
        print_json(found)
    else:
        api.tell_all(items, ("id", "status"), limit=len(items), as_json=False, empty="None.")
    if any(one.status >= 400 for one in items):  # noqa: PLR2004 - a status of HTTP
        raise typer.Exit(1)
