"""Bodies and headers that no client sends: refused or taken, and never a 500."""

import asyncio
import secrets
from typing import Any

import pytest

from tests.acceptance.identity.gateways import another_gateway
from tests.acceptance.identity.people import Person, Town, email, password, slug
from tests.acceptance.identity.problems import kind, ok, refused, told
from tests.acceptance.wire import Wire

LOGIN = "/v1/auth/login"
JSON = {"content-type": "application/json"}
STORM = 130


def spoilt(text: str) -> dict[str, bytes]:
    """Return JSON strings of odd characters, with some text around them."""
    return {
        "a lone surrogate": rb'"\ud800' + text.encode() + b'"',
        "surrogates the wrong way round": rb'"\udc00\ud800' + text.encode() + b'"',
        "a NUL": rb'"\u0000' + text.encode() + b'"',
        "control characters": rb'"\u0001\u001b[31m' + text.encode() + b'"',
        "no UTF-8": b'"\xff\xfe' + text.encode() + b'"',
        "overlong UTF-8": b'"\xc0\xaf' + text.encode() + b'"',
        "direction overrides": '"\u202e\u2066'.encode() + text.encode() + b'"',
        "a number": b"1e400",
        "a deep list": b"[" * 3000 + b"]" * 3000,
    }


@pytest.mark.parametrize("name", spoilt(""))
async def test_odd_text_is_no_mishap(town: Town, name: str) -> None:
    good = {
        "email": f'"{email("x")}"'.encode(),
        "password": f'"{password()}"'.encode(),
        "name": b'"N"',
        "tenant_name": b'"T"',
        "slug": f'"{slug()}"'.encode(),
    }
    for member in good:
        odd = good | {member: spoilt("some more text")[name]}
        raw = b"{" + b",".join(b'"%s":%s' % (k.encode(), v) for k, v in odd.items()) + b"}"
        reply = await town.anyone().call("POST", "/v1/signup", raw=raw, headers=JSON)
        assert reply.status_code in {202, 400, 422}, (member, told(reply))
        pair = b'{"email":%s,"password":%s}' % (odd["email"], odd["password"])
        reply = await town.anyone().call("POST", LOGIN, raw=pair, headers=JSON)
        assert reply.status_code in {400, 401, 422}, (member, told(reply))


@pytest.mark.parametrize("path", ["/v1/signup", LOGIN, "/v1/auth/refresh", "/v1/users"])
async def test_a_body_has_a_limit(town: Town, path: str) -> None:
    raw = b'{"email": "' + b"x" * 3_000_000 + b'"}'

    reply = await town.anyone().call("POST", path, raw=raw, headers=JSON)

    assert reply.status_code in {401, 405, 413, 422}, told(reply)


ODD_HEADERS = {
    "a browser of 6 kB": ("User-Agent", "x" * 6000),
    "a browser of odd bytes": ("User-Agent", "\xff\xfe\x80 browser"),
    "a browser of none": ("User-Agent", ""),
    "an address of none": ("X-Forwarded-For", ""),
    "an address of nonsense": ("X-Forwarded-For", "not-an-address"),
    "an address of odd bytes": ("X-Forwarded-For", "\xff\xff"),
    "many addresses": ("X-Forwarded-For", ", ".join(["10.1.1.1"] * 300)),
    "commas": ("X-Forwarded-For", ",,,,"),
    "an address with a port": ("X-Forwarded-For", "10.3.2.1:8080"),
    "an address of version 6": ("X-Forwarded-For", "2001:db8::1"),
    "one in brackets": ("X-Forwarded-For", "[2001:db8::1]:443"),
    "a mapped one": ("X-Forwarded-For", "::ffff:10.0.0.1"),
    "one with a zone": ("X-Forwarded-For", "fe80::1%eth0"),
    "a quote": ("X-Forwarded-For", "10.0.0.1'; DROP TABLE users --"),
}


@pytest.mark.parametrize("name", ODD_HEADERS)
async def test_odd_headers_do_not_stop_who_knows_the_password(
    town: Town, owner: Person, name: str
) -> None:
    body = (f'{{"email": "{owner.email}", "password": "{owner.password}"}}').encode()
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
        ODD_HEADERS[name],
    ]
    async with Wire(town.url + LOGIN) as wire:
        await wire.send(wire.head(headers) + body)
        heard = await wire.hear(20)

    # Whoever cannot be told apart from others may share their limit; nobody gets a 500.
    assert heard.status in {200, 400, 429}, heard.text
    ok(await owner.rest.get("/v1/auth/sessions"))
    ok(await owner.rest.get("/v1/audit"))


async def test_a_forwarded_address_is_the_last_proxys_word(town: Town) -> None:
    sprayer = town.anyone()
    last = sprayer.headers["x-forwarded-for"]

    reply = None
    for _ in range(STORM):
        # Whoever comes through the proxy may write what they like before the proxy's own entry.
        invented = f"11.{secrets.randbelow(256)}.{secrets.randbelow(256)}.7"
        sprayer.headers["x-forwarded-for"] = f"{invented}, {last}"
        body = {"email": email("spray"), "password": "Summer 2026!!"}
        reply = await sprayer.post(LOGIN, body)
        if reply.status_code != 401:
            break

    assert reply is not None
    refused(reply, 429)
    assert kind(reply) == "quota-exceeded"


async def test_nobody_forwards_where_there_is_no_proxy(town: Town) -> None:
    direct = {"CROSSDOCK_GATEWAY__TRUSTED_PROXIES": "192.0.2.0/24"}
    reply = None
    async with another_gateway(town.stack, direct) as url:
        for number in range(STORM):
            headers = {
                "x-forwarded-for": f"12.0.{number}.1",
                "x-real-ip": f"12.0.{number}.1",
                "forwarded": f"for=12.0.{number}.1",
            }
            body = {"email": email("spray"), "password": "Summer 2026!!"}
            reply = await town.http.post(url + LOGIN, json=body, headers=headers)
            if reply.status_code != 401:
                break

    assert reply is not None
    refused(reply, 429)


async def test_a_storm_of_sign_ins_is_told_to_come_again_and_stops_nothing_else(
    town: Town, owner: Person
) -> None:
    wish = {"name": "during the storm", "scheme": "none", "secrets": []}
    door = ok(await owner.rest.post("/v1/sources", wish), 201)

    async def storm() -> list[Any]:
        return await asyncio.gather(
            *(
                town.anyone().post(LOGIN, {"email": email("x"), "password": password()})
                for _ in range(150)
            )
        )

    async def others() -> list[Any]:
        replies = []
        for number in range(40):
            replies.append(await owner.rest.get("/v1/auth/me"))
            content = b'{"n": %d}' % number
            replies.append(await town.http.post(door["ingest_url"], content=content))
        return replies

    stormed, rest = await asyncio.gather(storm(), others())

    for reply in stormed:
        refused(reply, {401, 429, 503})
        if reply.status_code != 401:
            assert int(reply.headers["retry-after"]) >= 1
    assert 503 in {reply.status_code for reply in stormed}, "The queue has an end."
    assert {reply.status_code for reply in rest} <= {200, 202, 404}
    assert [reply.status_code for reply in rest[-20:]].count(202) == 10
    ok(await owner.try_login(), 200)
