"""The standings that one process keeps: a bounded number, and by host those that are open."""

from itertools import islice
from typing import Final

from crossdock.breakers.model import Policy
from crossdock.breakers.standing import Standing, host_of
from crossdock.telemetry.metrics import BREAKER_LOCAL, BREAKERS_OPEN

IDLE_S: Final = 900.0
"""When one that nobody asks about is forgotten; an open one, so long after its rest."""
_LOOKED_AT: Final = 64


class Memory:
    """What is known of scopes, by their keys."""

    def __init__(self, policy: Policy, capacity: int) -> None:
        self._policy = policy
        self._capacity = capacity
        self._standings: dict[str, Standing] = {}
        self._hosts: dict[str, set[str]] = {}
        """Open ones, by what stands for their host."""
        self._open = 0

    def __len__(self) -> int:
        return len(self._standings)

    def get(self, key: str) -> Standing | None:
        """Return what is known of a scope."""
        return self._standings.get(key)

    def make(self, key: str, now: float) -> Standing | None:
        """Begin to know one; `None` if there is no room, because all that is known is open."""
        if len(self._standings) >= self._capacity and not self._make_room():
            BREAKER_LOCAL.labels("full").inc()
            return None
        made = self._standings[key] = Standing(key, self._policy, now)
        return made

    def drop(self, key: str) -> None:
        """Forget one."""
        if self._standings.pop(key, None) is not None:
            self.note(key, is_open=False)

    def opened(self) -> list[Standing]:
        """Return those that are open, or half-open."""
        return [one for one in self._standings.values() if one.is_open]

    def note(self, key: str, *, is_open: bool) -> None:
        """Remember at which host one is open."""
        host = host_of(key)
        keys = self._hosts.setdefault(host, set())
        before = len(keys)
        if is_open:
            keys.add(key)
        else:
            keys.discard(key)
        self._open += len(keys) - before
        if not keys:
            del self._hosts[host]
        BREAKERS_OPEN.set(self._open)

    def host_rest(self, key: str, now: float) -> float:
        """Return how long to leave a scope alone because others are probing its host."""
        least = self._policy.host_tenants
        if least is None or not self._hosts:
            return 0.0
        keys = self._hosts.get(host_of(key), ())
        if len(keys) < least:
            return 0.0
        found = [self._standings[one] for one in keys]
        # One that nobody has probed for long says nothing any more.
        found = [one for one in found if one.until + self._policy.window_s > now]
        if len({one.tenant_id for one in found}) < least:
            return 0.0
        return max(1.0, min(one.until for one in found) - now)

    def sweep(self, now: float) -> None:
        """Forget what nobody has asked about for long."""
        for key, known in list(self._standings.items()):
            if max(known.used_at, known.until) + IDLE_S < now:
                self.drop(key)

    def _make_room(self) -> bool:
        """Forget one that is closed, of those that were made first."""
        for key in list(islice(self._standings, _LOOKED_AT)):
            if not self._standings[key].is_open:
                self.drop(key)
                return True
        return False
