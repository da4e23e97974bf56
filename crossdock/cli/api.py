"""What the commands for a tenant's developers share: where the API is, as whom, and how to tell."""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from crossdock.cli.options import print_json
from crossdock.client import Client, ClientError
from crossdock.errors import ConfigurationError, CrossdockError

T = TypeVar("T")

URL_VARIABLE: Final = "CROSSDOCK_URL"
KEY_VARIABLE: Final = "CROSSDOCK_API_KEY"
HERE: Final = "http://127.0.0.1:8080"
ID_WIDTH: Final = 30
"""Whatever else is cut short: an id is there to be copied."""

Url = Annotated[
    str, typer.Option("--url", envvar=URL_VARIABLE, show_envvar=True, help="The installation.")
]
Key = Annotated[
    str,
    typer.Option(
        "--key", envvar=KEY_VARIABLE, show_envvar=True, show_default=False, help="An API key."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]
Count = Annotated[int, typer.Option("--limit", min=1, help="How many at most.")]
SourceOption = Annotated[
    str | None, typer.Option("--source", metavar="SRC", help="Only of this source, `src_…`.")
]
TypeOption = Annotated[
    str | None,
    typer.Option("--type", help="Only of this type; when live, `*` stands for any text."),
]

_Moment = Annotated[datetime, msgspec.Meta(tz=True)]
_SPAN: Final = re.compile(r"(\d{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

WIDE: Final = 250
"""Columns, where what reads is a program: nothing is cut short for it."""

plain: Final = Console(
    markup=False, emoji=False, highlight=False, width=None if sys.stdout.isatty() else WIDE
)
"""Names are what people chose: what looks like markup in them is not to be obeyed."""


class CallFailed(CrossdockError):
    """The API refused, or could not be reached."""


@contextmanager
def calling(url: str, key: str) -> Iterator[Client]:
    """Give a client of the API; what goes wrong is told in a line.

    Raises:
        ConfigurationError: there is no key, or the address is none.
        CallFailed: a call did not end in an answer.
    """
    check(key)
    try:
        with Client(url, key) as client:
            yield client
    except ClientError as error:
        raise CallFailed(str(error)) from error
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def check(key: str) -> None:
    """Check that there is a key.

    Raises:
        ConfigurationError: there is none.
    """
    if not key:
        raise ConfigurationError(
            f"Give an API key by --key or {KEY_VARIABLE}; `crossdock tenant key create` makes one."
        )


def tell(found: Any, *, as_json: bool) -> None:
    """Print one thing: its members line by line, or as JSON."""
    if as_json:
        print_json(found)
        return
    members = msgspec.to_builtins(found)
    table = Table.grid(padding=(0, 2))
    for name, value in members.items():
        table.add_row(name, _word(value))
    plain.print(table)


def tell_all(
    found: Iterable[T], columns: Sequence[str], *, limit: int, as_json: bool, empty: str
) -> None:
    """Print a list: a table of some members, or JSON of all of them.

    Args:
        found: in order; no more of it is asked for than is printed.
        columns: the members that the table shows, the id first.
        limit: how many at most.
        as_json: JSON instead of the table.
        empty: what to say where there is none.
    """
    items = [msgspec.to_builtins(one) for one in islice(found, limit)]
    if as_json:
        print_json({"items": items})
        return
    if not items:
        typer.echo(empty, err=True)
        return
    table = Table(Column(columns[0], no_wrap=True, min_width=ID_WIDTH), *columns[1:], box=None)
    for item in items:
        table.add_row(*(_word(item.get(name)) for name in columns))
    plain.print(table)


def given(**options: Any) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def read(name: str, what: str) -> bytes:
    """Return the bytes of a file, or of standard input where the name is `-`.

    Raises:
        ConfigurationError: it can't be read.
    """
    try:
        return typer.get_binary_stream("stdin").read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{what} {name}: {error.strerror}") from error


def read_json(name: str, what: str) -> Any:
    """Return what a JSON file holds; `-` is standard input.

    Raises:
        ConfigurationError: it can't be read, or is no JSON.
    """
    try:
        return msgspec.json.decode(read(name, what))
    except msgspec.MsgspecError as error:
        raise ConfigurationError(f"{what} {name} is not JSON: {error}") from error


def moment(text: str | None) -> datetime | None:
    """Return a moment from a span before now, as `15m`, or from its own text.

    Raises:
        ConfigurationError: it is neither.
    """
    if text is None:
        return None
    span = _SPAN.fullmatch(text)
    if span is not None:
        return datetime.now(UTC) - timedelta(**{_UNITS[span[2]]: int(span[1])})
    try:
        return msgspec.convert(text, type=_Moment)
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            f"{text!r} is no moment: write `15m`, `2h`, `3d`, or `2026-01-31T12:00:00Z`."
        ) from error


def _word(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str | int | float):
        return str(value)
    return msgspec.json.encode(value).decode()
