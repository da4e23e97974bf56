"""Destinations over HTTP."""

import asyncio
import re
from itertools import count
from typing import Any

import pytest

from crossdock import ids

_numbers = count(1)
URL = "https://example.com/hooks"


async def make(caller: Any, **fields: Any) -> dict[str, Any]:
    body = {"name": f"destination {next(_numbers)}", "url": URL, **fields}
    answer = await caller.http.post("/v1/destinations", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def source_of(caller: Any) -> str:
    body = {"name": f"for destination {next(_numbers)}", "scheme": "none"}
    found: str = (await caller.http.post("/v1/sources", json=body)).json()["id"]
    return found


async def test_a_signing_secret_is_shown_once(alice: Any, admin: Any) -> None:
    made = await make(alice)
    assert made["id"].startswith("dst_")
    assert made["secret"].startswith("whsec_")
    answer = await alice.http.get(f"/v1/destinations/{made['id']}")
    assert made["secret"] not in answer.text
    assert re.fullmatch(r'"1-[0-9a-f]{16}"', answer.headers["etag"])
    key = ids.decode("dst", made["id"])
    row = await admin.fetchrow("SELECT * FROM crossdock.destinations WHERE id = $1", key)
    assert made["secret"].removeprefix("whsec_") not in repr(dict(row))


async def test_everything_that_can_be_chosen(alice: Any) -> None:
    source_id = await source_of(alice)
    chosen = {
        "name": "chosen",
        "url": "https://example.com:443/a?b=c",
        "source_ids": [source_id],
        "event_types": ["order.*", "invoice.paid"],
        "retry": {"delays_s": [1.0, 2.0]},
        "timeout_s": 5.0,
    }
    made = (await alice.http.post("/v1/destinations", json=chosen)).json()
    assert {name: made[name] for name in chosen} == chosen
    assert (made["state"], made["disabled_reason"]) == ("enabled", None)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"url": "ftp://example.com"}, "/url"),
        ({"url": "https://user:pass@example.com"}, "/url"),
        ({"url": "https://10.0.0.1/"}, "/url"),
        ({"url": "http://169.254.169.254/latest/meta-data"}, "/url"),
        ({"url": "https://example.com/#x"}, "/url"),
        ({"url": "https://example.com/\0"}, "/url"),
        ({"url": "/relative"}, "/url"),
        ({"url": "https://" + "a" * 2048}, "/url"),
        ({"source_ids": ["dst_01h455vb4pex5vsknk084sn02q"]}, "/source_ids/0"),
        ({"source_ids": ["src_01h455vb4pex5vsknk084sn02q"]}, "/source_ids/0"),
        ({"event_types": ["a b"]}, "/event_types/0"),
        ({"event_types": [""]}, "/event_types/0"),
        ({"timeout_s": 0}, "/timeout_s"),
        ({"timeout_s": 61}, "/timeout_s"),
        ({"retry": {"forever": True}}, "/retry/forever"),
        ({"state": "disabled"}, "/state"),
        ({"secrets": ["whsec_x"]}, "/secrets"),
        ({"failing_since": None}, "/failing_since"),
        ({"tenant_id": "x"}, "/tenant_id"),
    ],
)
async def test_a_bad_wish_is_refused(alice: Any, fields: dict[str, Any], pointer: str) -> None:
    body = {"name": "x", "url": URL, **fields}
    answer = await alice.http.post("/v1/destinations", json=body)
    assert answer.status_code == 422, answer.text
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    if fields.keys() & {"state", "secrets", "failing_since", "tenant_id"}:
        made = await make(alice)
        answer = await alice.http.patch(f"/v1/destinations/{made['id']}", json=fields)
        assert answer.status_code == 422


async def test_another_tenants_source_is_no_source(alice: Any, bob: Any) -> None:
    theirs = await source_of(bob)
    body = {"name": "spy", "url": URL, "source_ids": [theirs]}
    answer = await alice.http.post("/v1/destinations", json=body)
    assert answer.status_code == 422
    made = await make(alice)
    answer = await alice.http.patch(f"/v1/destinations/{made['id']}", json={"source_ids": [theirs]})
    assert answer.status_code == 422


async def test_a_patch_merges(alice: Any) -> None:
    source_id = await source_of(alice)
    made = await make(alice, source_ids=[source_id], retry={"base_s": 1.0, "count": 3})
    path = f"/v1/destinations/{made['id']}"
    changed = (await alice.http.patch(path, json={"retry": {"count": None, "factor": 2.0}})).json()
    assert changed["retry"] == {"base_s": 1.0, "factor": 2.0}
    assert changed["source_ids"] == [source_id]
    changed = (await alice.http.patch(path, json={"retry": None, "source_ids": None})).json()
    assert (changed["retry"], changed["source_ids"]) == (None, [])
    changed = (await alice.http.patch(path, json={"source_ids": [source_id]})).json()
    assert changed["source_ids"] == [source_id]
    answer = await alice.http.patch(path, json={"url": None})
    assert answer.json()["errors"][0]["pointer"] == "/url"


async def test_of_many_who_change_one_version_one_succeeds(alice: Any) -> None:
    made = await make(alice)
    answers = await asyncio.gather(
        *(
            alice.http.patch(
                f"/v1/destinations/{made['id']}",
                json={"timeout_s": number + 1},
                headers={"if-match": '"1"'},
            )
            for number in range(10)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 9


async def test_disable_and_enable(alice: Any) -> None:
    made = await make(alice)
    path = f"/v1/destinations/{made['id']}"
    off = (await alice.http.post(f"{path}/disable")).json()
    assert (off["state"], off["disabled_reason"]) == ("disabled", "by_owner")
    on = await alice.http.post(f"{path}/enable")
    assert (on.json()["state"], on.json()["disabled_reason"]) == ("enabled", None)
    again = await alice.http.post(f"{path}/enable")
    assert again.headers["etag"] == on.headers["etag"]


async def test_a_rotation_keeps_the_old_secret_for_a_while(alice: Any) -> None:
    made = await make(alice)
    path = f"/v1/destinations/{made['id']}/rotate-secret"
    rotated = (await alice.http.post(path, json={})).json()
    assert rotated["secret"] != made["secret"]
    assert [secret["ends_at"] is None for secret in rotated["secrets"]] == [True, False]
    at_once = (await alice.http.post(path, json={"overlap_s": 0})).json()
    assert len(at_once["secrets"]) == 1


async def test_names_and_deletion(alice: Any, bob: Any) -> None:
    made = await make(alice, name="taken")
    answer = await alice.http.post("/v1/destinations", json={"name": "taken", "url": URL})
    assert answer.status_code == 409
    await make(bob, name="taken")
    path = f"/v1/destinations/{made['id']}"
    answer = await alice.http.delete(path, headers={"if-match": '"9"'})
    assert answer.status_code == 412
    assert (await alice.http.delete(path)).status_code == 204
    assert (await alice.http.get(path)).status_code == 404
    await make(alice, name="taken")
