"""Where a request came from, as it may be limited, written down and shown to people."""

from typing import Final, Self

import msgspec

MAX_USER_AGENT: Final = 256
"""Characters of a user agent that are kept: enough to tell a telephone from a laptop."""


class Origin(msgspec.Struct, frozen=True):
    """An address, and what the client there calls itself."""

    address: str = ""
    user_agent: str = ""

    @classmethod
    def of(cls, address: str, user_agent: str) -> Self:
        """Return an origin whose user agent is one short line of what prints."""
        shown = "".join(c if c.isprintable() else " " for c in user_agent[:MAX_USER_AGENT])
        return cls(address, " ".join(shown.split()))
