"""The table that a process counts in, when it can be had and when not."""

import os
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from crossdock.config import LimitSettings
from crossdock.errors import ConfigurationError
from crossdock.limits.service import Limits
from crossdock.limits.shared import VARIABLE, between_processes
from crossdock.limits.table import open_table


def opened_for_lack_of_a_table() -> float:
    return REGISTRY.get_sample_value("crossdock_limits_open_total", {"reason": "table"}) or 0.0


def test_processes_of_a_server_find_the_same_table_and_it_goes_with_the_server() -> None:
    before = os.environ.get(VARIABLE)
    with between_processes(LimitSettings()):
        path = Path(os.environ[VARIABLE])
        one, other = (open_table(LimitSettings(table=path)) for _ in range(2))
        limits = [Limits(LimitSettings(), found) for found in (one, other)]
        asked = limits[0].of_address("192.0.2.1")
        assert limits[0].take(asked).admitted
        assert limits[1].peek(asked).remaining == 199
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert os.environ.get(VARIABLE) == before
    assert not path.parent.exists()


def test_a_table_that_settings_name_is_nobodys_to_make_or_remove(tmp_path: Path) -> None:
    before = dict(os.environ)
    with between_processes(LimitSettings(table=tmp_path / "table")):
        assert dict(os.environ) == before
    assert tmp_path.exists()


def test_a_table_that_is_none_of_ours_leaves_a_process_with_its_own(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"")
    link = tmp_path / "table"
    link.symlink_to(tmp_path / "elsewhere")
    before = opened_for_lack_of_a_table()

    opened = open_table(LimitSettings(table=link))

    assert opened.path is None
    assert opened_for_lack_of_a_table() == before + 1
    assert (tmp_path / "elsewhere").read_bytes() == b""
    limits = Limits(LimitSettings(address_burst=1, address_per_minute=1), opened)
    assert limits.take(limits.of_address("192.0.2.1")).admitted
    assert not limits.take(limits.of_address("192.0.2.1")).admitted


def test_settings_out_of_range_are_no_reason_to_count_alone() -> None:
    with pytest.raises(ConfigurationError, match="CROSSDOCK_LIMITS__SLOTS"):
        Limits(LimitSettings(slots=1))
