"""One process speaks for a machine."""

import asyncio
from pathlib import Path

from crossdock.limits.leader import leading


async def test_one_speaks_and_the_next_goes_on_under_the_same_name(tmp_path: Path) -> None:
    table = tmp_path / "table"
    spoke = asyncio.Event()

    async def second() -> str:
        async with leading(table) as node:
            spoke.set()
            return node

    async with leading(table) as first:
        waiting = asyncio.create_task(second())
        # Long enough to have tried: it would get the lock at once.
        done, _ = await asyncio.wait({waiting}, timeout=0.05)
        assert not done
        assert not spoke.is_set()

    async with asyncio.timeout(20):
        assert await waiting == first


async def test_a_table_that_nobody_shares_is_a_node_of_its_own() -> None:
    async with leading(None) as one, leading(None) as other:
        assert one != other


async def test_a_name_that_is_none_is_replaced(tmp_path: Path) -> None:
    table = tmp_path / "table"
    (tmp_path / "table.leader").write_bytes(b"../" * 40)

    async with leading(table) as node:
        pass
    async with leading(table) as again:
        pass

    assert len(node) == 16
    assert again == node


async def test_each_machine_has_a_name_of_its_own(tmp_path: Path) -> None:
    async with leading(tmp_path / "one") as one, leading(tmp_path / "two") as two:
        assert one != two
    assert (tmp_path / "one.leader").stat().st_mode & 0o777 == 0o600
