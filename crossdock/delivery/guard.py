"""The SSRF guard: which URLs a tenant may name, and which addresses a socket may be opened to.

Two gates. `check_url` refuses early, with words for the destination's owner. `open_socket` is the
one that holds: it is asked for every address that is really about to be connected to, whatever the
spelling, the resolver's answer of the moment, or the path that led there.
"""

import errno
import re
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

import msgspec
from yarl import URL

from crossdock.errors import Violation

LONGEST_URL: Final = 2048

_REFUSED_V4: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this host: Linux takes it for loopback
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' NAT; Alibaba's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's platform address, public in form only
        "169.254.0.0/16",  # link-local; most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks between networks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_GLOBAL_V6: Final = IPv6Network("2000::/3")
"""Only global unicast is ever reached; so loopback, `fc00::/7`, `fe80::/10`, `ff00::/8`, mapped
(`::ffff:0:0/96`), compatible (`::/96`) and NAT64 (`64:ff9b::/96`, `64:ff9b:1::/48`) are not."""
_REFUSED_V6: Final = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside
        "3fff::/20",  # documentation
    )
)
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
"""After IDNA. An escape such as `%2e` would be undone by some who read the URL, and not by us."""
_ISATAP: Final = frozenset({0x0000_5EFE, 0x0200_5EFE})
"""The upper half of an interface id with an IPv4 address in its lower half (RFC 5214)."""


class AddressRefused(OSError):
    """The guard does not connect there."""

    def __init__(self) -> None:
        # The same words for every address: aiohttp folds equal errors of several addresses into
        # the first, and a tenant learns nothing about the network we stand in.
        super().__init__(errno.EACCES, "the address is not public")


class Guard(msgspec.Struct, frozen=True):
    """The two gates, with an installation's settings."""

    allowed_ports: tuple[int, ...] = (80, 443)
    """Empty: any."""
    allow_loopback: bool = False
    """For development: this machine's own addresses, on any port."""

    def check_url(self, text: str, pointer: str = "/url") -> list[Violation]:
        """Return what is wrong with a destination's URL; nothing, if it may be called."""
        try:
            problem = self._problem(text)
        except ValueError:
            problem = "is not a URL"
        return [Violation(pointer, problem)] if problem else []

    def _problem(self, text: str) -> str | None:
        if len(text) > LONGEST_URL:
            return f"is longer than {LONGEST_URL} characters"
        if any(char <= " " or char == "\x7f" for char in text) or "\\" in text:
            return "has white space, control characters or backslashes in it"
        url = URL(text)
        if url.scheme not in {"http", "https"} or not url.raw_host:
            return "must be an absolute http or https URL"
        if url.user is not None or url.password is not None or "@" in url.raw_authority:
            return "must not carry credentials"
        if url.raw_fragment or "#" in text:
            return "must not have a fragment"
        return self._host_problem(url)

    def _host_problem(self, url: URL) -> str | None:
        host, port = (url.raw_host or "").rstrip("."), url.port
        address: IPv4Address | IPv6Address | None = None
        if ":" in host or _looks_numeric(host):
            try:
                address = ip_address(host)
            except ValueError:
                return "spells an IP address in another way than the usual one"
            if not self.permits(address):
                return "names an address that is not public"
        elif not _NAME.fullmatch(host):
            return "has a host that is no name: letters, digits, hyphens and single dots"
        is_local_name = host == "localhost" or host.endswith(".localhost")
        if is_local_name and not self.allow_loopback:
            return "names an address that is not public"
        if is_local_name or (address is not None and address.is_loopback):
            return None
        is_open = not self.allowed_ports or port in self.allowed_ports
        return None if is_open else f"must use port {' or '.join(map(str, self.allowed_ports))}"

    def permits(self, address: IPv4Address | IPv6Address) -> bool:
        """Tell whether a socket may be opened to an address."""
        if address.is_loopback and self.allow_loopback:
            return True
        return _is_public(address)

    def open_socket(self, addr_info: tuple[Any, ...]) -> socket.socket:
        """Return a socket for an address that is about to be connected to.

        The signature is that of `aiohttp.TCPConnector(socket_factory=…)`, which calls this for
        each address it tries, literals included, and then connects to that very text.

        Raises:
            AddressRefused: the guard does not connect there.
        """
        family, kind, proto, _, sockaddr = addr_info
        try:
            address = ip_address(sockaddr[0])
        except ValueError as error:
            raise AddressRefused from error
        if not self.permits(address):
            raise AddressRefused
        if self.allowed_ports and not address.is_loopback and sockaddr[1] not in self.allowed_ports:
            raise AddressRefused
        return socket.socket(family=family, type=kind, proto=proto)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_V4)
    if address.scope_id is not None or address not in _GLOBAL_V6:
        return False
    if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
        return False
    return not any(address in network for network in _REFUSED_V6)


def _looks_numeric(host: str) -> bool:
    """Tell whether resolvers may read a name as an IPv4 address (WHATWG URL: "ends in a number").

    `2130706433`, `0x7f.1`, `127.1` and `0177.0.0.1` are all 127.0.0.1 to `inet_aton`.
    """
    last = host.rpartition(".")[2]
    return last.isdigit() or (
        last.lower().startswith("0x") and all(c in "0123456789abcdef" for c in last[2:].lower())
    )
