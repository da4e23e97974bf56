"""What providers ask before they send anything, and who may not ask."""

import hashlib
import hmac
import time

import httpx
import pytest

from crossdock.bus import Bus
from tests.integration.ingest.conftest import Sources, events

JSON = {"content-type": "application/json"}


async def unstored(bus: Bus) -> bool:
    return not await events(bus)


async def test_slack_gets_its_challenge_back(
    http: httpx.AsyncClient, bus: Bus, sources: Sources
) -> None:
    source = sources.add("slack", "slack-secret")
    body = b'{"type":"url_verification","challenge":"3eZbrw1a","token":"x"}'
    headers = source.signed(body, time.time()) | JSON

    answer = await http.post(f"/in/{source.token}", content=body, headers=headers)

    assert answer.status_code == 200
    assert b"3eZbrw1a" in answer.content
    assert await unstored(bus)


async def test_an_unsigned_challenge_is_refused(http: httpx.AsyncClient, sources: Sources) -> None:
    source = sources.add("slack", "slack-secret")
    body = b'{"type":"url_verification","challenge":"3eZbrw1a"}'

    answer = await http.post(f"/in/{source.token}", content=body, headers=JSON)

    assert answer.status_code == 401


async def test_zoom_gets_its_token_hashed(
    http: httpx.AsyncClient, bus: Bus, sources: Sources
) -> None:
    source = sources.add("zoom", "zoom-secret")
    body = b'{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}'
    headers = source.signed(body, time.time()) | JSON

    answer = await http.post(f"/in/{source.token}", content=body, headers=headers)

    hashed = hmac.new(b"zoom-secret", b"qgg8vlvZRS6UYooatFL8Aw", hashlib.sha256).hexdigest()
    assert answer.status_code == 200
    assert answer.json() == {"plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": hashed}
    assert await unstored(bus)


async def test_meta_asks_by_get_with_the_word_agreed_on(
    http: httpx.AsyncClient, sources: Sources
) -> None:
    source = sources.add(
        "hmac",
        "secret",
        recipe={
            "verify_token": "agreed",
            "hmac": {"signature_header": "x-hub-signature-256", "prefix": "sha256="},
        },
    )
    asked = {"hub.mode": "subscribe", "hub.challenge": "1158201444"}
    url = f"/in/{source.token}"

    answer = await http.get(url, params=asked | {"hub.verify_token": "agreed"})
    wrong = await http.get(url, params=asked | {"hub.verify_token": "guessed"})

    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert wrong.status_code == 405


@pytest.mark.parametrize(
    ("method", "name"),
    [("GET", "challenge"), ("GET", "validationToken"), ("POST", "validationToken")],
)
async def test_dropbox_and_microsoft_ask_in_the_query(
    http: httpx.AsyncClient, bus: Bus, sources: Sources, method: str, name: str
) -> None:
    source = sources.add("hmac", "secret", recipe={"hmac": {"signature_header": "x-signature"}})

    answer = await http.request(method, f"/in/{source.token}", params={name: "Validation: 42"})

    assert (answer.status_code, answer.text) == (200, "Validation: 42")
    assert await unstored(bus)


@pytest.mark.parametrize("text", ["<script>\x00", "é", "x" * 1025, ""])
async def test_what_is_no_plain_text_is_not_echoed(
    http: httpx.AsyncClient, sources: Sources, text: str
) -> None:
    source = sources.add("hmac", "secret", recipe={"hmac": {"signature_header": "x-signature"}})

    answer = await http.get(f"/in/{source.token}", params={"challenge": text})

    assert answer.status_code == 405


async def test_get_is_for_handshakes_alone(http: httpx.AsyncClient, sources: Sources) -> None:
    source = sources.add("github", "secret")

    answer = await http.get(f"/in/{source.token}", params={"challenge": "x"})
    unknown = await http.get("/in/who", params={"challenge": "x"})

    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert (await http.put(f"/in/{source.token}")).headers["allow"] == "GET, POST"
    assert unknown.status_code == 404
