"""What is carried, and by whom: the one interface of all kinds of destinations."""

from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from crossdock.delivery.dispatch.targets import Ready
from crossdock.delivery.exchange import Response
from crossdock.delivery.model import Cargo, Leased

NONE: Final[Mapping[str, str]] = {}


class Parcel(msgspec.Struct, frozen=True, gc=False):
    """One attempt's load."""

    leased: Leased
    cargo: Cargo
    headers: Mapping[str, str]
    """What `Carrier.label` made of it, names in lower case."""


class Carrier(Protocol):
    """Brings parcels to destinations of one kind. One for a dispatcher; it may keep connections."""

    def label(
        self, cargo: Cargo, ready: Ready, now: float, extra: Mapping[str, str] = NONE
    ) -> dict[str, str]:
        """Return the headers of one attempt, which are kept with it, secrets left out.

        Args:
            cargo: What is sent; where a script transformed it, what that made of it.
            ready: The destination.
            now: Unix seconds, for signatures.
            extra: Headers that a script added; `destinations.headers` has checked them.
        """

    async def carry(self, parcel: Parcel, ready: Ready, timeout_s: float) -> Response:
        """Bring it there once, within so many seconds.

        What is no HTTP is told in HTTP's words, for the rules of retries are in them: a 200 is
        delivered, a `CallFailed` of a fitting kind is not.

        Raises:
            CallFailed: there was no answer; `kind` says why.
        """
