"""`crossdock event-types`: the schemas that payloads are held to, through the API."""

from typing import Annotated, Final

import typer

from crossdock.cli import api
from crossdock.cli.api import HERE, Count, Json, Key, Url
from crossdock.cli.options import print_json
from crossdock.client import Client
from crossdock.client.models.event_types import EventTypeItem
from crossdock.errors import NotFound

app = typer.Typer(no_args_is_help=True, help="Hold events to schemas, and change these safely.")

_COLUMNS: Final = ("id", "name", "mode", "compatibility", "latest_version", "description")
_ID: Final = "ety_"

EventType = Annotated[str, typer.Argument(metavar="TYPE", help="Its name, or `ety_…`.")]
Schema = Annotated[str, typer.Argument(metavar="FILE", help="JSON Schema, 2020-12; `-` to read.")]
Mode = Annotated[
    str | None, typer.Option(help="What comes of a breach: off, warn, quarantine or reject.")
]
Compatibility = Annotated[
    str | None, typer.Option(help="Which changes are taken: none, backward or full.")
]
Description = Annotated[str | None, typer.Option(help="For people to read.")]


@app.command("list")
def list_event_types(
    url: Url = HERE, key: Key = "", limit: Count = 100, as_json: Json = False
) -> None:
    """List event types, newest first."""
    with api.calling(url, key) as client:
        found = client.event_types.list(limit=min(limit, 100))
        api.tell_all(found, _COLUMNS, limit=limit, as_json=as_json, empty="There is none.")


@app.command()
def show(event_type: EventType, url: Url = HERE, key: Key = "", as_json: Json = False) -> None:
    """Show an event type with its newest schema."""
    with api.calling(url, key) as client:
        api.tell(client.event_types.get(_id(client, event_type)), as_json=as_json)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="As events have it: `invoice.paid`.")],
    schema: Annotated[
        str | None, typer.Option(metavar="FILE", help="JSON Schema, 2020-12; `-` to read.")
    ] = None,
    mode: Mode = None,
    compatibility: Compatibility = None,
    description: Description = None,
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Make an event type."""
    options = api.given(mode=mode, compatibility=compatibility, description=description)
    if schema is not None:
        options["schema"] = api.read_json(schema, "The schema")
    with api.calling(url, key) as client:
        api.tell(client.event_types.create(name=name, **options), as_json=as_json)


@app.command()
def change(
    event_type: EventType,
    schema: Annotated[
        str | None, typer.Option(metavar="FILE", help="Its next version; `-` to read.")
    ] = None,
    mode: Mode = None,
    compatibility: Compatibility = None,
    description: Description = None,
    force: Annotated[
        bool, typer.Option("--force", help="Take a schema that is not compatible.")
    ] = False,
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Change an event type; a schema becomes its newest version."""
    options = api.given(
        mode=mode, compatibility=compatibility, description=description, force=force or None
    )
    if schema is not None:
        options["schema"] = api.read_json(schema, "The schema")
    with api.calling(url, key) as client:
        api.tell(client.event_types.patch(_id(client, event_type), **options), as_json=as_json)


@app.command()
def check(
    event_type: EventType,
    schema: Schema,
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Tell what a new schema would mean, and save nothing. Exits with 1 if it is not compatible."""
    new = api.read_json(schema, "The schema")
    with api.calling(url, key) as client:
        found = client.event_types.check(_id(client, event_type), schema=new)
    if as_json:
        print_json(found)
    else:
        stored = found.stored
        api.plain.print(
            f"{'compatible' if found.compatible else 'NOT compatible'} ({found.compatibility});"
            f" {stored.failing} of the newest {stored.looked_at} stored events would break it"
        )
        words = ("pointer", "backward", "full", "detail")
        differing = found.differences
        api.tell_all(differing, words, limit=len(differing), as_json=False, empty="No difference.")
    if not found.compatible:
        raise typer.Exit(1)


@app.command()
def validate(
    event_type: EventType,
    payload: Annotated[str, typer.Argument(metavar="FILE", help="JSON; `-` to read.")],
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Hold a payload to an event type's schema. Exits with 1 where it breaks it."""
    given = api.read_json(payload, "The payload")
    with api.calling(url, key) as client:
        found = client.event_types.validate_payload(_id(client, event_type), payload=given)
    if as_json:
        print_json(found)
    else:
        words, breaches = ("pointer", "detail"), found.violations
        api.tell_all(breaches, words, limit=len(breaches) or 1, as_json=False, empty="Valid.")
    if not found.valid:
        raise typer.Exit(1)


@app.command()
def versions(event_type: EventType, url: Url = HERE, key: Key = "", as_json: Json = False) -> None:
    """List the versions of an event type's schema, newest first."""
    with api.calling(url, key) as client:
        found = client.event_types.list_versions(_id(client, event_type), limit=100)
        words = ("number", "created_at", "size")
        api.tell_all(found, words, limit=1000, as_json=as_json, empty="It has no schema.")


@app.command()
def delete(
    event_type: EventType,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    url: Url = HERE,
    key: Key = "",
) -> None:
    """Delete an event type and its schemas; its events are held to none from then on."""
    if not yes:
        typer.confirm(f"Delete {event_type} and its schemas?", abort=True)
    with api.calling(url, key) as client:
        client.event_types.delete(_id(client, event_type))


def _id(client: Client, reference: str) -> str:
    """Return the id of an event type that was named by either.

    Raises:
        NotFound: none has that name.
    """
    if reference.startswith(_ID):
        return reference
    found: EventTypeItem | None = next(
        (one for one in client.event_types.list(limit=100) if one.name == reference), None
    )
    if found is None:
        raise NotFound(f"There is no event type {reference!r}.")
    return found.id
