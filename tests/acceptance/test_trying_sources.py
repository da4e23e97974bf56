"""Test sends, refusals and simulations, on a whole stack."""

from typing import Any

import pytest

from crossdock.presets import CATALOGUE
from crossdock.samples.sender import new_serial
from tests.acceptance.house import House
from tests.faults.waiting import until

JSON = {"content-type": "application/json"}


async def source(house: House, preset: str, **fields: Any) -> Any:
    """Make a source from the catalogue, whose secret is made here."""
    named = {"scheme": "none"} if CATALOGUE[preset].scheme == "none" else {}
    wish = {"name": new_serial(), "preset": preset, "unchecked": True, **named, **fields}
    return await house.rest.post("/v1/sources", wish)


async def call(house: House, path: str, body: Any, status: int = 200) -> Any:
    key = {"Idempotency-Key": new_serial()}
    reply = await house.rest.call("POST", path, body, headers=key)
    assert reply.status == status, reply
    return reply.json()


async def simulated(house: House, **wish: Any) -> dict[str, Any]:
    """Return the steps by their names."""
    steps = (await call(house, "/v1/simulations", wish))["steps"]
    names = ["verify", "validate", "match", "transform", "deliver"]
    assert [step["name"] for step in steps] == names
    return {step["name"]: step for step in steps}


def outcomes(steps: dict[str, Any]) -> list[str]:
    return [step["outcome"] for step in steps.values()]


@pytest.mark.parametrize("preset", sorted(CATALOGUE))
async def test_a_test_send_is_a_webhook_like_any_other(house: House, preset: str) -> None:
    made = await source(house, preset)
    for sample in CATALOGUE[preset].samples:
        path = f"/v1/sources/{made['id']}/test"
        told = await call(house, path, {"sample": sample.name})
        assert (told["status"], told["problem"]) == (202, None), told
        event = await house.event(told["id"])
        assert (event["source_id"], event["event_type"]) == (made["id"], sample.event_type)


async def test_a_test_send_by_type_and_with_nothing_said(house: House) -> None:
    made = await source(house, "stripe")
    path = f"/v1/sources/{made['id']}/test"
    told = await call(house, path, {"event_type": "invoice.paid"})
    assert (await house.event(told["id"]))["event_type"] == "invoice.paid"
    reply = await house.rest.call("POST", path, headers={"Idempotency-Key": new_serial()})
    assert reply.json()["status"] == 202
    for wish, pointer in (({"sample": "push"}, "/sample"), ({"event_type": "x"}, "/event_type")):
        problem = await call(house, path, wish, 422)
        assert [error["pointer"] for error in problem["errors"]] == [pointer]


async def test_a_test_send_happens_once_a_key(house: House) -> None:
    made = await source(house, "github")
    key = {"Idempotency-Key": new_serial()}
    path = f"/v1/sources/{made['id']}/test"
    first, again = [await house.rest.call("POST", path, {}, headers=key) for _ in range(2)]
    assert first.json() == again.json()


async def test_what_a_source_refuses_a_test_send_is_told(house: House) -> None:
    made = await source(house, "stripe", content_types=["text/plain"])
    path = f"/v1/sources/{made['id']}"
    told = await call(house, f"{path}/test", {})
    assert (told["status"], told["id"]) == (415, None)
    assert told["problem"]["type"] == "/problems/unsupported-media-type"
    await call(house, f"{path}/pause", {})

    async def is_paused() -> bool:
        told = await call(house, f"{path}/test", {})
        return bool(told["status"] == 403 and told["problem"]["type"] == "/problems/source-paused")

    await until(is_paused, "a gateway that knows of the pause", within=5)


async def test_a_public_key_alone_signs_nothing(house: House) -> None:
    public = "whpk_" + "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    made = await source(house, "standard", secrets=[public])
    problem = await call(house, f"/v1/sources/{made['id']}/test", {}, 409)
    assert problem["type"] == "/problems/conflict"


async def test_refusals_are_listed_and_counted(house: House) -> None:
    made = await source(house, "stripe")
    path = f"/v1/sources/{made['id']}"
    await call(house, f"{path}/test", {})
    headers = JSON | {"stripe-signature": "t=1,v1=00", "user-agent": "Odd/1"}
    for _ in range(3):
        reply = await house.anyone.call("POST", made["ingest_url"], raw=b"{}", headers=headers)
        assert reply.status == 401

    async def listed() -> Any:
        found = await house.rest.all(f"{path}/refusals")
        return found if len(found) == 3 else None

    found = await until(listed, "three refusals", within=15)
    assert {one["reason"] for one in found} == {"signature-invalid"}
    kept = dict(found[0]["headers"])
    assert (kept["stripe-signature"], kept["user-agent"]) == ("***", "Odd/1")
    assert found[0]["size"] == 2
    assert [one["at"] for one in found] == sorted((one["at"] for one in found), reverse=True)
    counts = await house.rest.get(f"{path}/refusals/counts?days=1")
    assert [(one["reason"], one["count"]) for one in counts["counts"]] == [("signature-invalid", 3)]


@pytest.mark.parametrize("preset", sorted(CATALOGUE))
async def test_a_simulated_sample_passes_every_step(house: House, preset: str) -> None:
    made = await source(house, preset)
    for sample in CATALOGUE[preset].samples:
        steps = await simulated(house, source_id=made["id"], sample=sample.name)
        assert steps["verify"]["outcome"] == "passed", steps["verify"]
        assert steps["verify"]["event_type"] == sample.event_type
        assert outcomes(steps)[2:] == ["passed", "skipped", "skipped"]


async def test_a_stored_event_is_simulated_at_its_own_time(house: House) -> None:
    made = await source(house, "linear")
    told = await call(house, f"/v1/sources/{made['id']}/test", {})
    await house.event(told["id"])
    steps = await simulated(house, source_id=made["id"], event_id=told["id"])
    assert steps["verify"]["outcome"] == "passed", steps["verify"]
    assert "made anew" in steps["verify"]["detail"]
    assert steps["verify"]["event_type"] == "Issue.create"


async def test_a_pasted_request_is_verified_as_if_it_came_now(house: House) -> None:
    made = await source(house, "stripe", secrets=["whsec_pasted"])
    request = {"headers": {"stripe-signature": "t=1500000000,v1=00"}, "body": "{}"}
    steps = await simulated(house, source_id=made["id"], request=request)
    assert outcomes(steps) == ["failed", "skipped", "skipped", "skipped", "skipped"]
    assert steps["verify"]["detail"].startswith("signature-invalid")
    assert "whsec_pasted" not in str(steps)


async def test_nothing_is_stored_and_only_what_was_asked_for_is_delivered(house: House) -> None:
    made = await source(house, "stripe")
    wanted = await house.destination("/simulated", source_ids=[made["id"]])
    house.receiver.answer("/simulated-500", lambda *_: 500)
    broken = await house.destination("/simulated-500", source_ids=[made["id"]])
    await house.destination("/other", source_ids=[made["id"]], event_types=["order.*"])
    wish = {"source_id": made["id"], "sample": "invoice-paid"}
    steps = await simulated(house, **wish)
    found = {one["destination_id"] for one in steps["match"]["destinations"]}
    assert found == {wanted["id"], broken["id"]}
    assert steps["deliver"]["outcome"] == "skipped"
    steps = await simulated(house, **wish, deliver=True)
    told = {one["destination_id"]: one["status"] for one in steps["deliver"]["destinations"]}
    assert told == {wanted["id"]: 204, broken["id"]: 500}
    assert steps["deliver"]["outcome"] == "failed"
    assert len(house.receiver.at("/simulated")) == 1
    assert await house.rest.all(f"/v1/events?source_id={made['id']}") == []


async def test_a_schema_is_held_to(house: House) -> None:
    made = await source(house, "stripe")
    schema = {"type": "object", "required": ["nothing"]}
    wish = {"name": "charge.succeeded", "mode": "quarantine", "schema": schema}
    await house.rest.post("/v1/event-types", wish)
    steps = await simulated(house, source_id=made["id"], sample="charge-succeeded")
    assert outcomes(steps) == ["passed", "failed", "skipped", "skipped", "skipped"]
    assert len(steps["validate"]["violations"]) == 1
    steps = await simulated(house, source_id=made["id"], sample="invoice-paid")
    assert steps["validate"]["outcome"] == "skipped"


@pytest.mark.parametrize(
    "wish",
    [{}, {"sample": "a", "event_id": "evt_01m83zq41cf2r9s3k8m5h7j6pa"}],
    ids=["nothing", "two things"],
)
async def test_one_thing_is_simulated(house: House, wish: dict[str, Any]) -> None:
    made = await source(house, "stripe")
    problem = await call(house, "/v1/simulations", {"source_id": made["id"], **wish}, 422)
    assert len(problem["errors"]) == 1


async def test_a_handshake_of_one_source_opens_no_other(house: House) -> None:
    """Each is asked with what the other would answer: words, tokens and signatures are its own."""
    ask = house.anyone.call
    meta = await source(house, "meta", recipe={"verify_token": "agreed"})
    other = await source(house, "meta", recipe={"verify_token": "another"})
    github, slack = await source(house, "github"), await source(house, "slack")
    query = "?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=agreed"

    async def status(made: Any, query: str) -> int:
        reply = await ask("GET", f"{made['ingest_url']}{query}")
        return int(reply.status)

    async def is_known() -> bool:
        return await status(meta, query) == 200

    await until(is_known, "a gateway that knows the source", within=5)
    for made in (other, github, slack):
        assert await status(made, query) == 405
        if made is not other:
            assert await status(made, "?challenge=abc") == 405
            assert await status(made, "?validationToken=abc") == 405
    # Slack's question, unsigned, and signed with another source's secret.
    body = (
        b'{"type": "url_verification", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7"}'
    )
    reply = await ask("POST", slack["ingest_url"], raw=body, headers=JSON)
    assert reply.status == 401
    zoom = await source(house, "zoom")
    body = (
        b'{"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}}'
    )
    for made in (zoom, slack, github):
        reply = await ask("POST", made["ingest_url"], raw=body, headers=JSON)
        assert reply.status in {401, 404}
        assert b"encryptedToken" not in reply.body
