"""The pages of the document in a browser, where there is one: their policies let them work."""

import asyncio
import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.faults.stack import Stack

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER: Final = next((found for name in NAMES if (found := shutil.which(name))), None)
PATIENCE_S: Final = 120.0


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE_S + 30)
@pytest.mark.skipif(BROWSER is None, reason="no Chromium here: the pages were not seen to work")
@pytest.mark.parametrize("path", ["/docs", "/docs/redoc"])
async def test_a_page_shows_the_operations(stack: Stack, path: str, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        str(BROWSER),
        *("--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"),
        *("--virtual-time-budget=20000", "--dump-dom", stack.url + path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert "Create source" in out.decode()
