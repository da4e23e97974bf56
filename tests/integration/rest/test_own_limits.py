"""Limits that a tenant gives its sources and keys, through the API."""

from typing import Any

import pytest

from crossdock import ids
from crossdock.tenancy.plans import MAX_RATE


async def made(caller: Any, path: str, **fields: Any) -> Any:
    answer = await caller.http.post(path, json=fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_source_has_no_limit_of_its_own_unless_given(alice: Any) -> None:
    plain = await made(alice, "/v1/sources", name="no limit", scheme="none")
    held = await made(alice, "/v1/sources", name="a limit", scheme="none", webhooks_per_minute=30)

    assert plain["webhooks_per_minute"] is None
    assert held["webhooks_per_minute"] == 30
    seen = (await alice.http.get(f"/v1/sources/{held['id']}")).json()
    assert seen["webhooks_per_minute"] == 30


async def test_a_sources_limit_is_changed_and_taken_away(alice: Any) -> None:
    source = await made(alice, "/v1/sources", name="to change", scheme="none")
    path = f"/v1/sources/{source['id']}"

    for given in (40, MAX_RATE, None):
        changed = await alice.http.patch(path, json={"webhooks_per_minute": given})
        assert changed.status_code == 200, changed.text
        assert changed.json()["webhooks_per_minute"] == given
    other = await alice.http.patch(path, json={"name": "changed"})
    assert other.json()["webhooks_per_minute"] is None


async def test_a_keys_limit_stays_with_the_key_that_takes_its_place(alice: Any) -> None:
    fields = {"name": "held", "permissions": ["events:read"]}
    plain = await made(alice, "/v1/api-keys", **fields)
    held = await made(alice, "/v1/api-keys", **fields, requests_per_minute=12)

    rotated = await made(alice, f"/v1/api-keys/{held['id']}/rotate")

    assert plain["requests_per_minute"] is None
    assert held["requests_per_minute"] == rotated["requests_per_minute"] == 12
    seen = (await alice.http.get(f"/v1/api-keys/{held['id']}")).json()
    assert seen["requests_per_minute"] == 12


@pytest.mark.parametrize("wrong", [0, -1, MAX_RATE + 1, 1.5, "5", True])
async def test_what_is_no_rate_is_refused(alice: Any, wrong: Any) -> None:
    source = {"name": "wrong", "scheme": "none", "webhooks_per_minute": wrong}
    key = {"name": "wrong", "permissions": ["events:read"], "requests_per_minute": wrong}

    for path, fields, pointer in (
        ("/v1/sources", source, "/webhooks_per_minute"),
        ("/v1/api-keys", key, "/requests_per_minute"),
    ):
        answer = await alice.http.post(path, json=fields)
        assert answer.status_code == 422
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_operators_set_both_rates_of_a_tenant(alice: Any, crowd: Any, connect: Any) -> None:
    operator = connect((await crowd.operator()).token)
    path = f"/v1/admin/tenants/{ids.encode('ten', alice.tenant_id)}/quota"
    own = {"requests_per_minute": 1_200, "webhooks_per_minute": 1}

    changed = await operator.patch(path, json={"quotas": own})

    assert changed.status_code == 200, changed.text
    assert changed.json()["quotas"] == own
    usage = (await alice.http.get("/v1/tenant/usage")).json()["usage"]
    assert {name: usage[name]["limit"] for name in own} == own
    for wrong in (0, MAX_RATE + 1):
        for name in own:
            answer = await operator.patch(path, json={"quotas": {name: wrong}})
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["pointer"] == f"/quotas/{name}"
    back = await operator.patch(path, json={"quotas": dict.fromkeys(own)})
    assert back.json()["quotas"] == {}
