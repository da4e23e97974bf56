"""`crossdock sources`: the doors of a tenant's webhooks, through the API."""

from typing import Annotated, Any, Final, Literal

import msgspec
import typer

from crossdock.cli import api
from crossdock.cli.api import HERE, Count, Json, Key, Url
from crossdock.client.models.shared import Example, Recipe
from crossdock.errors import ConfigurationError

app = typer.Typer(no_args_is_help=True, help="Make sources, rotate, pause and try them.")

_COLUMNS: Final = ("id", "name", "scheme", "preset", "state", "pause_mode", "ingest_url")
_REFUSALS: Final = ("at", "reason", "method", "address", "size", "detail")

Source = Annotated[str, typer.Argument(metavar="SRC", help="`src_…`.")]
RecipeFile = Annotated[
    str | None, typer.Option("--recipe", metavar="FILE", help="Its recipe as JSON; `-` to read.")
]
ExampleFile = Annotated[
    str | None,
    typer.Option(
        "--example",
        metavar="FILE",
        help='A webhook to try it on, as JSON: {"headers": {…}, "body": "…"}.',
    ),
]
Secrets = Annotated[
    list[str] | None, typer.Option("--secret", help="The provider's; the current one first.")
]
ContentTypes = Annotated[
    list[str] | None, typer.Option(help="A media type that it takes; all unless given.")
]
Indexed = Annotated[
    list[str] | None,
    typer.Option(metavar="POINTER", help="A value to find events by: `/data/customer`."),
]
Scheme = Annotated[str | None, typer.Option(help="How the sender signs, where no preset says.")]
Preset = Annotated[str | None, typer.Option(help="A provider of `crossdock sources presets`.")]


@app.command("list")
def list_sources(url: Url = HERE, key: Key = "", limit: Count = 100, as_json: Json = False) -> None:
    """List sources, newest first."""
    with api.calling(url, key) as client:
        found = client.sources.list(limit=min(limit, 100))
        api.tell_all(found, _COLUMNS, limit=limit, as_json=as_json, empty="There is no source.")


@app.command()
def show(source: Source, url: Url = HERE, key: Key = "", as_json: Json = False) -> None:
    """Show a source."""
    with api.calling(url, key) as client:
        api.tell(client.sources.get(source), as_json=as_json)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="For people to read.")],
    preset: Preset = None,
    scheme: Scheme = None,
    secret: Secrets = None,
    recipe: RecipeFile = None,
    example: ExampleFile = None,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Save a recipe that no example has proven.")
    ] = False,
    content_type: ContentTypes = None,
    indexed: Indexed = None,
    encrypt: Annotated[bool, typer.Option("--encrypt", help="Store payloads sealed.")] = False,
    per_minute: Annotated[int | None, typer.Option(min=1, help="Webhooks a minute.")] = None,
    max_bytes: Annotated[int | None, typer.Option(min=1, help="Of a body.")] = None,
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Make a source. A secret that is generated is shown this once."""
    options = api.given(
        preset=preset,
        scheme=scheme,
        secrets=secret,
        recipe=_read(recipe, "The recipe", Recipe),
        example=_read(example, "The example", Example),
        unchecked=unchecked or None,
        content_types=content_type,
        indexed_fields=indexed,
        encrypts=encrypt or None,
        webhooks_per_minute=per_minute,
        max_body_bytes=max_bytes,
    )
    with api.calling(url, key) as client:
        api.tell(client.sources.create(name=name, **options), as_json=as_json)


@app.command()
def change(
    source: Source,
    name: Annotated[str | None, typer.Option(help="For people to read.")] = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="FILE", help="What changes of its recipe, as JSON.")
    ] = None,
    example: ExampleFile = None,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Save a recipe that no example has proven.")
    ] = False,
    content_type: ContentTypes = None,
    indexed: Indexed = None,
    encrypt: Annotated[
        bool | None, typer.Option("--encrypt/--plain", help="Store payloads sealed, or not.")
    ] = None,
    per_minute: Annotated[int | None, typer.Option(min=1, help="Webhooks a minute.")] = None,
    max_bytes: Annotated[int | None, typer.Option(min=1, help="Of a body.")] = None,
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Change a source; what is not named stays. A list replaces the one before."""
    options = api.given(
        name=name,
        recipe=None if recipe is None else api.read_json(recipe, "The recipe"),
        example=_read(example, "The example", Example),
        unchecked=unchecked or None,
        content_types=content_type,
        indexed_fields=indexed,
        encrypts=encrypt,
        webhooks_per_minute=per_minute,
        max_body_bytes=max_bytes,
    )
    with api.calling(url, key) as client:
        api.tell(client.sources.patch(source, **options), as_json=as_json)


@app.command()
def check(
    example: Annotated[
        str,
        typer.Argument(metavar="FILE", help='JSON: {"headers": {…}, "body": "…"}; `-` to read.'),
    ],
    preset: Preset = None,
    scheme: Scheme = None,
    secret: Secrets = None,
    recipe: RecipeFile = None,
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Try a recipe on a webhook, and save nothing. Exits with 1 where it does not verify."""
    options = api.given(
        preset=preset, scheme=scheme, secrets=secret, recipe=_read(recipe, "The recipe", Recipe)
    )
    sent = _read(example, "The example", Example)
    with api.calling(url, key) as client:
        found = client.sources.check(example=sent, **options)
    api.tell(found, as_json=as_json)
    if not found.verified:
        raise typer.Exit(1)


@app.command()
def rotate(
    source: Source,
    secret: Annotated[
        str | None, typer.Option(help="The provider's new one; generated unless given.")
    ] = None,
    overlap: Annotated[
        int, typer.Option(min=0, max=604_800, help="Seconds for which the old ones verify too.")
    ] = 86_400,
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Make a new secret the current one."""
    with api.calling(url, key) as client:
        made = client.sources.rotate_secret(source, overlap_s=overlap, **api.given(secret=secret))
        api.tell(made, as_json=as_json)


@app.command()
def pause(
    source: Source,
    buffer: Annotated[
        bool, typer.Option("--buffer", help="Take webhooks, and deliver them once it is resumed.")
    ] = False,
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Refuse a source's webhooks with 403, or hold them back."""
    mode: Literal["buffer", "refuse"] = "buffer" if buffer else "refuse"
    with api.calling(url, key) as client:
        api.tell(client.sources.pause(source, mode=mode), as_json=as_json)


@app.command()
def resume(source: Source, url: Url = HERE, key: Key = "", as_json: Json = False) -> None:
    """Take a source's webhooks again; what was held back is delivered."""
    with api.calling(url, key) as client:
        api.tell(client.sources.resume(source), as_json=as_json)


@app.command()
def delete(
    source: Source,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    url: Url = HERE,
    key: Key = "",
) -> None:
    """Delete a source: its URL answers 404 from then on. Its events stay."""
    if not yes:
        typer.confirm(f"Delete {source}?", abort=True)
    with api.calling(url, key) as client:
        client.sources.delete(source)


@app.command("test")
def send_sample(
    source: Source,
    sample: Annotated[
        str | None, typer.Option(help="One of the preset's samples, by name.")
    ] = None,
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """Send a signed sample through the source's door. Exits with 1 unless it is accepted."""
    with api.calling(url, key) as client:
        answer = client.sources.test(source, **api.given(sample=sample))
    api.tell(answer, as_json=as_json)
    if answer.id is None:
        raise typer.Exit(1)


@app.command()
def refusals(
    source: Source,
    counts: Annotated[bool, typer.Option("--counts", help="How many, by day and reason.")] = False,
    url: Url = HERE,
    key: Key = "",
    limit: Count = 20,
    as_json: Json = False,
) -> None:
    """List what a source refused lately, newest first."""
    with api.calling(url, key) as client:
        if counts:
            by_day = client.sources.count_refusals(source).counts
            words = ("day", "reason", "count")
            api.tell_all(by_day, words, limit=limit, as_json=as_json, empty="It refused nothing.")
            return
        found = client.sources.list_refusals(source, limit=min(limit, 100))
        api.tell_all(found, _REFUSALS, limit=limit, as_json=as_json, empty="It refused nothing.")


@app.command()
def presets(
    name: Annotated[str | None, typer.Argument(help="Show this one, with its samples.")] = None,
    url: Url = HERE,
    key: Key = "",
    as_json: Json = False,
) -> None:
    """List the providers that a source can be made for by name."""
    with api.calling(url, key) as client:
        if name is not None:
            api.tell(client.source_presets.get(name), as_json=as_json)
            return
        found = list(client.source_presets.list())
        words = ("name", "title", "scheme", "docs_url")
        api.tell_all(found, words, limit=len(found), as_json=as_json, empty="There is none.")


def _read(file: str | None, what: str, kind: type[Any]) -> Any:
    """Return what a JSON file says, if one was given.

    Raises:
        ConfigurationError: it says something else.
    """
    if file is None:
        return None
    try:
        return msgspec.convert(api.read_json(file, what), kind)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{what} {file}: {error}") from error
