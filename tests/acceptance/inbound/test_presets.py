"""The catalogue of providers: each of its samples is a webhook that a source of it takes."""

from typing import Any, Final

import pytest

from crossdock import native
from crossdock.samples.sender import new_serial
from tests.acceptance.house import House
from tests.acceptance.inbound.answers import invalid, refused
from tests.faults.waiting import until

CATALOGUE: Final = "/v1/source-presets"
PROVIDERS: Final = (
    *("stripe", "github", "shopify", "slack", "twilio", "zoom", "zendesk", "square", "paddle"),
    *("linear", "standard"),
)
"""Those whose presets can't be missing."""


@pytest.fixture(scope="module")
async def catalogue(house: House) -> dict[str, Any]:
    return {item["name"]: item for item in (await house.rest.get(CATALOGUE))["items"]}


async def made_of(house: House, preset: str, **fields: Any) -> Any:
    """Make a source with nothing but a preset, and a secret of its form."""
    wish = {"name": new_serial(), "preset": preset} | fields
    told = await house.rest.get(f"{CATALOGUE}/{preset}")
    if told["scheme"] == "none":
        wish["scheme"] = "none"  # what checks nothing is chosen by its name
    reply = await house.rest.call("POST", "/v1/sources", wish)
    if reply.status == 422 and "secrets" not in fields:
        secret = {"basic": "acme:open"}.get(told["scheme"], "made-up-secret")
        return await made_of(house, preset, secrets=[secret])
    assert reply.status == 201, (preset, reply)
    return reply.json()


async def test_every_scheme_is_in_the_catalogue(catalogue: dict[str, Any]) -> None:
    assert {item["scheme"] for item in catalogue.values()} == set(native.SCHEMES)
    assert set(PROVIDERS) <= set(catalogue)
    assert len(catalogue) >= 14


async def test_each_preset_says_how_it_is_set_up(house: House, catalogue: dict[str, Any]) -> None:
    for name in catalogue:
        told = await house.rest.get(f"{CATALOGUE}/{name}")
        assert told["title"]
        assert told["samples"], name
        assert {"scheme", "tolerance_s", "handshake", "steps", "docs_url"} <= set(told), name
        if told["scheme"] != "none":
            assert told["headers"], name
        types = [sample["name"] for sample in told["samples"]]
        assert len(set(types)) == len(types), name


async def test_what_is_in_no_catalogue_is_not_found(house: House) -> None:
    refused(await house.rest.call("GET", f"{CATALOGUE}/acme"), 404, "not-found")
    wish = {"name": new_serial(), "preset": "acme", "secrets": ["x"]}
    assert (await house.rest.call("POST", "/v1/sources", wish)).status == 422
    refused(await house.anyone.call("GET", CATALOGUE), 401)


async def test_a_preset_and_another_scheme_contradict_each_other(house: House) -> None:
    wish = {"name": new_serial(), "preset": "stripe", "scheme": "github", "secrets": ["x" * 20]}

    invalid(await house.rest.call("POST", "/v1/sources", wish), "/")


async def test_every_sample_of_every_preset_is_taken_and_stored(
    house: House, catalogue: dict[str, Any]
) -> None:
    wrong: list[Any] = []
    for name in catalogue:
        source = await made_of(house, name)
        assert source["preset"] == name
        samples = (await house.rest.get(f"{CATALOGUE}/{name}"))["samples"]
        path = f"/v1/sources/{source['id']}/test"

        async def known(path: str = path) -> bool:
            told = (await house.rest.call("POST", path)).json()
            return bool(told["status"] != 404)

        await until(known, "a gateway that knows the source", within=5)
        for sample in samples:
            told = (await house.rest.call("POST", path, {"sample": sample["name"]})).ok()
            if told["status"] != 202 or told.get("problem"):
                wrong.append((name, sample["name"], told))
                continue
            event = await house.event(told["id"])
            if event["source_id"] != source["id"] or not event["size"]:
                wrong.append((name, sample["name"], event))
            if sample["event_type"] not in {None, event["event_type"]}:
                wrong.append((name, sample["event_type"], event["event_type"]))
    assert wrong == []


async def test_a_test_send_twice_is_two_events(house: House) -> None:
    source = await made_of(house, "stripe")
    path = f"/v1/sources/{source['id']}/test"

    async def sent() -> Any:
        told = (await house.rest.call("POST", path)).ok()
        return told if told["status"] == 202 else None

    first = await until(sent, "a test that is taken", within=5)
    second = await until(sent, "a test that is taken", within=5)

    events = [await house.event(told["id"]) for told in (first, second)]
    assert events[0]["id"] != events[1]["id"]


async def test_a_test_send_meets_what_a_webhook_meets(house: House) -> None:
    source = await made_of(house, "stripe")
    path = f"/v1/sources/{source['id']}"
    await house.rest.post(f"{path}/pause")

    async def told() -> Any:
        answer = (await house.rest.call("POST", f"{path}/test")).ok()
        return answer if answer["status"] == 403 else None

    answer = await until(told, "a refusal", within=5)

    assert answer["id"] is None
    assert answer["problem"]["type"].endswith("source-paused")
    refused(await house.rest.call("POST", f"{path}/test", {"sample": "no.such"}), {404, 422})
    refused(await house.rest.call("POST", f"{path}/test", {"colour": "red"}), 422)
    missing = "/v1/sources/src_00000000000000000000000000/test"
    refused(await house.rest.call("POST", missing), 404, "not-found")


async def test_a_test_send_of_another_tenants_source_is_not_found(
    house: House, neighbour: House
) -> None:
    theirs = await made_of(neighbour, "stripe")
    before = await neighbour.rest.all(f"/v1/events?source_id={theirs['id']}")

    refused(await house.rest.call("POST", f"/v1/sources/{theirs['id']}/test"), 404, "not-found")

    assert await neighbour.rest.all(f"/v1/events?source_id={theirs['id']}") == before


async def test_the_same_key_sends_one_test(house: House) -> None:
    source = await made_of(house, "github")
    path = f"/v1/sources/{source['id']}/test"

    async def known() -> bool:
        return bool((await house.rest.call("POST", path)).ok()["status"] == 202)

    await until(known, "a gateway that knows the source", within=5)
    headers = {"idempotency-key": new_serial()}

    replies = [await house.rest.call("POST", path, headers=headers) for _ in range(2)]

    assert replies[0].json()["id"] == replies[1].json()["id"]
    assert replies[1].headers["idempotency-replayed"] == "true"
