"""A table for the processes that a server starts. It imports no metric, as no parent may do."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from crossdock.config import PREFIX, LimitSettings

VARIABLE: Final = f"{PREFIX}LIMITS__TABLE"
NAME: Final = "table"


@contextmanager
def between_processes(settings: LimitSettings) -> Iterator[None]:
    """Give the processes that this one will start a table between them; it goes at the end.

    They find its place in the environment, and the first of them makes it. Where the settings name
    one, there is nothing to do.
    """
    if settings.table is not None:
        yield
        return
    folder = Path(tempfile.mkdtemp(prefix="crossdock-limits-"))
    os.environ[VARIABLE] = str(folder / NAME)
    try:
        yield
    finally:
        os.environ.pop(VARIABLE, None)
        shutil.rmtree(folder, ignore_errors=True)
