"""Whose script is run next: who has used the least of late, whatever a script of his costs.

Pure. Each tenant's use is counted in seconds of a process; one that comes back after a pause does
not get what he left unused.
"""

from collections import Counter, deque
from typing import Final, Generic, TypeVar
from uuid import UUID

T = TypeVar("T")

REMEMBERED: Final = 10_000
"""Tenants whose use is known though none of theirs waits."""


class Turns(Generic[T]):
    """What waits, tenant by tenant."""

    def __init__(self, *, most: int, share: int) -> None:
        """Begin with nothing.

        Args:
            most: that wait at once; of one tenant half as many.
            share: of one tenant that are at work at once.
        """
        self._most = most
        self._share = share
        self._lines: dict[UUID, deque[T]] = {}
        self._working: Counter[UUID] = Counter()
        self._used: dict[UUID, float] = {}
        self._floor = 0.0
        """What the one whose turn was last had used: nobody begins with less."""
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def add(self, tenant_id: UUID, job: T) -> bool:
        """Let something wait for its turn; tell whether there was room."""
        line = self._lines.get(tenant_id)
        if self._waiting >= self._most or (line and len(line) >= self._most // 2):
            return False
        if line is None:
            line = self._lines[tenant_id] = deque()
            if not self._working[tenant_id]:
                self._used[tenant_id] = max(self._floor, self._used.get(tenant_id, 0.0))
        line.append(job)
        self._waiting += 1
        return True

    def take(self) -> tuple[UUID, T] | None:
        """Return whose turn it is, and what is done for him; `done` must follow."""
        free = [one for one in self._lines if self._working[one] < self._share]
        if not free:
            return None
        tenant_id = min(free, key=self._used.__getitem__)
        line = self._lines[tenant_id]
        job = line.popleft()
        if not line:
            del self._lines[tenant_id]
        self._waiting -= 1
        self._working[tenant_id] += 1
        self._floor = max(self._floor, self._used[tenant_id])
        return tenant_id, job

    def done(self, tenant_id: UUID, seconds: float) -> None:
        """Count what a turn took."""
        self._working[tenant_id] -= 1
        if not self._working[tenant_id]:
            del self._working[tenant_id]
        self._used[tenant_id] += seconds
        if len(self._used) > REMEMBERED:
            self._forget()

    def remove(self, tenant_id: UUID, job: T) -> bool:
        """Take back something that waits; tell whether it still did."""
        line = self._lines.get(tenant_id)
        if line is None or job not in line:
            return False
        line.remove(job)
        self._waiting -= 1
        if not line:
            del self._lines[tenant_id]
        return True

    def clear(self) -> list[T]:
        """Take back all that waits."""
        jobs = [job for line in self._lines.values() for job in line]
        self._lines.clear()
        self._waiting = 0
        return jobs

    def _forget(self) -> None:
        """Forget tenants that are gone, and would begin at the floor anyway or not far above."""
        busy = self._lines.keys() | self._working.keys()
        self._used = {one: used for one, used in self._used.items() if one in busy}
