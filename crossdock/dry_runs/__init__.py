"""Dry runs: what a filter and a transformation would make of events; nothing is sent or stored."""

from crossdock.dry_runs.model import Chosen, Newest, Sample, Sent, Settings, Trial, Tried, Wish
from crossdock.dry_runs.service import DryRuns

__all__ = [
    "Chosen",
    "DryRuns",
    "Newest",
    "Sample",
    "Sent",
    "Settings",
    "Trial",
    "Tried",
    "Wish",
]
