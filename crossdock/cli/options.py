"""What the commands for operators share: the folder to work on, and answers in JSON."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

Data = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the `crossdock up` to work on; else settings come from the environment."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")]


def print_json(found: Any) -> None:
    """Print a line of JSON."""
    print(msgspec.json.encode(found).decode(), flush=True)
