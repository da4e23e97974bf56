"""Processes whose clock is wrong by so many seconds, whatever they are written in.

A few lines of C stand between a process and the system's clock. They are built by the compiler that
the Rust extension needs as well.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("skew.c")
COMPILER: Final = shutil.which(os.environ.get("CC", "cc"))


def skewed(seconds: int, folder: Path) -> dict[str, str]:
    """Return what to put into a process' environment.

    Args:
        seconds: how far ahead its clock is; behind, if negative.
        folder: where the built library goes.
    """
    library = folder / "skew.so"
    if not library.exists():
        assert COMPILER is not None, "a C compiler"
        command = [COMPILER, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE)]
        subprocess.run(command, check=True, capture_output=True)
        library.chmod(0o644)
    return {"LD_PRELOAD": str(library), "SKEW_S": str(seconds)}
