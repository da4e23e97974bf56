"""What a destination is made and changed by on the command line, and the body it makes."""

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

import typer

from crossdock.cli import api
from crossdock.errors import ConfigurationError

Address = Annotated[str | None, typer.Option("--to", metavar="URL", help="Where it is posted to.")]
Sources = Annotated[
    list[str] | None,
    typer.Option("--source", metavar="SRC", help="Whose events it gets; all unless given."),
]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", metavar="PATTERN", help="Types it gets; `*` stands for any text."),
]
Filter = Annotated[
    str | None,
    typer.Option("--filter", metavar="CEL", help="Which of those: `payload.total > 100`."),
]
Transform = Annotated[
    str | None, typer.Option(metavar="FILE", help="JavaScript with a `transform`; `-` to read.")
]
Headers = Annotated[
    list[str] | None,
    typer.Option("--header", metavar="NAME=VALUE", help="Sent beside ours."),
]
Auth = Annotated[
    str | None,
    typer.Option(metavar="FILE", help='As JSON: {"type": "bearer", "token": …}; `-` to read.'),
]
Settings = Annotated[
    str | None, typer.Option(metavar="FILE", help="What its kind has, as JSON; `-` to read.")
]
Rate = Annotated[
    str | None, typer.Option(metavar="COUNT/SECONDS", help="Attempts at most: `10/1`.")
]
Concurrency = Annotated[
    int | None,
    typer.Option(min=0, help="Attempts under way at once; 0 for as many as the installation lets."),
]
OrderBy = Annotated[
    str | None,
    typer.Option(metavar="KEY", help="Keep order by `source`, or a pointer: `/data/customer`."),
]
Hold = Annotated[
    Literal["until_dead", "until_delivered"] | None,
    typer.Option(help="For how long a failed one holds up those behind it."),
]
Timeout = Annotated[float | None, typer.Option(help="Seconds for an answer.")]
Retry = Annotated[
    str | None, typer.Option(metavar="FILE", help="Its schedule as JSON; `-` to read.")
]
Breaker = Annotated[
    Literal["auto", "open", "off"] | None,
    typer.Option(help="Judged by what comes of calls, forced open, or never open."),
]

NONE: Final = ""
"""Given for an option of `change` that is text, it takes away what there is."""


def body(**options: Any) -> dict[str, Any]:
    """Return the members of a request's body that options stand for; what was not given is absent.

    Raises:
        ConfigurationError: a file can't be read, or an option is not in its form.
    """
    made = api.given(**options)
    order_by, hold = made.pop("order_by", None), made.pop("hold", None)
    for name in made.keys() & _READ.keys():
        made[name] = None if made[name] == NONE else _READ[name](made[name])
    if order_by == NONE:
        made["order"] = None
    elif order_by is not None or hold is not None:
        made["order"] = api.given(by=order_by, hold=hold)
    if "filter" in made:
        made["filter_"] = made.pop("filter")
    return made


def _json(what: str) -> Callable[[str], Any]:
    return lambda file: api.read_json(file, what)


def _listed(given: list[str]) -> list[str]:
    return [one for one in given if one != NONE]


def _text(file: str) -> str:
    try:
        return api.read(file, "The script").decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"The script {file} is not text in UTF-8.") from error


def _pair(text: str) -> tuple[str, str | None]:
    name, mark, value = text.partition("=")
    if not name or not mark:
        raise ConfigurationError(f"{text!r} is no header: write NAME=VALUE.")
    return name, value or None


def _rate(text: str) -> dict[str, float]:
    count, _, per_s = text.partition("/")
    try:
        return {"count": int(count), "per_s": float(per_s or 1)}
    except ValueError as error:
        raise ConfigurationError(f"{text!r} is no rate: write `10/1`, COUNT/SECONDS.") from error


_READ: Final[dict[str, Callable[[Any], Any]]] = {
    "settings": _json("The settings"),
    "auth": _json("The credentials"),
    "retry": _json("The schedule"),
    "source_ids": _listed,
    "event_types": _listed,
    "filter": str,
    "transform": _text,
    "headers": lambda given: dict(map(_pair, given)),
    "rate": _rate,
    "concurrency": lambda given: given or None,
}
"""How an option is read, where it is not what the body has."""
