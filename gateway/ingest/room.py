"""How much of large bodies one process holds at once, and how much of that one tenant's may be."""

from collections import Counter
from typing import Final

from crossdock.errors import Busy

RETRY_AFTER_S: Final = 2.0


class Room:
    """Bytes that may be held; what is taken must be given back."""

    def __init__(self, total: int) -> None:
        """Say how many bytes.

        A tenant may take half of them, or one body; where nobody has any, one body of any size.
        """
        self._total = total
        self._left = total
        self._each = total // 2
        self._held: Counter[bytes] = Counter()

    def check(self, tenant_id: bytes, size: int, *, mine: int = 0) -> None:
        """Look whether there is room for a body, or for more of one.

        Args:
            tenant_id: whose.
            size: how much more.
            mine: what this body has taken already.

        Raises:
            Busy: there is none for now.
        """
        held = self._held.get(tenant_id, 0)
        others_hold = self._total - self._left > mine
        too_much = held > mine and held + size > self._each
        if others_hold and (size > self._left or too_much):
            raise Busy("No room for another large body.", retry_after_s=RETRY_AFTER_S)

    def take(self, tenant_id: bytes, size: int, *, mine: int = 0) -> None:
        """Take room, as by `check`.

        Raises:
            Busy: there is none for now.
        """
        self.check(tenant_id, size, mine=mine)
        self._left -= size
        self._held[tenant_id] += size

    def give_back(self, tenant_id: bytes, size: int) -> None:
        """Give back what was taken."""
        self._left += size
        self._held[tenant_id] -= size
        if not self._held[tenant_id]:
            del self._held[tenant_id]
