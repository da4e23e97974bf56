"""Whose address a request has, behind proxies and in front of liars."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.errors import ConfigurationError
from gateway.edge.addresses import Proxies

PROXIES = Proxies(("10.0.0.0/8", "fd00::/8", "127.0.0.1/32"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        # Nobody in between: what the sender says of itself is a tale.
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("203.0.113.7", ["10.0.0.1"], "203.0.113.7"),
        # One proxy, and several.
        ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7", "10.0.0.2"], "203.0.113.7"),
        # What stands left of the client was sent by the client.
        ("10.0.0.1", ["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1", "203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        ("10.0.0.1", ["10.9.9.9, 203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["junk, 203.0.113.7"], "203.0.113.7"),
        # Nothing but proxies: the furthest of them.
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        # What is no address says no more.
        ("10.0.0.1", ["203.0.113.7, unknown"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7, junk, 10.0.0.2"], "10.0.0.2"),
        # With ports, in brackets, in other clothes.
        ("10.0.0.1", ["203.0.113.7:4711"], "203.0.113.7"),
        ("10.0.0.1", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("10.0.0.1", ["[2001:db8::7]"], "2001:db8::7"),
        ("10.0.0.1", ["2001:DB8:0::7"], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("fd00::1", ["2001:db8::7"], "2001:db8::7"),
        ("fe80::1%eth0", ["203.0.113.7"], "fe80::1"),
        # A socket has no address.
        ("", ["203.0.113.7"], ""),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_proxy(
    peer: str, forwarded: list[str], client: str
) -> None:
    assert PROXIES.client(peer, forwarded) == client


def test_without_proxies_the_header_says_nothing() -> None:
    assert Proxies(()).client("127.0.0.1", ["203.0.113.7"]) == "127.0.0.1"


@given(st.lists(st.text(max_size=60), max_size=4))
def test_no_header_breaks_it(forwarded: list[str]) -> None:
    assert PROXIES.client("10.0.0.1", forwarded)


@given(st.lists(st.text(max_size=60), max_size=4))
def test_no_client_chooses_its_address(tale: list[str]) -> None:
    """Whatever it sends, the proxy adds what it saw."""
    assert PROXIES.client("10.0.0.1", [*tale, "203.0.113.7"]) == "203.0.113.7"


def test_a_network_that_is_none_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(ConfigurationError, match="TRUSTED_PROXIES"):
        Proxies(("10.0.0.1/8",))
