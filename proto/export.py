"""Writes `docs/asyncapi.json` and `docs/schemas/`: what goes over NATS, for readers and for diffs.

`python -m proto.export`, a part of `make docs`.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec

from proto import asyncapi, cloud_event, schemas

DOCS: Final = Path(__file__).parents[1] / "docs"
HEADERS_SCHEMA: Final = "event-headers"


def files() -> dict[str, bytes]:
    """Return every file below `docs/` as it is committed, by its name."""
    found = {"asyncapi.json": _text(asyncapi.document(version("crossdock")))}
    described = {
        HEADERS_SCHEMA: {
            "$schema": schemas.DIALECT,
            "$id": f"{HEADERS_SCHEMA}.json",
            "title": "Headers of a message on EVENTS",
            **cloud_event.schema(),
        }
    } | schemas.schemas()
    return found | {f"schemas/{name}.json": _text(one) for name, one in described.items()}


def write(folder: Path) -> None:
    """Write all files, and take away schemas that are no more."""
    wanted = files()
    (folder / "schemas").mkdir(exist_ok=True)
    for path in (folder / "schemas").glob("*.json"):
        if f"schemas/{path.name}" not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (folder / name).write_bytes(text)


def _text(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


if __name__ == "__main__":
    write(DOCS)
