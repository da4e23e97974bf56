"""Write the client's models and resources from `docs/openapi.json`.

    python -m tools.client [--check] [--document FILE]

With `--check`, write nothing and fail where what is committed differs.
"""

import argparse
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Final

from tools.client.document import Document
from tools.client.models import Models
from tools.client.resources import AWAITED, WAITED, Resources

ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final = ROOT / "docs" / "openapi.json"
PACKAGE: Final = Path("crossdock") / "client"


def written(document: Document) -> dict[Path, str]:
    """Return all generated files, formatted, by their paths from the repository's root."""
    models = Models(document)
    found = {PACKAGE / "models" / f"{name}.py": text for name, text in models.modules()}
    for flavour in (WAITED, AWAITED):
        for name, text in Resources(document, models, flavour).modules():
            found[PACKAGE / flavour.package / f"{name}.py"] = text
    with tempfile.TemporaryDirectory(prefix="crossdock-client-") as folder:
        for path, text in found.items():
            place = Path(folder) / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text + "\n", encoding="utf-8")
        ruff = [str(Path(sysconfig.get_path("scripts")) / "ruff")]
        settings = ["--quiet", "--no-cache", "--config", str(ROOT / "pyproject.toml")]
        settings += ["--config", "lint.isort.known-first-party = ['crossdock']"]
        # Imports that no type of a module needs go, the others are sorted.
        fix = [*ruff, "check", *settings, "--fix", "--select", "F401,I", folder]
        for command in (fix, [*ruff, "format", *settings, folder]):
            subprocess.run(command, check=True)  # noqa: S603 - our own formatter
        return {path: (Path(folder) / path).read_text(encoding="utf-8") for path in found}


def stale(files: dict[Path, str]) -> list[Path]:
    """Return which files differ from what is there, are missing, or should not be there."""
    there = {
        path.relative_to(ROOT)
        for folder in {path.parent for path in files}
        for path in (ROOT / folder).glob("*.py")
    }
    differ = {
        path
        for path, text in files.items()
        if path in there and (ROOT / path).read_text(encoding="utf-8") != text
    }
    return sorted(differ | (there ^ files.keys()))


def main() -> None:
    """Read the command line and write."""
    parser = argparse.ArgumentParser(prog="tools.client", description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    given = parser.parse_args()
    files = written(Document.read(given.document))
    differ = stale(files)
    if given.check:
        sys.exit(f"Stale: {', '.join(map(str, differ))}; `make docs` mends it." if differ else 0)
    for path in differ:
        place = ROOT / path
        if path not in files:
            place.unlink()
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(files[path], encoding="utf-8")
    sys.stdout.write(f"{len(differ)} of {len(files)} files written.\n")


if __name__ == "__main__":
    main()
