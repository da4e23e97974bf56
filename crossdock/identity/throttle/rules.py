"""Limits on tries, as GCRA has them: a burst at first, then one each so often.

All that is kept of a subject is one moment, its theoretical arrival time: when it would be its turn
if its tries had come evenly. A try is refused where that lies further ahead than the burst allows.
ITU-T I.371 describes it; see `store.py` for the one statement.
"""

import hashlib
from ipaddress import IPv6Address, ip_address
from typing import Final

import msgspec

IPV6_PREFIX_BITS: Final = 64
"""What one customer of a provider is given at least: whoever has one address has all of these."""

IPV6_SITE_BITS: Final = 48
"""What one is given at most."""


class Limit(msgspec.Struct, frozen=True):
    """So many tries at once, then one each `every_s` seconds."""

    burst: int
    every_s: float

    @property
    def ahead_s(self) -> float:
        """How far ahead a subject's time may lie for another try."""
        return (self.burst - 1) * self.every_s


LOGIN_BY_ACCOUNT: Final = Limit(burst=10, every_s=60.0)
LOGIN_BY_ADDRESS: Final = Limit(burst=30, every_s=2.0)
RESET_BY_ACCOUNT: Final = Limit(burst=3, every_s=1200.0)
RESET_BY_ADDRESS: Final = Limit(burst=20, every_s=180.0)
SIGNUP_BY_ACCOUNT: Final = Limit(burst=3, every_s=1200.0)
SIGNUP_BY_ADDRESS: Final = Limit(burst=20, every_s=180.0)


def key_of(purpose: str, subject: str) -> bytes:
    """Return what is stored of what is limited: a hash, so that it names nobody."""
    return hashlib.sha256(f"{purpose}\0{subject}".encode("utf-8", "surrogatepass")).digest()


def address_of(address: str, bits: int = IPV6_PREFIX_BITS) -> str:
    """Return what counts as one address: of IPv6 the first half, of a mapped IPv4 the IPv4.

    What is no address counts as it is.

    Args:
        address: as it is known.
        bits: how many of IPv6 count.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    host_bits = found.max_prefixlen - bits
    return f"{IPv6Address(int(found) >> host_bits << host_bits)}/{bits}"


def site_of(address: str) -> str:
    """Return the network from which whoever has an address may choose others."""
    return address_of(address, IPV6_SITE_BITS)


def take(free_at: float | None, now: float, limit: Limit) -> tuple[float | None, float]:
    """Return what one try leaves: the subject's new time and no wait, or no time and the wait.

    The statement in `store.py` says the same; this is what tests hold it to.
    """
    start = now if free_at is None else max(free_at, now)
    wait = start - now - limit.ahead_s
    return (None, wait) if wait > 0 else (start + limit.every_s, 0.0)
