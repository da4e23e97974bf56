"""What one process knows of one scope."""

from uuid import UUID

from crossdock.breakers import rules
from crossdock.breakers.machine import Machine
from crossdock.breakers.model import Policy, State, Why
from crossdock.breakers.rules import Counts, Window

NOTHING = Counts()


class Standing:
    """A breaker's state, what it counts, and since when. Times are monotonic but for `at`."""

    __slots__ = (
        "at",
        "counts",
        "epoch",
        "key",
        "machine",
        "opens",
        "probing",
        "rest_s",
        "until",
        "used_at",
        "why",
        "window",
    )

    def __init__(self, key: str, policy: Policy, now: float) -> None:
        self.key = key
        self.machine = Machine(policy)
        self.epoch = 0
        self.opens = 0
        self.until = 0.0
        self.rest_s = 0.0
        self.at: float | None = None
        """When it changed, in unix seconds; `None` while it never has."""
        self.why: Why = "consecutive"
        self.counts = NOTHING
        """Of the window that opened it."""
        self.window: Window | None = None
        self.probing: list[float] = []
        """When the permits of this process's own probes end."""
        self.used_at = now

    @property
    def is_open(self) -> bool:
        """Whether it is open, or half-open."""
        return self.machine.state != "closed"

    @property
    def tenant_id(self) -> UUID:
        """Whose it is."""
        return tenant_and_subject(self.key)[0]

    def state(self, now: float) -> State:
        """Return what it is now: one whose rest is over is half-open, whether probed or not."""
        if not self.is_open:
            return "closed"
        return "open" if self.until > now else "half-open"

    def probes(self, now: float) -> int:
        """Return how many probes of this process are under way; a lost one ends by itself."""
        self.probing = [ends for ends in self.probing if ends > now]
        return len(self.probing)

    def count(self, now: float, policy: Policy, *, failed: bool, slow: bool) -> Why | None:
        """Count a call while closed; return why it opens, if it does now."""
        if self.window is None:
            self.window = Window(policy.window_s, now)
        self.window.add(now, failed=failed, slow=slow)
        self.counts = self.window.counts(now)
        if failed:
            self.machine.failed()
        else:
            self.machine.succeeded()
        if self.machine.state == "open":
            return "consecutive"
        return rules.trips(self.counts, policy)

    def opened(self, epoch: int, opens: int, *, at: float, now: float, rest_s: float) -> None:
        """Be open from now on, for so long."""
        self.machine.open()
        self.epoch, self.opens, self.at = epoch, opens, at
        self.rest_s, self.until = rest_s, now + rest_s
        self.window = None
        self.probing.clear()

    def closed(self, epoch: int, *, at: float) -> None:
        """Be closed from now on."""
        self.machine.close()
        self.epoch, self.opens, self.at = epoch, 0, at
        self.rest_s = self.until = 0.0
        self.window, self.counts = None, NOTHING
        self.probing.clear()


def tenant_and_subject(key: str) -> tuple[UUID, UUID]:
    """Return whose scope a key names.

    Raises:
        ValueError: it is no key of a scope.
    """
    purpose, tenant, subject, host = key.split(".")
    if not (purpose and host):
        raise ValueError(key)
    return UUID(tenant), UUID(subject)


def host_of(key: str) -> str:
    """Return what stands for the host in a key."""
    return key.rpartition(".")[2]
