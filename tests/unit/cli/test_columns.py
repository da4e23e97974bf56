"""Columns of the tables that are shown: one that no answer has would be empty for ever."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from crossdock.cli import alerts, deliveries, destinations, replays

API = Path(__file__).parents[3] / "docs" / "openapi.json"

SHOWN: dict[str, tuple[Any, str]] = {
    "alerts": (alerts._COLUMNS, "AlertOut"),
    "deliveries": (deliveries._COLUMNS, "DeliveryOut"),
    "dead letters": (deliveries._DEAD, "DeliveryOut"),
    "destinations": (destinations._COLUMNS, "DestinationOut"),
    "inboxes": (destinations._INBOX, "InboxMessageOut"),
    "dry runs": (destinations._TRIED, "DryRunItem"),
    "hours": (destinations._HOURS, "HourOut"),
    "replays": (replays._COLUMNS, "ReplayOut"),
}


@pytest.mark.parametrize("what", SHOWN)
def test_every_column_is_in_the_answer(what: str) -> None:
    columns, schema = SHOWN[what]
    described = msgspec.json.decode(API.read_bytes())["components"]["schemas"][schema]
    assert set(columns) - set(described["properties"]) == set()
