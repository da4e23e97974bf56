"""The SSRF guard against every spelling of an address we know."""

import socket
from ipaddress import ip_address

import pytest

from crossdock.delivery.guard import AddressRefused, Guard

GUARD = Guard()
OPEN = Guard(allowed_ports=(), allow_loopback=True)

REFUSED_ADDRESSES = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::8.8.8.8",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "ff02::1",
    "2606:4700::5efe:7f00:1",
    "2606:4700::200:5efe:a00:1",
]

PUBLIC_ADDRESSES = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2a00:1450::1",
]


@pytest.mark.parametrize("text", REFUSED_ADDRESSES)
def test_an_address_that_is_not_public_gets_no_socket(text: str) -> None:
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    assert not GUARD.permits(ip_address(text))
    with pytest.raises(AddressRefused):
        GUARD.open_socket((family, socket.SOCK_STREAM, 6, "", (text, 443)))


@pytest.mark.parametrize("text", PUBLIC_ADDRESSES)
def test_a_public_address_gets_one(text: str) -> None:
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        GUARD.open_socket((family, socket.SOCK_STREAM, 6, "", (text, 443))).close()
    except AddressRefused:
        pytest.fail("refused")
    except OSError:
        pass  # a machine without IPv6; the guard has had its say


@pytest.mark.parametrize("text", ["localhost", "example.com", "127.1", "0x7f000001", "", "1.1.1"])
def test_what_is_not_an_address_gets_no_socket(text: str) -> None:
    """The socket gate sees addresses only; a name there would be resolved by the kernel's side."""
    with pytest.raises(AddressRefused):
        OPEN.open_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, 443)))


def test_a_port_that_is_not_allowed_gets_no_socket() -> None:
    with pytest.raises(AddressRefused):
        GUARD.open_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 22)))


@pytest.mark.parametrize("text", ["127.0.0.1", "::1"])
def test_loopback_opens_by_setting_only(text: str) -> None:
    assert not GUARD.permits(ip_address(text))
    assert Guard(allow_loopback=True).permits(ip_address(text))


@pytest.mark.parametrize("text", ["10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "fd00::1"])
def test_the_loopback_setting_opens_nothing_else(text: str) -> None:
    assert not OPEN.permits(ip_address(text))


REFUSED_URLS = [
    *(f"http://{a}/" for a in REFUSED_ADDRESSES if ":" not in a),
    *(f"http://[{a.replace('%', '%25')}]/" for a in REFUSED_ADDRESSES if ":" in a),
    "http://2130706433/",  # decimal
    "http://017700000001/",  # octal
    "http://0x7f000001/",  # hexadecimal
    "http://0177.0.0.1/",
    "http://0x7f.0.0.1/",
    "http://0X7F.0x0.0X0.0x1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.0.0.01/",
    "http://0/",
    "http://0x/",
    "http://1.1.1.1.1/",
    "http://256.1.1.1/",
    "http://127.0.0.1./",
    "http://\uff11\uff12\uff17.0.0.1/",  # full-width digits
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    "http://127%2e0%2e0%2e1/",  # escapes
    "http://%6c%6fcalhost/",
    "http://localhost%00.example.com/",
    "http://127.0.0.1%20/",
    "http://127.0.0.1%E3%80%82/",
    "http://2852039166/",  # 169.254.169.254, once more in each way
    "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/",
    "http://0xa9.0xfe.43518/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[0:0:0:0:0:ffff:169.254.169.254]/",
    "http://[2002:a9fe:a9fe::]/",  # 6to4
    "http://[64:ff9b::a9fe:a9fe]/",  # NAT64
    "http://[2001:0:a9fe:a9fe::]/",  # Teredo
    "http://[fe80::1%25eth0]/",
    "http://127.0.0.1:80@example.com/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1;@example.com/",
    "http://١٢٧.0.0.1/",  # digits of another script
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    "http://localhost。/",
    "http://a.localhost../",
    "http://a..example.com/",
    "http://.example.com/",
    "http:127.0.0.1",
    "http:/127.0.0.1/",
    "http://localhost/",
    "http://LOCALHOST/",
    "http://localhost./",
    "http://a.localhost/",
    "http://user:password@example.com/",
    "http://user@example.com/",
    "http://example.com#@127.0.0.1/",
    "http://example.com/#fragment",
    "http://example.com:22/",
    "http://example.com:8080/",
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com\\@127.0.0.1/",
    "http://exa mple.com/",
    "http://example.com/\r\nHost: x",
    "http://example.com/\x00",
    "\thttp://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "//example.com/",
    "/relative",
    "example.com",
    "http://",
    "http:///path",
    "http://[::1",
    "http://[::1]:80:80/",
    "http://example.com/" + "a" * 2048,
    "",
]


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_a_url_that_should_not_be_called_is_refused_with_a_reason(url: str) -> None:
    (violation,) = GUARD.check_url(url)
    assert violation.pointer == "/url"
    assert violation.detail


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "http://example.com/path?query=1&b=%20",
        "https://EXAMPLE.com:443/",
        "http://example.com:80/",
        "https://bücher.example/",
        "https://a-b.c_d.example/hook",
        "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]/",
        "https://3com.com/",
        "https://0x7f.example.com/",
    ],
)
def test_an_ordinary_url_is_taken(url: str) -> None:
    assert GUARD.check_url(url) == []


def test_development_takes_loopback_on_any_port_and_ports_stay_closed_elsewhere() -> None:
    guard = Guard(allow_loopback=True)
    assert guard.check_url("http://127.0.0.1:54321/hook") == []
    assert guard.check_url("http://[::1]:54321/hook") == []
    assert guard.check_url("http://localhost:54321/hook") == []
    assert guard.check_url("http://example.com:54321/hook") != []
    assert guard.check_url("http://10.0.0.1/") != []


def test_ports_may_be_any_by_setting() -> None:
    assert Guard(allowed_ports=()).check_url("http://example.com:54321/hook") == []
