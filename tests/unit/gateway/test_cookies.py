"""What tells our own pages' requests from others', without a server."""

import pytest

from crossdock import ids
from crossdock.errors import ConfigurationError
from gateway.cookies import Browsers, origin_of

KEY = bytes(32)
OTHER = bytes(31) + b"\1"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://hooks.example", "https://hooks.example"),
        ("https://Hooks.Example/", "https://hooks.example"),
        ("https://hooks.example:443/base", "https://hooks.example"),
        ("http://hooks.example:80", "http://hooks.example"),
        ("https://hooks.example:8443", "https://hooks.example:8443"),
        ("http://hooks.example:443", "http://hooks.example:443"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_the_origin_of_an_address(url: str, origin: str) -> None:
    assert origin_of(url) == origin


def test_a_token_is_of_one_session_and_one_installation() -> None:
    one, other = ids.new(), ids.new()
    browsers = Browsers(KEY, "https://hooks.example")

    assert browsers.csrf_token(one) == Browsers(KEY, "http://elsewhere").csrf_token(one)
    assert browsers.csrf_token(one) != browsers.csrf_token(other)
    assert browsers.csrf_token(one) != Browsers(OTHER, "https://hooks.example").csrf_token(one)
    assert str(one) not in browsers.csrf_token(one)


def test_without_a_key_there_are_none() -> None:
    with pytest.raises(ConfigurationError, match="CROSSDOCK_KEYS__IDENTITY"):
        Browsers.from_text(None, "https://hooks.example", setting="CROSSDOCK_KEYS__IDENTITY")
