"""Handshakes: answered to the provider of this very source, and to nobody else."""

import hashlib
import hmac
from time import time
from typing import Any, Final

import msgspec
import pytest

from crossdock.samples.sender import new_serial
from tests.acceptance.house import Door, House
from tests.acceptance.inbound.answers import refused
from tests.faults.waiting import until

JSON: Final = {"content-type": "application/json"}
SLACK: Final = msgspec.json.encode({"type": "url_verification", "challenge": "3eZbrw1a"})
ZOOM: Final = msgspec.json.encode(
    {"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}}
)
HANDSHAKES: Final = {"slack": SLACK, "zoom": ZOOM}
NAMES: Final = {
    "slack": ("X-Slack-Signature", "X-Slack-Request-Timestamp"),
    "zoom": ("x-zm-signature", "x-zm-request-timestamp"),
}


def signed(scheme: str, secret: str, body: bytes, now: float) -> dict[str, str]:
    moment = str(int(now))
    digest = hmac.new(secret.encode(), f"v0:{moment}:".encode() + body, hashlib.sha256)
    signature, timestamp = NAMES[scheme]
    return JSON | {signature: f"v0={digest.hexdigest()}", timestamp: moment}


async def source(house: House, scheme: str, secret: str) -> Door:
    return await house.door(scheme, secrets=[secret])


@pytest.mark.parametrize("scheme", HANDSHAKES)
async def test_a_handshake_for_another_source_is_refused(house: House, scheme: str) -> None:
    mine, theirs = new_serial(), new_serial()
    door = await source(house, scheme, mine)
    await source(house, scheme, theirs)
    body = HANDSHAKES[scheme]

    forged = await house.anyone.call(
        "POST", door.url, raw=body, headers=signed(scheme, theirs, body, time())
    )
    stale = await house.anyone.call(
        "POST", door.url, raw=body, headers=signed(scheme, mine, body, time() - 4_000)
    )
    bare = await house.anyone.call("POST", door.url, raw=body, headers=JSON)
    right = await house.anyone.call(
        "POST", door.url, raw=body, headers=signed(scheme, mine, body, time())
    )

    refused(forged, 401, "signature-invalid")
    refused(stale, 401, "timestamp-outside-tolerance")
    refused(bare, 401, "signature-missing")
    assert right.status == 200, right
    for reply in (forged, stale, bare):
        assert b"3eZbrw1a" not in reply.body
        assert b"encryptedToken" not in reply.body


@pytest.mark.parametrize(
    ("scheme", "other"),
    [
        (scheme, other)
        for scheme in HANDSHAKES
        for other in ("slack", "zoom", "github", "stripe")
        if other != scheme
    ],
)
async def test_a_handshake_of_another_provider_is_just_a_webhook(
    house: House, scheme: str, other: str
) -> None:
    door = await house.door(other)

    reply = await door.post(door.webhook(body=HANDSHAKES[scheme]))

    assert reply.status in {202, 400, 422}, reply
    assert b"encryptedToken" not in reply.body
    if reply.status == 202:
        assert reply.json()["id"].startswith("evt_")


async def test_zoom_can_not_be_used_to_have_an_event_signed(house: House) -> None:
    secret = new_serial()
    door = await source(house, "zoom", secret)
    for token in (f"v0:{int(time())}:{{}}", "a:b", "x" * 100_000, "", 7, None, "\x00"):
        body = msgspec.json.encode(
            {"event": "endpoint.url_validation", "payload": {"plainToken": token}}
        )
        reply = await house.anyone.call(
            "POST", door.url, raw=body, headers=signed("zoom", secret, body, time())
        )
        assert b"encryptedToken" not in reply.body, token
        assert reply.status < 500


async def test_a_word_agreed_on_with_another_source_opens_nothing(house: House) -> None:
    recipe: dict[str, Any] = {"hmac": {"signature_header": "X-Hub-Signature-256"}}
    words = new_serial(), new_serial()
    urls = []
    for word in words:
        wish = {
            "name": new_serial(),
            "scheme": "hmac",
            "secrets": [new_serial()],
            "recipe": recipe | {"verify_token": word},
            "unchecked": True,
        }
        urls.append((await house.rest.post("/v1/sources", wish))["ingest_url"])

    async def ask(url: str, word: str) -> Any:
        query = f"hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={word}"
        return await house.anyone.call("GET", f"{url}?{query}")

    async def answered() -> bool:
        return bool((await ask(urls[0], words[0])).status == 200)

    await until(answered, "an answer to the right word", within=5)
    for word in (words[1], "", words[0].upper() + "x", "%00"):
        reply = await ask(urls[0], word)
        assert reply.status == 405, reply
        assert b"1158201444" not in reply.body


@pytest.mark.parametrize("scheme", HANDSHAKES)
async def test_a_paused_source_still_shakes_hands_with_nobody_else(
    house: House, scheme: str
) -> None:
    secret = new_serial()
    door = await source(house, scheme, secret)
    await house.rest.post(f"/v1/sources/{door.source['id']}/pause", {"mode": "buffer"})
    body = HANDSHAKES[scheme]

    replies = [
        await house.anyone.call(
            "POST", door.url, raw=body, headers=signed(scheme, key, body, time())
        )
        for key in (secret, "wrong")
    ]

    assert replies[0].status in {200, 403}, replies[0]
    assert b"3eZbrw1a" not in replies[1].body
    assert replies[1].status in {401, 403}
    events = await house.rest.all(f"/v1/events?source_id={door.source['id']}")
    assert events == []
