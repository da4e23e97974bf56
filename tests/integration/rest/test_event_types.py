"""Event types over HTTP: made, changed, versioned, deleted, tried."""

import asyncio
import re
from itertools import count
from typing import Any, Final

import pytest

from crossdock import ids

_numbers = count(1)

SCHEMA: Final = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "string"}, "total": {"type": "integer", "minimum": 0}},
}
WIDER: Final = SCHEMA | {"required": []}
NARROWER: Final = SCHEMA | {"required": ["id", "total"]}


async def make(caller: Any, **fields: Any) -> dict[str, Any]:
    body = {"name": f"type.{next(_numbers)}", **fields}
    answer = await caller.http.post("/v1/event-types", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def path_of(made: dict[str, Any]) -> str:
    return f"/v1/event-types/{made['id']}"


async def outbox_of(admin: Any, made: dict[str, Any]) -> int:
    key = str(ids.decode("ety", made["id"]))
    counted = "SELECT count(*) FROM crossdock.outbox WHERE topic = 'type' AND key = $1"
    found: int = await admin.fetchval(counted, key)
    return found


async def test_what_is_made_is_shown_and_where_is_told(alice: Any) -> None:
    body = {"name": "invoice.paid", "description": "Paid.", "mode": "warn", "schema": SCHEMA}
    answer = await alice.http.post("/v1/event-types", json=body)
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == path_of(made)
    assert re.fullmatch(r'"1-[0-9a-f]{16}"', answer.headers["etag"])
    assert made["id"].startswith("ety_")
    assert {name: made[name] for name in body} == body
    assert (made["compatibility"], made["latest_version"]) == ("backward", 1)
    shown = await alice.http.get(path_of(made))
    assert (shown.json(), shown.headers["etag"]) == (made, answer.headers["etag"])
    listed = (await alice.http.get("/v1/event-types", params={"limit": 200})).json()["items"]
    (item,) = [one for one in listed if one["id"] == made["id"]]
    assert item == {name: value for name, value in made.items() if name != "schema"}


async def test_a_schema_is_kept_byte_for_byte(alice: Any) -> None:
    text = '{ "type":"object",\n  "title": "Rechnung \\u00fc", "x-ours": 1.50 }'
    body = b'{"name": "exact", "schema": %s, "mode": "reject"}' % text.encode()
    headers = {"content-type": "application/json"}
    made = await alice.http.post("/v1/event-types", content=body, headers=headers)
    assert made.status_code == 201, made.text
    assert f'"schema":{text}' in made.text
    shown = await alice.http.get(f"{path_of(made.json())}/versions/1")
    assert f'"schema":{text}' in shown.text
    assert shown.json()["size"] == len(text)


async def test_without_a_schema_nothing_can_be_checked(alice: Any) -> None:
    made = await make(alice)
    assert (made["schema"], made["latest_version"], made["mode"]) == (None, 0, "off")
    for method, path, body in (
        ("POST", "/v1/event-types", {"name": "no.schema", "mode": "reject"}),
        ("PATCH", path_of(made), {"mode": "warn"}),
    ):
        answer = await alice.http.request(method, path, json=body)
        assert answer.status_code == 422
        assert [one["pointer"] for one in answer.json()["errors"]] == ["/mode"]
    tried = await alice.http.post(f"{path_of(made)}/validate", json={"payload": {}})
    assert (tried.status_code, tried.json()["errors"][0]["pointer"]) == (422, "/version")


async def test_every_change_is_told_to_gateways_and_none_that_is_none(
    alice: Any, admin: Any
) -> None:
    made = await make(alice, schema=SCHEMA)
    assert await outbox_of(admin, made) == 1
    same = await alice.http.patch(path_of(made), json={"schema": SCHEMA, "mode": "off"})
    assert same.headers["etag"].startswith('"1-')
    assert await outbox_of(admin, made) == 1
    changed = await alice.http.patch(path_of(made), json={"mode": "reject"})
    assert changed.headers["etag"].startswith('"2-')
    refused = await alice.http.patch(path_of(made), json={"schema": NARROWER})
    assert refused.status_code == 409
    assert await outbox_of(admin, made) == 2
    assert (await alice.http.delete(path_of(made))).status_code == 204
    assert await outbox_of(admin, made) == 3


async def test_a_schema_that_is_changed_is_another_version(alice: Any) -> None:
    made = await make(alice, schema=SCHEMA, mode="warn")
    changed = await alice.http.patch(path_of(made), json={"schema": WIDER})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["latest_version"], changed.json()["schema"]) == (2, WIDER)
    versions = (await alice.http.get(f"{path_of(made)}/versions")).json()["items"]
    assert [one["number"] for one in versions] == [2, 1]
    first = await alice.http.get(f"{path_of(made)}/versions/1")
    assert first.json()["schema"] == SCHEMA
    assert "etag" in first.headers
    for number in ("3", "0", "-1", "x", "9" * 12):
        gone = await alice.http.get(f"{path_of(made)}/versions/{number}")
        assert gone.status_code in {404, 422}, number
    page = await alice.http.get(f"{path_of(made)}/versions", params={"limit": 1})
    params = {"limit": 1, "cursor": page.json()["next_cursor"]}
    rest = (await alice.http.get(f"{path_of(made)}/versions", params=params)).json()
    assert ([one["number"] for one in rest["items"]], rest["next_cursor"]) == ([1], None)


@pytest.mark.parametrize(
    ("policy", "schema", "status"),
    [
        ("backward", NARROWER, 409),
        ("backward", WIDER, 200),
        ("full", WIDER, 409),
        ("full", SCHEMA | {"title": "Another"}, 200),
        ("none", NARROWER, 200),
        ("backward", SCHEMA | {"unevaluatedProperties": False}, 409),
    ],
)
async def test_a_policy_says_which_changes_are_taken(
    alice: Any, policy: str, schema: Any, status: int
) -> None:
    made = await make(alice, schema=SCHEMA, compatibility=policy)
    answer = await alice.http.patch(path_of(made), json={"schema": schema})
    assert answer.status_code == status, answer.text
    forced = await alice.http.patch(path_of(made), json={"schema": schema, "force": True})
    assert (forced.status_code, forced.json()["latest_version"]) == (200, 2)


async def test_a_refused_change_says_where_and_why(alice: Any) -> None:
    made = await make(alice, schema=SCHEMA)
    answer = await alice.http.patch(path_of(made), json={"schema": NARROWER})
    assert answer.json()["type"] == "/problems/schema-incompatible"
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/schema/required/1"
    assert "total" in error["detail"]
    assert (await alice.http.get(path_of(made))).json() == made


async def test_the_policy_that_comes_with_a_schema_is_the_one_that_counts(alice: Any) -> None:
    made = await make(alice, schema=SCHEMA)
    body = {"schema": NARROWER, "compatibility": "none"}
    assert (await alice.http.patch(path_of(made), json=body)).status_code == 200


async def test_a_name_is_unique_within_a_tenant_only(alice: Any, bob: Any) -> None:
    made = await make(alice, name="taken")
    answer = await alice.http.post("/v1/event-types", json={"name": "taken"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/conflict")
    await make(alice, name="Taken")
    await make(bob, name="taken")
    assert (await alice.http.delete(path_of(made))).status_code == 204
    await make(alice, name="taken")


async def test_of_twenty_who_want_one_name_one_gets_it(alice: Any) -> None:
    body = {"name": "coveted", "schema": SCHEMA}
    asked = (alice.http.post("/v1/event-types", json=body) for _ in range(20))
    answers = await asyncio.gather(*asked)
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19


async def test_if_match_lets_only_the_current_version_pass(alice: Any) -> None:
    made = await make(alice, schema=SCHEMA)
    racers = (
        alice.http.patch(
            path_of(made), json={"description": f"{number}"}, headers={"if-match": '"1"'}
        )
        for number in range(10)
    )
    answers = await asyncio.gather(*racers)
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 9
    gone = await alice.http.delete(path_of(made), headers={"if-match": '"1"'})
    assert gone.json()["type"] == "/problems/precondition-failed"
    assert (await alice.http.delete(path_of(made), headers={"if-match": '"2"'})).status_code == 204


async def test_a_request_that_is_repeated_makes_one(alice: Any) -> None:
    headers = {"idempotency-key": '"once"'}
    body = {"name": "once", "schema": SCHEMA}
    first = await alice.http.post("/v1/event-types", json=body, headers=headers)
    again = await alice.http.post("/v1/event-types", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.text == first.text


async def test_a_deleted_type_is_gone_with_its_versions(alice: Any, admin: Any) -> None:
    made = await make(alice, schema=SCHEMA)
    assert (await alice.http.delete(path_of(made))).status_code == 204
    for method, where, body in (
        ("GET", "", None),
        ("DELETE", "", None),
        ("PATCH", "", {"mode": "off"}),
        ("GET", "/versions", None),
        ("GET", "/versions/1", None),
        ("POST", "/check", {"schema": SCHEMA}),
        ("POST", "/validate", {"payload": {}}),
    ):
        answer = await alice.http.request(method, path_of(made) + where, json=body)
        assert answer.status_code == 404, (method, where)
    key = ids.decode("ety", made["id"])
    counted = "SELECT count(*) FROM crossdock.event_type_versions WHERE event_type_id = $1"
    assert await admin.fetchval(counted, key) == 0


async def test_only_the_newest_hundred_versions_are_kept(alice: Any, admin: Any) -> None:
    made = await make(alice, schema=SCHEMA, compatibility="none")
    key = ids.decode("ety", made["id"])
    await admin.execute("UPDATE crossdock.event_types SET latest = 100 WHERE id = $1", key)
    await admin.execute(
        "INSERT INTO crossdock.event_type_versions (tenant_id, event_type_id, number,"
        " schema, weight)"
        " SELECT $1, $2, number, '{}', 1 FROM generate_series(2, 100) AS number",
        alice.tenant_id,
        key,
    )
    assert (await alice.http.patch(path_of(made), json={"schema": True})).status_code == 200
    assert (await alice.http.get(f"{path_of(made)}/versions/1")).status_code == 404
    assert (await alice.http.get(f"{path_of(made)}/versions/2")).status_code == 200
    assert (await alice.http.get(f"{path_of(made)}/versions/101")).json()["schema"] is True


async def test_a_payload_is_held_to_any_version(alice: Any) -> None:
    made = await make(alice, schema=SCHEMA)
    await alice.http.patch(path_of(made), json={"schema": WIDER})

    async def tried(**body: Any) -> Any:
        answer = await alice.http.post(f"{path_of(made)}/validate", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert await tried(payload={}) == {"valid": True, "version": 2, "violations": []}
    old = await tried(payload={}, version=1)
    assert (old["valid"], old["version"], old["violations"][0]["pointer"]) == (False, 1, "")
    wrong = await tried(payload={"total": -1})
    assert [one["pointer"] for one in wrong["violations"]] == ["/total"]
    none = await alice.http.post(f"{path_of(made)}/validate", json={"payload": {}, "version": 9})
    assert (none.status_code, none.json()["errors"][0]["pointer"]) == (422, "/version")
