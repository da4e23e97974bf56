"""Which address a request came from, where proxies stand in between.

`X-Forwarded-For` is written by whoever sends it. Each proxy adds, at the right, the address that it
saw; so only what trusted proxies added says anything, and that is read from the right: the first
address that is no trusted proxy's is the client's. What stands left of it is the client's own tale.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from crossdock.errors import ConfigurationError

Address = IPv4Address | IPv6Address


class Proxies:
    """The proxies that are believed."""

    def __init__(self, trusted: Iterable[str]) -> None:
        try:
            self._networks = tuple(ip_network(text.strip()) for text in trusted)
        except ValueError as error:
            raise ConfigurationError(f"CROSSDOCK_GATEWAY__TRUSTED_PROXIES: {error}.") from error

    def client(self, peer: str, forwarded: Sequence[str]) -> str:
        """Return the client's address, or nothing where the connection has none.

        Args:
            peer: who opened the connection.
            forwarded: the values of all `X-Forwarded-For` headers, in their order.
        """
        nearest = _parse(peer)
        if nearest is None:
            return ""
        hops = [hop for value in forwarded for hop in value.split(",")]
        while hops and self._trusts(nearest):
            further = _parse(hops.pop())
            if further is None:  # a proxy of ours wrote what is no address: it knew no more
                break
            nearest = further
        return str(nearest)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def _parse(text: str) -> Address | None:
    """Return an address without its port, and IPv4 as such where it comes in IPv6's clothes."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        return found.ipv4_mapped or IPv6Address(int(found))  # the zone is this machine's business
    return found
