"""What a sender is told, and what it says."""

import msgspec


class Request(msgspec.Struct, frozen=True):
    """One request; its text holds no quote of the kind that ends Lua's strings."""

    path: str
    headers: dict[str, str]
    method: str = "GET"
    body: str = ""


class Task(msgspec.Struct, frozen=True):
    """What to send, in turn and over and over."""

    port: int
    requests: list[Request]
    connections: int
    seconds: float


class Sent(msgspec.Struct, frozen=True):
    """What became of it."""

    requests: int
    refused: int
    """Answered, but not with 2xx."""
    broken: int
    """Connections that failed."""
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def accepted(self) -> int:
        """Return how many were answered with 2xx."""
        return self.requests - self.refused

    @property
    def rate(self) -> float:
        """Return how many a second were answered with 2xx."""
        return self.accepted / self.seconds
