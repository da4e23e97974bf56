"""Quotas: held where something is made, and counted where webhooks arrive."""

from crossdock.tenancy.quotas.meter import Meter
from crossdock.tenancy.quotas.service import take

__all__ = ["Meter", "take"]
