"""Who can walk where, going by the mode bits."""

import os
from pathlib import Path

from crossdock.embedded.account import WORKING_DIRECTORY, Account, address
from crossdock.embedded.identity import Identity, descendants

STRANGER = Account(uid=4_000_000, gid=4_000_000)


def test_one_closed_parent_is_enough(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "open").mkdir(parents=True)
    closed.chmod(0o700)
    assert not STRANGER.can_enter(closed / "open")


def test_the_owner_is_judged_by_the_owners_bits(tmp_path: Path) -> None:
    mine = Account(tmp_path.stat().st_uid, 4_000_000)
    inner = tmp_path / "inner"
    inner.mkdir()
    inner.chmod(0o077)
    assert not mine.can_enter(inner)
    inner.chmod(0o700)


def test_a_folder_out_of_reach_is_named_by_the_working_directory(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    assert address(closed, STRANGER) == WORKING_DIRECTORY
    assert address(closed, None) == str(closed)


def test_a_process_is_known_by_more_than_its_number() -> None:
    us = Identity.of(os.getpid())
    assert us is not None
    assert us.is_alive()
    assert not Identity(us.pid, "another time").is_alive()
    assert us in descendants(os.getppid())
    assert Identity.of(2**22 + 1) is None
