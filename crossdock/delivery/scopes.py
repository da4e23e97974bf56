"""What a destination's breaker judges: the destination, at the host where it is now."""

from functools import lru_cache
from typing import Final, Protocol
from uuid import UUID

from yarl import URL

from crossdock.breakers.model import Scope, scope
from crossdock.delivery.destinations.model import Kind

_KNOWN: Final = 10_000


class Placed(Protocol):
    """The part of a destination, or a target, that says where it is."""

    @property
    def tenant_id(self) -> UUID:
        """Whose it is."""

    @property
    def id(self) -> UUID:
        """Which."""

    @property
    def kind(self) -> Kind:
        """How events get there."""

    @property
    def url(self) -> str:
        """Where to, of one that is called by HTTP."""


def scope_of(destination: Placed) -> Scope:
    """Return a destination's scope; one that moves to another host has another."""
    return _scope(destination.tenant_id, destination.id, destination.kind, destination.url)


@lru_cache(_KNOWN)
def _scope(tenant_id: UUID, destination_id: UUID, kind: Kind, url: str) -> Scope:
    return scope("destination", tenant_id, destination_id, host_of(kind, url))


def host_of(kind: Kind, url: str) -> str:
    """Return what stands for a destination's host: where it has no URL, its kind."""
    if kind != "http":
        return kind
    parsed = URL(url)
    return f"{parsed.host}:{parsed.port}"
