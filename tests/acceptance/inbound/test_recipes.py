"""Custom HMAC recipes: checked against a pasted example before anything is saved."""

import asyncio
import base64
import hashlib
import hmac
from time import time
from typing import Any, Final

import pytest

from crossdock.samples.sender import new_serial
from tests.acceptance.house import House
from tests.acceptance.inbound.answers import refused
from tests.acceptance.providers import PROVIDERS, Request
from tests.faults.rest import Reply
from tests.faults.waiting import until

SECRET: Final = "correct-horse-battery-staple"
BODY: Final = b'{"id":"ord_1","total":12.50}'
RECIPE: Final[dict[str, Any]] = {"signature_header": "X-Shop-Signature", "algorithm": "sha256"}


def digest(text: bytes = BODY, algorithm: str = "sha256", key: bytes = SECRET.encode()) -> bytes:
    return hmac.new(key, text, algorithm).digest()


def example(signature: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    return {"headers": {"X-Shop-Signature": signature} | (headers or {}), "body": BODY.decode()}


async def make(house: House, pasted: Any = None, recipe: Any = None, **fields: Any) -> Reply:
    wish = {
        "name": new_serial(),
        "scheme": "hmac",
        "secrets": [SECRET],
        "recipe": {"hmac": RECIPE | (recipe or {})},
    }
    if pasted is not None:
        wish["example"] = pasted
    return await house.rest.call("POST", "/v1/sources", wish | fields)


async def number_of_sources(house: House) -> int:
    return len(await house.rest.all("/v1/sources"))


async def test_a_recipe_that_fits_its_example_is_saved_and_works(house: House) -> None:
    reply = await make(house, example(digest().hex()))

    assert reply.status == 201, reply
    url = reply.json()["ingest_url"]
    headers = {"X-Shop-Signature": digest().hex(), "content-type": "application/json"}

    async def taken() -> bool:
        answer = await house.anyone.call("POST", url, raw=BODY, headers=headers)
        return answer.status == 202

    await until(taken, "a webhook like the example", within=5)


async def test_a_recipe_without_an_example_is_refused_unless_told(house: House) -> None:
    before = await number_of_sources(house)

    assert (await make(house)).status == 422
    assert await number_of_sources(house) == before
    assert (await make(house, unchecked=True)).status == 201


@pytest.mark.parametrize(
    "signature",
    ["", "0" * 64, "not a signature", digest(BODY + b"\n").hex(), digest(key=b"other").hex()],
)
async def test_a_wrong_paste_saves_nothing(house: House, signature: str) -> None:
    before = await number_of_sources(house)

    reply = await make(house, example(signature))

    refused(reply, 422, "recipe-mismatch")
    text = reply.body.decode()
    assert digest().hex() not in text, "What would have been right is not told."
    assert SECRET not in text
    assert await number_of_sources(house) == before


@pytest.mark.parametrize(
    ("signature", "word"),
    [
        (base64.b64encode(digest()).decode(), "base64"),
        (digest(algorithm="sha512").hex(), "sha512"),
        (digest(algorithm="sha1").hex(), "sha1"),
        (f"sha256={digest().hex()}", "sha256="),
    ],
)
async def test_a_mismatch_hints_at_what_would_fit(house: House, signature: str, word: str) -> None:
    told = refused(await make(house, example(signature)), 422, "recipe-mismatch")

    assert word in str(told)


async def test_a_key_in_another_encoding_is_hinted_at(house: House) -> None:
    key = hashlib.sha256(b"key").digest()
    signed = example(digest(key=key).hex())

    told = refused(await make(house, signed, secrets=[key.hex()]), 422, "recipe-mismatch")

    assert "hex" in str(told)
    right = await make(house, signed, {"key_encoding": "hex"}, secrets=[key.hex()])
    assert right.status == 201, right


async def test_an_old_example_is_checked_at_its_own_time(house: House) -> None:
    then = "1500000000"
    text = f"{then}.".encode() + BODY
    recipe = {"template": "{timestamp}.{body}", "timestamp_header": "X-Shop-Time"}
    pasted = example(digest(text).hex(), {"X-Shop-Time": then})

    reply = await make(house, pasted, recipe)

    assert reply.status == 201, reply
    assert (
        await house.anyone.call(
            "POST",
            reply.json()["ingest_url"],
            raw=BODY,
            headers=pasted["headers"] | {"content-type": "application/json"},
        )
    ).status in {401, 404}, "The tolerance holds for everything but the example."


async def test_a_binary_example_is_pasted_in_base64(house: House) -> None:
    body = bytes(range(256))
    pasted = {
        "headers": {"x-shop-signature": digest(body).hex()},
        "body_base64": base64.b64encode(body).decode(),
    }

    assert (await make(house, pasted)).status == 201
    assert (await make(house, pasted | {"body": "both"})).status == 422
    assert (await make(house, pasted | {"body_base64": "***"})).status == 422


async def test_a_changed_recipe_is_checked_again(house: House) -> None:
    source = (await make(house, example(digest().hex()))).ok()
    path = f"/v1/sources/{source['id']}"
    change = {"recipe": {"hmac": {"algorithm": "sha512"}}}
    right = example(digest(algorithm="sha512").hex())

    assert (await house.rest.call("PATCH", path, change)).status == 422
    wrong = await house.rest.call("PATCH", path, change | {"example": example("0" * 128)})
    refused(wrong, 422, "recipe-mismatch")
    assert (await house.rest.get(path))["recipe"] == source["recipe"]
    assert (await house.rest.call("PATCH", path, {"name": new_serial()})).status == 200
    reply = await house.rest.call("PATCH", path, change | {"example": right})
    assert reply.status == 200, reply
    assert "example" not in reply.json()


@pytest.mark.parametrize("provider", [name for name in PROVIDERS if name != "none"])
async def test_any_scheme_can_be_tried_without_saving(house: House, provider: str) -> None:
    played = PROVIDERS[provider]
    before = await number_of_sources(house)
    url = f"{house.stack.url}/in/example"
    body, labels = played.content(new_serial(), time())
    target = played.target(url, body)
    signed = labels | played.sign(Request(target, body, time(), new_serial()))
    pasted = {
        "headers": signed,
        "body_base64": base64.b64encode(body).decode(),
        "url": target,
    }
    wish = {
        "scheme": played.scheme,
        "secrets": [played.secret],
        "recipe": dict(played.recipe),
        "example": pasted,
    }

    right = await house.rest.call("POST", "/v1/sources/check", wish)

    assert right.status == 200, right
    assert right.json()["verified"] is True, right
    altered = pasted | {"headers": dict.fromkeys(signed, "x")}
    wrong = await house.rest.call("POST", "/v1/sources/check", wish | {"example": altered})
    assert wrong.status in {200, 422}, wrong
    if wrong.status == 422:
        refused(wrong, 422, "recipe-mismatch")
    else:
        assert wrong.json()["verified"] is False
    assert played.secret not in wrong.body.decode()
    assert await number_of_sources(house) == before


@pytest.mark.parametrize(
    "pasted",
    [
        {"headers": {}, "body": ""},
        {"headers": {"X-Shop-Signature": "a\r\nb: c"}, "body": "{}"},
        {"headers": {"X-Shop-Signature": "é"}, "body": "{}"},
        {"headers": {"": "x"}, "body": "{}"},
        {"headers": {"X-Shop-Signature": ["a", "b"]}, "body": "{}"},
        {"headers": {f"x-{n}": "y" for n in range(5_000)}, "body": "{}"},
        {"headers": {"X-Shop-Signature": "x" * 100_000}, "body": "{}"},
        {"body": "{}"},
        {"headers": {"X-Shop-Signature": "00"}},
        {"headers": {"X-Shop-Signature": "00"}, "body": "{}", "url": "javascript:alert(1)"},
        {"headers": {"X-Shop-Signature": "00"}, "body": "{}", "method": "BREW\r\n"},
    ],
)
async def test_an_odd_paste_is_a_clean_refusal(house: House, pasted: dict[str, Any]) -> None:
    refused(await make(house, pasted), {400, 422})


async def test_a_large_paste_with_a_wrong_recipe_does_not_hold_others_up(house: House) -> None:
    wish = {
        "scheme": "hmac",
        "secrets": [f"{new_serial()}{number}" for number in range(10)],
        "recipe": {"hmac": RECIPE},
        "example": {"headers": {"X-Shop-Signature": "0" * 64}, "body": "x" * 900_000},
    }
    callers = [house.stack.rest(house.key) for _ in range(4)]
    try:
        async with asyncio.timeout(30):
            replies = await asyncio.gather(
                *(caller.call("POST", "/v1/sources/check", wish) for caller in callers)
            )
    finally:
        for caller in callers:
            await caller.__aexit__()

    for reply in replies:
        assert reply.status in {200, 413, 422}, reply
