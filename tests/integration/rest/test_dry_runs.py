"""`POST /v1/routing/dry-run`: filters and scripts tried on stored events and samples."""

import asyncio
from typing import Any

import pytest

from crossdock import ids
from tests.beds.scripts import returning

PATH = "/v1/routing/dry-run"
SAMPLE = {"event_type": "order.paid", "payload": {"total": 5}}


async def tried(caller: Any, **wish: Any) -> list[dict[str, Any]]:
    answer = await caller.http.post(PATH, json=wish)
    assert answer.status_code == 200, answer.text
    assert answer.json()["left"] == 0
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def destination(caller: Any, **fields: Any) -> str:
    whole = {"name": ids.new().hex, "url": "https://example.com/hooks", **fields}
    answer = await caller.http.post("/v1/destinations", json=whole)
    assert answer.status_code == 201, answer.text
    made: str = answer.json()["id"]
    return made


async def test_a_script_is_tried_on_a_sample(alice: Any) -> None:
    script = returning(
        "{payload: {sum: event.payload.total * 2}, headers: {'X-Kind': event.headers['x-a']}}"
    )
    sample = SAMPLE | {"headers": {"X-A": "b"}}
    (item,) = await tried(alice, transform=script, sample=sample)
    assert item["wanted"] is True
    assert item["event_id"] is None
    assert item["transformed"] == {
        "content_type": "application/json",
        "headers": {"X-Kind": "b"},
        "payload": '{"sum":10}',
        "payload_base64": None,
        "size": 10,
    }
    assert (item["failure"], item["transformed_away"]) == (None, False)
    assert item["duration_ms"] > 0


async def test_a_string_is_a_body_of_that_text(alice: Any) -> None:
    sample = SAMPLE | {"payload": "a=b", "content_type": "application/x-www-form-urlencoded"}
    script = returning("{payload: event.payload + event.content_type}")
    (item,) = await tried(alice, transform=script, sample=sample)
    assert item["transformed"]["payload"] == "a=bapplication/x-www-form-urlencoded"


async def test_a_filter_decides_before_the_script(alice: Any) -> None:
    wish = {"transform": returning("null"), "sample": SAMPLE}
    (no,) = await tried(alice, filter="payload.total > 5", **wish)
    assert (no["wanted"], no["why_not"], no["transformed_away"]) == (False, "filter", False)
    (yes,) = await tried(alice, filter="payload.total == 5", **wish)
    assert (yes["wanted"], yes["why_not"], yes["transformed_away"]) == (True, None, True)
    (wrong,) = await tried(alice, filter="payload.no.such == 5", **wish)
    assert (wrong["wanted"], wrong["why_not"]) == (False, "filter_error")
    assert wrong["filter_error"]


@pytest.mark.parametrize(
    ("script", "kind", "line"),
    [
        ("function transform(e) {\n throw Error('no') }", "threw", 2),
        (returning("5"), "invalid", None),
        (returning("{headers: {host: 'x'}}"), "invalid", None),
        (returning("{payload: 'x'.repeat(2e6)}"), "too_large", None),
        ("function transform() { while (true); }", "timeout", None),
    ],
    ids=["throws", "no-object", "host", "too-large", "spins"],
)
async def test_a_failure_says_which_and_where(
    alice: Any, script: str, kind: str, line: int | None
) -> None:
    (item,) = await tried(alice, transform=script, sample=SAMPLE)
    assert item["failure"]["kind"] == kind
    assert item["failure"]["message"]
    assert item["failure"]["line"] == line
    assert item["transformed"] is None


async def test_stored_events_are_tried_by_id_and_by_newness(alice: Any, rows: Any) -> None:
    kind = f"kind.{ids.new().hex}"
    first, second = [
        await rows.event(alice.tenant_id, event_type=kind, body=b'{"n":%d}' % n) for n in (1, 2)
    ]
    names = [ids.encode("evt", one) for one in (first, second)]
    script = returning("{payload: [event.payload.n, event.id, event.headers['x-github-event']]}")
    by_id = await tried(alice, transform=script, event_ids=[names[0]])
    assert by_id[0]["event_id"] == names[0]
    assert by_id[0]["transformed"]["payload"] == f'[1,"{names[0]}","push"]'
    newest = await tried(alice, newest={"limit": 5, "event_type": kind}, filter="payload.n > 1")
    assert [(one["event_id"], one["wanted"]) for one in newest] == [
        (names[1], True),
        (names[0], False),
    ]


async def test_a_destinations_settings_stand_for_what_is_not_given(alice: Any) -> None:
    made = await destination(
        alice,
        filter="payload.total > 3",
        transform=returning("{payload: 'its own'}"),
        event_types=["order.*"],
    )
    (own,) = await tried(alice, destination_id=made, sample=SAMPLE)
    assert own["transformed"]["payload"] == "its own"
    (other,) = await tried(alice, destination_id=made, transform=None, sample=SAMPLE)
    assert (other["wanted"], other["transformed"]) == (True, None)
    other_type = SAMPLE | {"event_type": "user.made"}
    (unwanted,) = await tried(alice, destination_id=made, sample=other_type)
    assert unwanted["why_not"] == "type"
    (given,) = await tried(alice, destination_id=made, event_types=[], sample=other_type)
    assert given["wanted"] is True


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"sample": SAMPLE, "transform": "function transform("}, "/transform"),
        ({"sample": SAMPLE, "transform": "const a = 1;"}, "/transform"),
        ({"sample": SAMPLE, "filter": "payload."}, "/filter"),
        ({}, ""),
        ({"sample": SAMPLE, "newest": {"limit": 1}}, ""),
        ({"newest": {"limit": 101}}, "/newest/limit"),
        ({"newest": {"limit": 0}}, "/newest/limit"),
        ({"event_ids": []}, "/event_ids"),
        ({"event_ids": ["evt_00000000000000000000000000"] * 21}, "/event_ids"),
        ({"sample": SAMPLE | {"headers": {"a": "b" * 4097}}}, "/sample/headers"),
    ],
)
async def test_what_is_wrong_with_a_wish_is_told(
    alice: Any, fields: dict[str, Any], pointer: str
) -> None:
    answer = await alice.http.post(PATH, json=fields)
    assert answer.status_code == 422, answer.text
    assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]


async def test_another_tenants_events_and_destinations_are_not_there(
    alice: Any, bob: Any, rows: Any
) -> None:
    event = ids.encode("evt", await rows.event(alice.tenant_id))
    made = await destination(alice)
    for wish in ({"event_ids": [event]}, {"destination_id": made, "sample": SAMPLE}):
        assert (await bob.http.post(PATH, json=wish)).status_code == 404
        assert (await alice.http.post(PATH, json=wish)).status_code == 200


@pytest.mark.parametrize("missing", ["events:read", "destinations:read"])
async def test_it_takes_both_permissions(new_tenant: Any, missing: str) -> None:
    both = {"events:read", "destinations:read"}
    caller = await new_tenant(*(both - {missing}))
    answer = await caller.http.post(PATH, json={"sample": SAMPLE})
    assert answer.status_code == 403


async def test_what_is_shown_of_a_large_result_is_bounded(alice: Any) -> None:
    script = returning("{payload: '\\u00e4'.repeat(70000)}")
    (item,) = await tried(alice, transform=script, sample=SAMPLE)
    assert item["transformed"]["size"] == 140_000
    assert item["transformed"]["payload"] == "ä" * (32 * 1024)


async def test_only_two_of_a_tenant_are_under_way(new_tenant: Any) -> None:
    caller = await new_tenant()
    wish = {"transform": "function transform() { while (true); }", "sample": SAMPLE}
    answers = await asyncio.gather(*(caller.http.post(PATH, json=wish) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429]
    assert (await caller.http.post(PATH, json={"sample": SAMPLE})).status_code == 200
