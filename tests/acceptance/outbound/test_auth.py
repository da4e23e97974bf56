"""How a destination is convinced: headers, basic, bearer, OAuth2, mTLS; and that nothing leaks."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from crossdock.samples.sender import new_serial
from tests.acceptance.house import House
from tests.acceptance.outbound.lanes import delivered, lane, patch, refused, shown, state_of
from tests.acceptance.outbound.servers import Authority, Tokens, secure
from tests.faults.waiting import until

QUICK = {"delays_s": [1, 1, 1]}


async def test_headers_of_its_own_are_sent_and_never_shown(house: House) -> None:
    value = f"secret-{new_serial()}"
    feed = await lane(house, headers={"x-api-key": value, "X-Tenant": "acme"})
    arrival = await feed.arrived(await feed.send("a.b"))
    assert arrival.headers["x-api-key"] == value
    assert arrival.headers["x-tenant"] == "acme"
    assert sorted(name.lower() for name in (await shown(feed))["headers"]) == [
        "x-api-key",
        "x-tenant",
    ]
    await patch(feed, headers={"x-more": "1", "X-Tenant": None})

    async def is_merged() -> bool:
        seen = (await feed.arrived(await feed.send("a.b"))).headers
        return seen.get("x-more") == "1" and "x-tenant" not in seen and seen["x-api-key"] == value

    await until(is_merged, "merged headers")


async def test_basic(house: House) -> None:
    feed = await lane(house, auth={"type": "basic", "username": "ann", "password": "pä:ss"})
    arrival = await feed.arrived(await feed.send("a.b"))
    assert arrival.headers["authorization"] == "Basic " + b64encode("ann:pä:ss".encode()).decode()
    auth = (await shown(feed))["auth"]
    assert (auth["type"], auth["username"]) == ("basic", "ann")
    assert "pä:ss" not in str(auth)


async def test_bearer(house: House) -> None:
    feed = await lane(house, auth={"type": "bearer", "token": "tok-123"})
    arrival = await feed.arrived(await feed.send("a.b"))
    assert arrival.headers["authorization"] == "Bearer tok-123"
    assert "tok-123" not in str(await shown(feed))


@pytest.mark.parametrize("style", ["basic", "body"])
async def test_oauth2_fetches_a_token_once_and_again_when_it_is_refused(
    house: House, style: str
) -> None:
    tokens = Tokens()
    async with tokens.serving():
        feed = await lane(
            house,
            retry=QUICK,
            auth={
                "type": "oauth2",
                "token_url": tokens.url,
                "client_id": "us",
                "client_secret": "ours",
                "scope": "hooks",
                "style": style,
            },
        )
        for _ in range(5):
            arrival = await feed.arrived(await feed.send("a.b"))
            assert arrival.headers["authorization"] == f"Bearer {tokens.newest}"
        assert len(tokens.asked) == 1, "A token is kept as long as it is good."
        asked = tokens.asked[0]
        assert (asked["grant_type"], asked["scope"]) == ("client_credentials", "hooks")
        who = (
            (asked["user"], asked["password"])
            if style == "basic"
            else (asked["client_id"], asked["client_secret"])
        )
        assert who == ("us", "ours")
        house.receiver.answer(feed.path, lambda _event, earlier: 401 if earlier < 1 else 204)
        sent = await feed.send("a.b")
        await delivered(feed, sent)
        assert len(tokens.asked) == 2, "A refused token is not used again."
        assert feed.came()[-1].headers["authorization"] == "Bearer token-2"


async def test_a_token_server_that_refuses_is_that_deliverys_failure(house: House) -> None:
    tokens = Tokens()
    tokens.status = 401
    async with tokens.serving():
        feed = await lane(
            house,
            retry={"count": 0},
            auth={
                "type": "oauth2",
                "token_url": tokens.url,
                "client_id": "us",
                "client_secret": "not-ours",
            },
        )
        delivery = await state_of(feed, (await feed.send("a.b")).id, "dead")
    assert delivery["last_error"]
    assert "not-ours" not in str(delivery)
    assert feed.came() == []


async def test_mutual_tls(house: House, tmp_path: Path) -> None:
    authority, strangers = Authority(), Authority()
    ours = authority.issue("crossdock's client")
    theirs = strangers.issue("somebody")
    async with secure(tmp_path, authority.issue("server"), clients=authority) as (url, seen):
        good = await lane(
            house,
            url=url,
            retry={"count": 0},
            auth={
                "type": "mtls",
                "certificate": ours.certificate,
                "private_key": ours.key,
                "ca": authority.pem,
            },
        )
        await delivered(good, await good.send("a.b"))
        assert seen[-1].peer == "crossdock's client"
        auth = (await shown(good))["auth"]
        assert auth["type"] == "mtls"
        assert "PRIVATE" not in str(auth)
        bad = await lane(
            house,
            url=url,
            retry={"count": 0},
            auth={
                "type": "mtls",
                "certificate": theirs.certificate,
                "private_key": theirs.key,
                "ca": authority.pem,
            },
        )
        before = len(seen)
        delivery = await state_of(bad, (await bad.send("a.b")).id, "dead")
        assert delivery["last_error"]
        assert len(seen) == before
        none = await lane(house, url=url, retry={"count": 0})
        delivery = await state_of(none, (await none.send("a.b")).id, "dead")
        assert "tls" in delivery["last_error"].lower()


@pytest.mark.parametrize(
    ("pointer", "wish"),
    [
        ("/headers", {"headers": {"x-a": "b\r\nx-injected: 1"}}),
        ("/headers", {"headers": {"x-a\r\nx-b": "1"}}),
        ("/headers", {"headers": {"host": "internal"}}),
        ("/headers", {"headers": {"content-length": "5"}}),
        ("/headers", {"headers": {"Transfer-Encoding": "chunked"}}),
        ("/headers", {"headers": {"connection": "upgrade"}}),
        ("/headers", {"headers": {"webhook-signature": "v1,forged"}}),
        ("/headers", {"headers": {"Webhook-Id": "forged"}}),
        ("/headers", {"headers": {"": "1"}}),
        ("/headers", {"headers": {"x a": "1"}}),
        ("/headers", {"headers": {"x-a": "nul\0"}}),
        ("/headers", {"headers": {"x-a": "x" * 5000}}),
        ("/headers", {"headers": {f"x-{n}": "1" for n in range(500)}}),
        ("/auth", {"auth": {"type": "basic", "username": "a:b", "password": "c"}}),
        ("/auth", {"auth": {"type": "bearer", "token": "a\r\nx: 1"}}),
        ("/auth", {"auth": {"type": "none-such"}}),
        ("/auth", {"auth": {"type": "mtls", "certificate": "no", "private_key": "no"}}),
        (
            "/auth",
            {
                "auth": {
                    "type": "oauth2",
                    "token_url": "http://169.254.169.254/token",
                    "client_id": "a",
                    "client_secret": "b",
                }
            },
        ),
    ],
)
async def test_what_can_not_be_sent_is_refused_when_it_is_saved(
    house: House, pointer: str, wish: dict[str, Any]
) -> None:
    reply = await house.rest.call(
        "POST", "/v1/destinations", {"name": "x", "url": f"{house.receiver.url}/x"} | wish
    )
    assert reply.status in {400, 422}, reply
    pointers = [error["pointer"] for error in reply.json()["errors"]]
    assert any(one.startswith(pointer) for one in pointers), reply


async def test_a_key_that_is_not_the_certificates_is_refused(house: House) -> None:
    authority = Authority()
    one, two = authority.issue("one"), authority.issue("two")
    await refused(
        house,
        "/auth",
        auth={"type": "mtls", "certificate": one.certificate, "private_key": two.key},
    )


async def test_no_secret_is_told_anywhere(house: House) -> None:
    secrets = {name: f"{name}-{new_serial()}" for name in ("password", "token", "header", "client")}
    tokens = Tokens()
    async with tokens.serving():
        oauth2 = {
            "type": "oauth2",
            "token_url": tokens.url,
            "client_id": "us",
            "client_secret": secrets["client"],
        }
        feeds = [
            await lane(
                house,
                headers={"x-key": secrets["header"]},
                auth={"type": "basic", "username": "u", "password": secrets["password"]},
            ),
            await lane(house, auth={"type": "bearer", "token": secrets["token"]}),
            await lane(house, auth=oauth2),
        ]
        told: list[str] = []
        for feed in feeds:
            sent = await feed.send("a.b")
            delivery = await delivered(feed, sent)
            told += [
                str(await shown(feed)),
                str(delivery),
                str(await house.rest.get(f"/v1/events/{sent.id}/timeline")),
                str(feed.destination),
            ]
        told += [
            str(await house.rest.all("/v1/audit")),
            str(await house.rest.all("/v1/destinations")),
        ]
        told.append(house.stack.log.read_text(errors="replace"))
    for name, secret in secrets.items():
        where = [number for number, text in enumerate(told) if secret in text]
        assert not where, (name, where)
    basic = b64encode(f"u:{secrets['password']}".encode()).decode()
    assert not [text for text in told if basic in text]
    assert not [text for text in told if "token-1" in text]
