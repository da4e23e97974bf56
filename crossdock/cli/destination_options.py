"""What a destination is made and changed by on the command line, and the body it makes."""

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
Concurrency = Annotated[int | None, typer.Option(min=1, help="Attempts under way at once.")]
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
"""Given for an option of `change`, it takes away what there is."""

_FILES: Final = {
    "settings": "The settings",
    "auth": "The credentials",
    "retry": "The schedule",
}


def body(**options: Any) -> dict[str, Any]:
    """Return the members of a request's body that options stand for; what was not given is absent.

    Raises:
        ConfigurationError: a file can't be read, or an option is not in its form.
    """
    made = api.given(**options)
    for name, what in _FILES.items():
        if name in made:
            made[name] = None if made[name] == NONE else api.read_json(made[name], what)
    if (script := made.get("transform")) is not None:
        made["transform"] = None if script == NONE else _text(script)
    if made.get("filter") == NONE:
        made["filter"] = None
    if "headers" in made:
        made["headers"] = dict(_pair(one) for one in made["headers"])
    if "rate" in made:
        made["rate"] = _rate(made["rate"])
    order_by, hold = made.pop("order_by", None), made.pop("hold", None)
    if order_by == NONE:
        made["order"] = None
    elif order_by is not None or hold is not None:
        made["order"] = api.given(by=order_by, hold=hold)
    if "filter" in made:
        made["filter_"] = made.pop("filter")
    return made


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


def _rate(text: str) -> dict[str, float] | None:
    if text == NONE:
        return None
    count, _, per_s = text.partition("/")
    try:
        return {"count": int(count), "per_s": float(per_s or 1)}
    except ValueError as error:
        raise ConfigurationError(f"{text!r} is no rate: write `10/1`, COUNT/SECONDS.") from error
