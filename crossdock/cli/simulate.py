"""`crossdock simulate`: what would become of a webhook, step by step."""

from typing import Annotated, Any, Final

import msgspec
import typer

from crossdock.cli import api
from crossdock.cli.api import HERE, Json, Key, Url
from crossdock.cli.options import print_json
from crossdock.client.models.shared import Example
from crossdock.errors import ConfigurationError

FAILED: Final = "failed"


def simulate(
    source: Annotated[str, typer.Argument(metavar="SRC", help="Whose webhook it would be.")],
    sample: Annotated[
        str | None, typer.Option(help="One of the preset's samples, by name.")
    ] = None,
    event: Annotated[str | None, typer.Option(metavar="EVT", help="A stored event.")] = None,
    request: Annotated[
        str | None,
        typer.Option(metavar="FILE", help='JSON: {"headers": {…}, "body": "…"}; `-` to read.'),
    ] = None,
    deliver: Annotated[
        bool, typer.Option("--deliver", help="Really call the destinations that match.")
    ] = False,
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Run a webhook through verify, validate, match, transform and, if asked, deliver.

    Nothing is stored. Exits with 1 where a step fails.
    """
    given: dict[str, Any] = {"sample": sample, "event_id": event, "request": _read(request)}
    chosen = {name: value for name, value in given.items() if value is not None}
    if len(chosen) != 1:
        raise ConfigurationError("Give one of --sample, --event and --request.")
    with api.calling(url, key) as client:
        found = client.simulations.simulate(source_id=source, deliver=deliver, **chosen)
    if as_json:
        print_json(found)
    else:
        for step in found.steps:
            api.plain.print(f"{step.name:<10} {step.outcome:<8} {step.detail}")
            for one in step.violations:
                api.plain.print(f"{'':<20}{one.pointer or '(all)'}: {one.detail}")
            for called in step.destinations:
                told = called.error or called.status or ""
                api.plain.print(f"{'':<20}{called.destination_id}  {called.name}  {told}")
    if any(step.outcome == FAILED for step in found.steps):
        raise typer.Exit(1)


def _read(file: str | None) -> Example | None:
    if file is None:
        return None
    try:
        return msgspec.convert(api.read_json(file, "The request"), Example)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"The request {file}: {error}") from error
