"""What every answer carries, whoever asked for whatever."""

import re
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import quote

import httpx
import msgspec
import pytest

from tests.acceptance.habits.home import Home, named
from tests.acceptance.habits.telling import policies, state
from tests.acceptance.house import House
from tests.acceptance.identity.gateways import another_gateway
from tests.acceptance.identity.people import Town
from tests.acceptance.identity.problems import ok
from tests.acceptance.openapi import DOCUMENT, METHODS
from tests.acceptance.wire import Wire
from tests.beds.routes import ENDLESS
from tests.faults.stack import Stack

CONSOLE: Final = "https://console.example.com"
OTHERS: Final = (
    "https://evil.example",
    "https://console.example.com.evil.example",
    "https://evil-console.example.com",
    "https://sub.console.example.com",
    "http://console.example.com",
    "https://console.example.com:8443",
    "https://console.example.com/",
    "null",
    "",
    "*",
)
EXPOSED: Final = {
    "etag",
    "location",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "idempotency-replayed",
}
ONCE: Final = (
    "content-security-policy",
    "permissions-policy",
    "referrer-policy",
    "x-content-type-options",
    "ratelimit",
    "ratelimit-policy",
)


def check(reply: httpx.Response) -> None:
    """Check what holds for each answer there is."""
    for name in ONCE:
        assert len(reply.headers.get_list(name)) == 1, (name, reply.request.url, reply.headers)
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] in {"no-referrer", "same-origin"}
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-eval" not in policy
    assert not re.search(r"script-src[^;]*'unsafe-inline'", policy)
    assert reply.headers["cross-origin-resource-policy"] == "same-origin"
    assert policies(reply)
    assert state(reply)
    assert "x-powered-by" not in reply.headers
    assert not re.search(r"\d", reply.headers.get("server", ""))


@pytest.fixture(scope="module")
async def document(home: Home) -> Any:
    return ok(await home.rest.get(DOCUMENT), 200)


async def test_every_operation_answers_with_them(home: Home, document: Any) -> None:
    asked = 0
    for path, item in document["paths"].items():
        if path in ENDLESS:
            continue
        for method in (name for name in METHODS if name in item):
            target = re.sub(r"\{\w+\}", "x", path)
            reply = await home.rest.call(method.upper(), target)
            check(reply)
            assert reply.status_code < 500, (method, path, reply.text)
            if path.startswith("/v1/"):
                assert reply.headers["cache-control"] == "no-store", (method, path)
            asked += 1
    assert asked > 60


async def test_nobody_is_answered_without_them(home: Home) -> None:
    anyone = home.town.anyone()
    for method, path in (
        ("GET", "/"),
        ("GET", "/nothing"),
        ("PUT", "/v1/sources"),
        ("GET", "/v1/sources"),
        ("HEAD", "/v1/sources"),
        ("OPTIONS", "/v1/sources"),
        ("POST", "/in/nobody-has-this"),
        ("GET", "/in/nobody-has-this"),
        ("GET", "/problems"),
        ("GET", "/problems/not-found"),
        ("GET", "/docs"),
        ("GET", "/health/live"),
    ):
        check(await anyone.call(method, path))


async def test_nothing_is_said_about_encryption_where_there_is_none(home: Home) -> None:
    assert "strict-transport-security" not in (await home.rest.get("/v1/sources")).headers


async def test_a_large_body_is_refused_with_them(home: Home) -> None:
    for path in ("/v1/sources", "/v1/auth/login"):
        reply = await home.rest.call(
            "POST", path, raw=b"x" * 3_000_000, headers={"content-type": "application/json"}
        )
        assert reply.status_code == 413
        check(reply)


async def test_webhooks_are_answered_with_them(house: House) -> None:
    door = await house.door("github")
    webhook = door.webhook()

    async with httpx.AsyncClient(trust_env=False) as http:
        taken = await http.post(webhook.url, content=webhook.body, headers=webhook.headers)
        refused = await http.post(webhook.url, content=b"x")

    assert (taken.status_code, refused.status_code) == (202, 401)
    for reply in (taken, refused):
        check(reply)
        assert reply.headers["cache-control"] == "no-store"


async def test_a_head_request_is_a_get_without_a_body(home: Home) -> None:
    path = (await home.source()).headers["location"]
    for target in (path, "/v1/sources", "/health/live", "/problems"):
        get, head = await home.rest.get(target), await home.rest.call("HEAD", target)
        assert head.status_code in {get.status_code, 405}, target
        assert head.content == b""
        check(head)


@pytest.mark.parametrize("text", ["a\r\nSet-Cookie: x=1", "a%0d%0aSet-Cookie:%20x=1", "a\nb"])
async def test_no_text_becomes_a_header(home: Home, text: str) -> None:
    escaped = text.replace("\r", "%0d").replace("\n", "%0a").replace(" ", "%20")
    async with Wire(f"{home.town.url}/v1/sources/{escaped}") as wire:
        bearer = ("Authorization", f"Bearer {home.key}")
        await wire.send(wire.head([bearer, ("Idempotency-Key", '"x"')], "DELETE"))
        heard = await wire.hear(20)
    assert 400 <= heard.status < 500, heard.text
    assert b"\r\nset-cookie" not in heard.text.lower()

    # A name may hold what would be a header elsewhere; it stays a text.
    reply = await home.rest.post("/v1/destinations", {"name": text, "url": "https://x.example/"})
    assert reply.status_code in {201, 422}
    assert "set-cookie" not in reply.headers


async def test_no_text_becomes_a_line_of_the_log(home: Home) -> None:
    marker = named("marker")
    forged = f'{{"event":"forged","level":"error","marker":"{marker}"}}'
    texts = f"\r\n{forged}\r\n", f"\x1b[31m{marker}", f"\u2028{forged}\u0085{forged}"
    for text in texts:
        await home.rest.post("/v1/sources", {"name": text, "scheme": "none"})
        await home.rest.get(f"/v1/{quote(text)}")
        await home.town.anyone().post("/v1/auth/login", {"email": text, "password": "x"})
        agent = re.sub(r"[^ -~]", "", text)
        await home.rest.call("POST", "/v1/sources", {}, headers={"x-request-id": agent})

    for line in home.town.stack.log.read_text(errors="replace").split("\n"):
        assert "\x1b" not in line
        if marker in line:
            assert msgspec.json.decode(line)["event"] != "forged"


async def test_pages_of_other_origins_read_nothing_by_default(home: Home) -> None:
    for origin in (CONSOLE, "null"):
        reply = await home.rest.call("GET", "/v1/sources", headers={"origin": origin})
        ok(reply, 200)
        assert not [name for name in reply.headers if name.startswith("access-control-")]
        asked = await _preflight(home.town, home.town.url, origin)
        assert "access-control-allow-origin" not in asked.headers


@pytest.fixture(scope="module")
async def console(stack: Stack) -> AsyncIterator[str]:
    """A gateway behind TLS, whose API one console's pages may call."""
    environ = {
        "CROSSDOCK_GATEWAY__CORS_ORIGINS": CONSOLE,
        "CROSSDOCK_GATEWAY__PUBLIC_URL": "https://api.example.com",
    }
    async with another_gateway(stack, environ) as url:
        yield url


async def _preflight(town: Town, url: str, origin: str, method: str = "PATCH") -> httpx.Response:
    headers = {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": "authorization,content-type,if-match,idempotency-key",
    }
    return await town.http.request("OPTIONS", f"{url}/v1/sources", headers=headers)


async def test_the_consoles_pages_may_ask_and_read(home: Home, console: str) -> None:
    asked = await _preflight(home.town, console, CONSOLE, "POST")
    assert asked.status_code in {200, 204}, asked.text
    assert asked.headers["access-control-allow-origin"] == CONSOLE
    assert "POST" in asked.headers["access-control-allow-methods"]
    allowed = {name.strip().lower() for name in _list(asked, "access-control-allow-headers")}
    assert {"authorization", "content-type", "if-match", "idempotency-key"} <= allowed

    reply = await home.town.http.get(
        f"{console}/v1/sources", headers=home.rest.headers | {"origin": CONSOLE}
    )

    ok(reply, 200)
    assert reply.headers["access-control-allow-origin"] == CONSOLE
    assert {name.strip().lower() for name in _list(reply, "access-control-expose-headers")} >= (
        EXPOSED
    )
    assert "origin" in {name.strip().lower() for name in _list(reply, "vary")}


def _list(reply: httpx.Response, name: str) -> list[str]:
    return str(reply.headers[name]).split(",")


@pytest.mark.parametrize("origin", OTHERS)
async def test_no_other_origins_pages_may(home: Home, console: str, origin: str) -> None:
    asked = await _preflight(home.town, console, origin)
    reply = await home.town.http.get(
        f"{console}/v1/sources", headers=home.rest.headers | {"origin": origin}
    )

    for answer in (asked, reply):
        assert "access-control-allow-origin" not in answer.headers
        assert "access-control-allow-credentials" not in answer.headers
        assert "origin" in answer.headers.get("vary", "").lower()


async def test_a_refusal_can_be_read_by_the_console_too(home: Home, console: str) -> None:
    for path in ("/v1/sources", "/v1/nothing"):
        reply = await home.town.http.get(f"{console}{path}", headers={"origin": CONSOLE})
        assert reply.status_code in {401, 404}
        assert reply.headers["access-control-allow-origin"] == CONSOLE


async def test_webhooks_are_for_no_browser(home: Home, console: str) -> None:
    reply = await home.town.http.post(
        f"{console}/in/{named('nobody')}", content=b"{}", headers={"origin": CONSOLE}
    )

    assert "access-control-allow-origin" not in reply.headers


async def test_browsers_stay_with_encryption(home: Home, console: str) -> None:
    for path in ("/v1/sources", "/nothing", "/health/live", "/problems"):
        reply = await home.town.http.get(console + path)
        age = re.search(r"max-age=(\d+)", reply.headers["strict-transport-security"])
        assert age
        assert int(age[1]) >= 31_536_000
