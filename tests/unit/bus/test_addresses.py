"""Where the broker is, as settings say it."""

from pathlib import Path

import pytest

from crossdock.bus.connection import servers, tls_context
from crossdock.bus.streams import check_version
from crossdock.bus.wire import Address
from crossdock.config import NatsSettings
from crossdock.errors import ConfigurationError


def test_an_address_has_defaults() -> None:
    found = Address.parse("nats://broker", "me", "secret", None)

    assert (found.host, found.port, found.user, found.password) == ("broker", 4222, "me", "secret")


def test_a_user_in_the_address_goes_first() -> None:
    found = Address.parse("nats://you:p%40ss@[::1]:4300", "me", "secret", None)

    assert (found.host, found.port, found.user, found.password) == ("::1", 4300, "you", "p@ss")


@pytest.mark.parametrize("url", ["http://broker", "nats://", "broker:4222", "nats://b:port"])
def test_what_is_no_address_is_named(url: str) -> None:
    with pytest.raises(ConfigurationError):
        Address.parse(url, None, None, None)


def test_several_addresses_are_separated_by_commas() -> None:
    settings = NatsSettings(url="nats://a:1, b:2 ,tls://c:3")

    assert servers(settings) == ["nats://a:1", "nats://b:2", "tls://c:3"]
    assert tls_context(settings) is not None
    assert tls_context(NatsSettings()) is None


def test_no_address_and_no_ca_file_are_told() -> None:
    with pytest.raises(ConfigurationError, match="NATS__URL"):
        servers(NatsSettings(url=" ,"))
    with pytest.raises(ConfigurationError, match="NATS__TLS_CA"):
        tls_context(NatsSettings(tls_ca=Path("/nowhere/ca.pem")))


@pytest.mark.parametrize("version", ["2.12.3", "2.13.0-RC.1", "2.15.1", "3.0.0"])
def test_a_server_that_is_new_enough(version: str) -> None:
    check_version(version)


@pytest.mark.parametrize("version", ["2.12.2", "2.9.99", "1.99.99", "", "new"])
def test_a_server_that_is_too_old(version: str) -> None:
    with pytest.raises(ConfigurationError, match=r"2\.12\.3"):
        check_version(version)
