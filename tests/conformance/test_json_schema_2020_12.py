"""The JSON-Schema-Test-Suite, draft 2020-12: each test agrees, or is refused by a named rule."""

import json  # noqa: TID251 # msgspec reads no number beyond a double, and the suite has some
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from crossdock.native import Schema, SchemaError

REPOSITORY: Final = Path(__file__).parents[2]
VECTORS: Final = Path(os.environ.get("CROSSDOCK_VECTORS", REPOSITORY.parent / "shared" / "vectors"))
FOLDER: Final = VECTORS / "json_schema_2020_12"

EMBEDDED: Final = "only the whole schema may have an $id"
REFUSED: Final = {
    "unevaluatedItems: unevaluatedItems with $dynamicRef": EMBEDDED,
    "unevaluatedProperties: unevaluatedProperties with $dynamicRef": EMBEDDED,
}
"""Schemas of the suite that we don't take, by file and description, and what is said of them."""


def groups() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in sorted(FOLDER.glob("*.json")):
        for group in json.loads(file.read_bytes()):
            yield f"{file.stem}: {group['description']}", group


def test_every_schema_is_taken_or_refused_by_a_rule() -> None:
    if not FOLDER.exists():
        pytest.skip("no test vectors: they stand outside the repository")
    refused = {}
    wrong = []
    seen = 0
    for name, group in groups():
        try:
            schema = Schema(json.dumps(group["schema"]).encode())
        except SchemaError as error:
            _, refused[name] = error.args
            continue
        for case in group["tests"]:
            seen += 1
            violations = schema.validate(json.dumps(case["data"]).encode())
            if (not violations) is not case["valid"]:
                wrong.append((name, case["description"], violations))

    assert wrong == []
    assert refused == REFUSED
    assert seen > 1_000
