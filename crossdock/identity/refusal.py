"""A refusal as a value: what was written with it is committed before it is raised."""

import msgspec

from crossdock.audit.model import Entry
from crossdock.errors import Refused


class Refusal(msgspec.Struct, frozen=True):
    """Why a transaction came to nothing that its caller wanted."""

    error: Refused
    entry: Entry | None = None
    """For the audit, where it is not there already."""
