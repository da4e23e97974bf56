"""Writes `docs/openapi.json`: what a running gateway serves, for readers and for diffs."""

from pathlib import Path
from typing import Final

import msgspec

from gateway.openapi.document import assemble
from gateway.openapi.skeleton import skeleton

FILE: Final = Path(__file__).parents[2] / "docs" / "openapi.json"


def text() -> bytes:
    """Return the document as it is committed: one line a member."""
    return msgspec.json.format(msgspec.json.encode(assemble(skeleton())), indent=2) + b"\n"


if __name__ == "__main__":
    FILE.write_bytes(text())
