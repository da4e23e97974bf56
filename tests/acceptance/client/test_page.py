"""What the page of the client shows works as written."""

import asyncio
import re
from pathlib import Path
from typing import Any

from crossdock import ids
from crossdock.client import AsyncClient
from tests.acceptance.identity.post import Post
from tests.faults.stack import Stack

PAGE = Path(__file__).parents[3] / "docs" / "client.md"
PASSWORD = "correct horse battery"


async def test_the_page_works_as_written(stack: Stack) -> None:
    email = f"{ids.new().hex}@example.com"
    async with AsyncClient(stack.url) as visitor:
        await visitor.signup.sign_up(
            email=email, password=PASSWORD, name="Ann", tenant_name=f"Page {ids.new().hex}"
        )
        token = await Post(stack).token(email)
        await visitor.signup.verify(token=token)
        pair = await visitor.auth.login(email=email, password=PASSWORD)
        ann = visitor.with_token(pair.access_token)
        key = await ann.api_keys.create(
            name="page", permissions=["sources:read", "sources:write", "tenant:read"]
        )
    given = {"URL": stack.url, "KEY": key.key, "EMAIL": email, "PASSWORD": PASSWORD}
    printed = await asyncio.to_thread(run, given)
    assert printed[0][0].startswith("src_")
    assert ("payments", "active") in printed
    assert ("somebody was faster",) in printed
    assert any(line[0] == "/name" for line in printed)
    assert (404, "/problems/not-found") in printed
    assert (["owner"],) in printed
    assert printed[-1] == (["orders", "invoices"],)


def run(given: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run the page's blocks one after the other; return what they print."""
    blocks = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert len(blocks) == 8
    printed: list[tuple[Any, ...]] = []
    names = {**given, "print": lambda *words: printed.append(words)}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102 - our own page
    return printed
