"""`docs/asyncapi.json` against the official JSON Schema of AsyncAPI 3.0."""

import copy
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import msgspec
import pytest

HERE: Final = Path(__file__).parent
DOCUMENT: Final = HERE.parents[1] / "docs" / "asyncapi.json"


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The schema, as its publishers ship it."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed here, and the official schema is an npm package")
    folder = tmp_path_factory.mktemp("asyncapi")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / "asyncapi" / name, folder)
    done = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"the official schema can't be fetched here: {done.stderr.strip()[-200:]}")
    path = folder / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0.json"
    return jsonschema_rs.Draft7Validator(msgspec.json.decode(path.read_bytes()))


@pytest.fixture
def document() -> Any:
    return msgspec.json.decode(DOCUMENT.read_bytes())


def test_it_is_valid(official: Any, document: Any) -> None:
    assert [error.message for error in official.iter_errors(document)] == []


def test_a_broken_one_is_not(official: Any, document: Any) -> None:
    breaks: tuple[Callable[[Any], Any], ...] = (
        lambda found: found.pop("info"),
        lambda found: found["channels"]["events"].update(address=3),
        lambda found: found["operations"]["announceEvent"].update(action="publish"),
        lambda found: found["components"]["messages"]["event"].update(contentTypes="x"),
    )
    for one in breaks:
        broken = copy.deepcopy(document)
        one(broken)
        assert list(official.iter_errors(broken))
