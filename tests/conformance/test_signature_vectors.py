"""Published signature examples that nobody here wrote, read in place."""

import os
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from crossdock.native import Source

REPOSITORY: Final = Path(__file__).parents[2]
FOLDER: Final = Path(os.environ.get("CROSSDOCK_VECTORS", REPOSITORY.parent / "shared" / "vectors"))
FILE: Final = FOLDER / "signatures.json"


def cases() -> list[Any]:
    """Each published case, or one that is skipped and says why."""
    if not FILE.exists():
        reason = "no test vectors: they stand outside the repository, or where CROSSDOCK_VECTORS is"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    found = msgspec.json.decode(FILE.read_bytes())["cases"]
    return [pytest.param(case, id=f"{case['scheme']}: {case['source']}") for case in found]


@pytest.mark.parametrize("case", cases())
def test_a_published_signature_is_judged_as_published(case: dict[str, Any]) -> None:
    source = Source(msgspec.json.encode({"scheme": case["scheme"], "secrets": [case["secret"]]}))
    headers = [(name.lower().encode(), value.encode()) for name, value in case["headers"].items()]
    verdict = source.verify("POST", "/", headers, case["body"].encode(), float(case["now"]))
    assert (verdict.refusal is None) is case["valid"]
