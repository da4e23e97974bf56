"""Origins that may call: named one by one, as browsers write them."""

from typing import Any

import pytest

from crossdock.errors import ConfigurationError
from gateway.edge.cors import SETTING, Cors

ORIGIN = "https://console.example"


def scope(method: str = "GET", *headers: tuple[str, str]) -> dict[str, Any]:
    found = [(name.encode(), value.encode()) for name, value in headers]
    return {"method": method, "headers": found}


def asking(origin: str, method: str = "OPTIONS") -> dict[str, Any]:
    return scope(method, ("origin", origin), ("access-control-request-method", "PATCH"))


@pytest.mark.parametrize(
    "text",
    [
        "https://console.example",
        "http://localhost:3000",
        "https://a-b.c_d.example:8443",
        "http://[::1]:3000",
        "https://xn--bcher-kva.example",
    ],
)
def test_origins(text: str) -> None:
    headers = dict(Cors([f" {text} "]).headers(scope("GET", ("origin", text))))

    assert headers[b"access-control-allow-origin"] == text.encode()


@pytest.mark.parametrize(
    "text",
    [
        *("", "*", "null", "console.example", "//console.example", "https://", "https:///"),
        *("https://*.example", "https://console.example/", "https://console.example/path"),
        *("https://console.example?a", "https://console.example#a", "https://me@console.example"),
        *("https://Console.example", "HTTPS://console.example", "https://bücher.example"),
        *("https://console.example:443", "http://console.example:80", "https://console.example:0"),
        *("https://console.example:", "https://console.example:99999", "https://a b.example"),
        *("https://a.example\r\nx: y", "https://a.example,https://b.example", "file:///etc"),
        *("ftp://console.example", "https://[::1", "chrome-extension://abcdef", "https://a\\b"),
    ],
)
def test_what_is_no_origin(text: str) -> None:
    with pytest.raises(ConfigurationError, match=SETTING):
        Cors([text])


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_where_none_are_named_nothing_is_said(method: str) -> None:
    cors = Cors(())

    assert cors.preflight(asking(ORIGIN, method)) is None
    assert cors.headers(asking(ORIGIN, method)) == ()


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://console.example.evil.example",
        "https://evilconsole.example",
        "http://console.example",
        "https://console.example:8443",
        "https://CONSOLE.example",
        "https://console.example/",
        "null",
        "*",
        "",
    ],
)
def test_others_are_told_nothing(origin: str) -> None:
    cors = Cors([ORIGIN])

    assert cors.preflight(asking(origin)) is None
    assert cors.headers(asking(origin)) == ((b"vary", b"Origin"),)


def test_of_two_origins_none_counts() -> None:
    both = scope("GET", ("origin", ORIGIN), ("origin", "https://evil.example"))

    assert Cors([ORIGIN]).headers(both) == ((b"vary", b"Origin"),)


def test_options_that_asks_for_nothing_is_no_preflight() -> None:
    assert Cors([ORIGIN]).preflight(scope("OPTIONS", ("origin", ORIGIN))) is None


def test_credentials_are_never_allowed() -> None:
    cors = Cors([ORIGIN])
    preflight = cors.preflight(asking(ORIGIN))

    assert preflight is not None
    for name, value in (*preflight.start["headers"], *cors.headers(asking(ORIGIN))):
        assert name != b"access-control-allow-credentials"
        assert value != b"*"
