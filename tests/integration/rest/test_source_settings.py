"""Sources over HTTP: presets, examples, what they take, how they pause, and the tenant's own."""

import asyncio
import hashlib
import hmac
from itertools import count
from typing import Any

import msgspec
import pytest

from crossdock import ids
from crossdock.inbound.sources.service import Sources
from crossdock.presets import CATALOGUE
from crossdock.secrets.seal import Sealer

_numbers = count(1)
BODY = '{"id": 1}'
RECIPE = {"signature_header": "X-Acme-Signature"}


def signed(body: str = BODY, secret: str = "s3cret") -> str:
    return hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()


def example(value: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"headers": {"x-acme-signature": value or signed()}, "body": BODY, **fields}


def wish(**fields: Any) -> dict[str, Any]:
    return {"name": f"settings {next(_numbers)}", "scheme": "stripe", **fields}


def hmac_wish(**fields: Any) -> dict[str, Any]:
    return wish(scheme="hmac", recipe={"hmac": RECIPE}, secrets=["s3cret"], **fields)


async def make(caller: Any, **fields: Any) -> Any:
    answer = await caller.http.post("/v1/sources", json=wish(**fields))
    assert answer.status_code == 201, answer.text
    return answer.json()


def pointers(answer: Any) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [error["pointer"] for error in answer.json()["errors"]]


async def releases(admin: Any, source: Any) -> int:
    key = ids.decode("src", source["id"])
    query = "SELECT count(*) FROM crossdock.releases WHERE source_id = $1"
    found: int = await admin.fetchval(query, key)
    return found


async def test_what_a_source_takes_is_kept_and_shown(alice: Any) -> None:
    made = await make(
        alice,
        content_types=["Application/JSON", "text/plain", "application/json"],
        indexed_fields=["/data/object/customer", "/a~1b"],
        webhooks_per_minute=7,
    )
    shown = (await alice.http.get(f"/v1/sources/{made['id']}")).json()
    assert shown["content_types"] == ["application/json", "text/plain"]
    assert shown["indexed_fields"] == ["/data/object/customer", "/a~1b"]
    assert shown["webhooks_per_minute"] == 7
    assert (shown["encrypts"], shown["preset"], shown["pause_mode"]) == (False, None, None)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"content_types": ["json"]}, "/content_types/0"),
        ({"content_types": ["text/plain; charset=utf-8"]}, "/content_types/0"),
        ({"content_types": ["text/*"]}, "/content_types/0"),
        ({"content_types": ["text/plain\n"]}, "/content_types/0"),
        ({"content_types": ["a/b"] * 17}, "/content_types"),
        ({"indexed_fields": ["data"]}, "/indexed_fields/0"),
        ({"indexed_fields": ["/a", "/b~2"]}, "/indexed_fields/1"),
        ({"indexed_fields": ["/a=b"]}, "/indexed_fields/0"),
        ({"indexed_fields": ["/a", "/a"]}, "/indexed_fields"),
        ({"indexed_fields": [f"/{n}" for n in range(9)]}, "/indexed_fields"),
        ({"indexed_fields": ["/a"], "encrypts": True}, "/indexed_fields"),
        ({"scheme": "api"}, "/scheme"),
        ({"scheme": None}, "/scheme"),
        ({"scheme": None, "preset": "acme"}, "/preset"),
        ({"preset": "github"}, "/scheme"),
        ({"scheme": None, "preset": "microsoft-graph"}, "/scheme"),
        ({"scheme": None, "preset": "none"}, "/scheme"),
    ],
)
async def test_what_cannot_be_is_refused(alice: Any, fields: dict[str, Any], pointer: str) -> None:
    answer = await alice.http.post("/v1/sources", json=wish(**fields))
    assert pointers(answer) == [pointer]


async def test_a_patch_changes_them_and_null_takes_them_away(alice: Any) -> None:
    made = await make(alice, indexed_fields=["/a"], content_types=["text/plain"])
    path = f"/v1/sources/{made['id']}"
    answer = await alice.http.patch(path, json={"encrypts": True})
    assert pointers(answer) == ["/indexed_fields"]
    changes = {"encrypts": True, "indexed_fields": None, "content_types": None}
    shown = (await alice.http.patch(path, json=changes)).json()
    assert (shown["encrypts"], shown["indexed_fields"], shown["content_types"]) == (True, [], [])
    assert pointers(await alice.http.patch(path, json={"indexed_fields": ["/a"]})) == [
        "/indexed_fields"
    ]
    shown = (await alice.http.patch(path, json={"encrypts": None})).json()
    assert shown["encrypts"] is False
    assert pointers(await alice.http.patch(path, json={"preset": "stripe"})) == ["/preset"]


async def test_the_first_source_that_encrypts_makes_the_tenants_key(
    new_tenant: Any, admin: Any
) -> None:
    tenant = await new_tenant()
    query = "SELECT count(*) FROM crossdock.payload_keys WHERE tenant_id = $1"
    plain = await make(tenant)
    assert await admin.fetchval(query, tenant.tenant_id) == 0
    await make(tenant, encrypts=True)
    assert await admin.fetchval(query, tenant.tenant_id) == 1
    await tenant.http.patch(f"/v1/sources/{plain['id']}", json={"encrypts": True})
    await make(tenant, encrypts=True)
    assert await admin.fetchval(query, tenant.tenant_id) == 1


@pytest.mark.parametrize("name", sorted(CATALOGUE))
async def test_every_preset_makes_a_source(alice: Any, name: str) -> None:
    preset = CATALOGUE[name]
    named = {"scheme": "none"} if preset.scheme == "none" else {}
    body = {"name": f"from {name}", "preset": name, **named}
    answer = await alice.http.post(
        "/v1/sources", json=body | ({"unchecked": True} if name == "hmac" else {})
    )
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["preset"], made["scheme"]) == (name, preset.scheme)
    assert made["recipe"] == msgspec.json.decode(msgspec.json.encode(preset.recipe))
    assert (made["secret"] is None) == (preset.scheme == "none")


async def test_what_is_given_goes_before_the_preset(alice: Any) -> None:
    recipe = {"dedupe": "none", "event_type": {"fixed": "paid"}}
    made = await make(alice, scheme=None, preset="razorpay", recipe=recipe)
    given = msgspec.to_builtins(CATALOGUE["razorpay"].recipe.hmac)
    assert made["recipe"] == {"dedupe": "none", "event_type": {"fixed": "paid"}, "hmac": given}


async def test_another_recipe_than_the_presets_wants_an_example(alice: Any) -> None:
    recipe = {"hmac": {"signature_header": "X-Mine", "encoding": "base64"}}
    body = wish(scheme=None, preset="razorpay", recipe=recipe)
    assert pointers(await alice.http.post("/v1/sources", json=body)) == ["/example"]


async def test_the_catalogue_is_shown(alice: Any, anonymous: Any) -> None:
    listed = (await alice.http.get("/v1/source-presets")).json()["items"]
    assert [one["name"] for one in listed] == list(CATALOGUE)
    for one in listed:
        answer = await alice.http.get(f"/v1/source-presets/{one['name']}")
        assert answer.status_code == 200
        shown = answer.json()
        assert {name: shown[name] for name in one} == one
        assert [sample["name"] for sample in shown["samples"]] == [
            sample.name for sample in CATALOGUE[one["name"]].samples
        ]
        again = {"if-none-match": answer.headers["etag"]}
        path = f"/v1/source-presets/{one['name']}"
        assert (await alice.http.get(path, headers=again)).status_code == 304
    assert (await alice.http.get("/v1/source-presets/acme")).status_code == 404
    assert (await anonymous.get("/v1/source-presets")).status_code == 401


async def test_a_recipe_is_saved_with_an_example_that_verifies(alice: Any) -> None:
    answer = await alice.http.post("/v1/sources", json=hmac_wish(example=example()))
    assert answer.status_code == 201, answer.text
    assert "example" not in answer.json()
    assert "unchecked" not in answer.json()


async def test_a_recipe_is_not_saved_with_one_that_does_not(alice: Any, admin: Any) -> None:
    body = hmac_wish(example=example(f"sha256={signed()}"))
    answer = await alice.http.post("/v1/sources", json=body)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "/problems/recipe-mismatch"
    told = {error["pointer"]: error["detail"] for error in problem["errors"]}
    assert "`sha256=`" in told["/recipe/hmac/prefix"]
    assert signed() not in answer.text
    assert "s3cret" not in answer.text
    named = "SELECT count(*) FROM crossdock.sources WHERE name = $1"
    assert await admin.fetchval(named, body["name"]) == 0


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({}, "/example"),
        ({"unchecked": False}, "/example"),
        ({"secrets": [], "example": example()}, "/secrets"),
        ({"example": {"headers": {}}}, "/example/body"),
        ({"example": example(body_base64="e30=")}, "/example/body"),
        ({"example": {"headers": {}, "body_base64": "!"}}, "/example/body_base64"),
        ({"example": {"headers": {"x": "\u4e2d"}, "body": ""}}, "/example/headers"),
        ({"example": example(x=1)}, "/example/x"),
        ({"example": example(url="ftp://x")}, "/example/url"),
    ],
)
async def test_what_is_no_example_is_refused(
    alice: Any, fields: dict[str, Any], pointer: str
) -> None:
    answer = await alice.http.post("/v1/sources", json=hmac_wish() | fields)
    assert pointers(answer) == [pointer]


async def test_a_changed_recipe_wants_an_example_too(alice: Any) -> None:
    made = (await alice.http.post("/v1/sources", json=hmac_wish(unchecked=True))).json()
    path = f"/v1/sources/{made['id']}"
    patch = {"recipe": {"hmac": {"prefix": "v1="}}}
    assert pointers(await alice.http.patch(path, json=patch)) == ["/example"]
    wrong = await alice.http.patch(path, json=patch | {"example": example()})
    assert wrong.json()["type"] == "/problems/recipe-mismatch"
    right = await alice.http.patch(path, json=patch | {"example": example(f"v1={signed()}")})
    assert right.status_code == 200, right.text
    assert right.json()["recipe"]["hmac"]["prefix"] == "v1="
    # What is not about the signature needs none; an example that is given is looked at.
    assert (await alice.http.patch(path, json={"name": "renamed"})).status_code == 200
    wrong = await alice.http.patch(path, json={"name": "again", "example": example()})
    assert wrong.json()["type"] == "/problems/recipe-mismatch"
    assert (await alice.http.get(path)).json()["name"] == "renamed"


async def test_a_check_saves_nothing_and_says_what_would_fit(alice: Any, admin: Any) -> None:
    before = await admin.fetchval("SELECT count(*) FROM crossdock.sources")
    body = {"scheme": "hmac", "recipe": {"hmac": RECIPE}, "secrets": ["s3cret"]}
    right = await alice.http.post("/v1/sources/check", json=body | {"example": example()})
    assert right.status_code == 200, right.text
    assert (right.json()["verified"], right.json()["hints"]) == (True, [])
    changed = {"hmac": RECIPE | {"algorithm": "sha512"}}
    wrong = await alice.http.post(
        "/v1/sources/check", json=body | {"example": example(), "recipe": changed}
    )
    assert wrong.json()["verified"] is False
    assert [(hint["pointer"], hint["value"]) for hint in wrong.json()["hints"]] == [
        ("/recipe/hmac/algorithm", "sha256")
    ]
    assert signed() not in wrong.text
    assert await admin.fetchval("SELECT count(*) FROM crossdock.sources") == before


async def test_a_check_takes_any_scheme_and_any_preset(alice: Any) -> None:
    headers = {"X-Hub-Signature-256": f"sha256={signed()}", "X-GitHub-Event": "push"}
    body = {"secrets": ["s3cret"], "example": {"headers": headers, "body": BODY}}
    found = (await alice.http.post("/v1/sources/check", json=body | {"preset": "github"})).json()
    assert (found["verified"], found["event_type"]) == (True, "push")
    other = (await alice.http.post("/v1/sources/check", json=body | {"scheme": "stripe"})).json()
    assert other["refusal"] == "signature-missing"
    assert [(hint["pointer"], hint["value"]) for hint in other["hints"]] == [("/scheme", "github")]
    assert pointers(await alice.http.post("/v1/sources/check", json=body)) == ["/scheme"]


async def test_a_pause_says_how_and_may_change_its_mode(alice: Any, admin: Any) -> None:
    made = await make(alice)
    path = f"/v1/sources/{made['id']}"

    async def mode(body: Any = None) -> Any:
        answer = await alice.http.post(f"{path}/pause", **({"json": body} if body else {}))
        assert answer.status_code == 200, answer.text
        return answer.json()["state"], answer.json()["pause_mode"]

    assert await mode() == ("paused", "refuse")
    assert await mode({"mode": "buffer"}) == ("paused", "buffer")
    assert await mode({"mode": "buffer"}) == ("paused", "buffer")
    key = ids.decode("src", made["id"])
    query = "SELECT version, buffers FROM crossdock.sources WHERE id = $1"
    assert tuple(await admin.fetchrow(query, key)) == (3, True)
    assert await releases(admin, made) == 0
    resumed = (await alice.http.post(f"{path}/resume")).json()
    assert (resumed["state"], resumed["pause_mode"]) == ("active", None)
    assert await releases(admin, made) == 1
    await alice.http.post(f"{path}/resume")
    assert await releases(admin, made) == 1, "it was not paused"
    assert pointers(await alice.http.post(f"{path}/pause", json={"mode": "drop"})) == ["/mode"]
    null = {"content": b"null", "headers": {"content-type": "application/json"}}
    assert pointers(await alice.http.post(f"{path}/pause", **null)) == [""]


async def test_what_a_deleted_source_held_back_is_released(alice: Any, admin: Any) -> None:
    made = await make(alice)
    path = f"/v1/sources/{made['id']}"
    await alice.http.post(f"{path}/pause", json={"mode": "buffer"})
    assert (await alice.http.delete(path)).status_code == 204
    assert await releases(admin, made) == 1
    other = await make(alice)
    await alice.http.delete(f"/v1/sources/{other['id']}")
    assert await releases(admin, other) == 0


@pytest.mark.parametrize("limit", [1, 10, 27, 200])
async def test_the_catalogues_pages_hold_all_of_it_once(alice: Any, limit: int) -> None:
    seen: list[str] = []
    parameters: dict[str, Any] = {"limit": limit}
    while True:
        page = (await alice.http.get("/v1/source-presets", params=parameters)).json()
        seen += [one["name"] for one in page["items"]]
        assert len(page["items"]) <= limit
        if page["next_cursor"] is None:
            break
        parameters["cursor"] = page["next_cursor"]
    assert seen == list(CATALOGUE)


async def test_a_tenants_own_source_is_made_once_and_shown_without_a_door(
    new_tenant: Any, database: Any, settings: Any
) -> None:
    tenant = await new_tenant()
    await make(tenant, name="api")
    sealer = Sealer.from_text(settings.keys.sources, setting="")
    sources = Sources(database, sealer, max_body_bytes=1000)
    found = await asyncio.gather(*(sources.own(tenant.tenant_id) for _ in range(10)))
    assert len({one.id for one in found}) == 1
    path = f"/v1/sources/{ids.encode('src', found[0].id)}"
    shown = (await tenant.http.get(path)).json()
    assert (shown["scheme"], shown["ingest_url"], shown["name"]) == ("api", None, "api 2")
    assert shown["secrets"] == []
    listed = (await tenant.http.get("/v1/sources")).json()["items"]
    assert [one["ingest_url"] is None for one in listed] == [True, False]
    assert (await tenant.http.post(f"{path}/rotate-secret", json={})).status_code == 409
    assert (await tenant.http.post(f"{path}/test")).status_code == 409
    recipe = {"recipe": {"tolerance": 60}}
    assert pointers(await tenant.http.patch(path, json=recipe)) == ["/recipe"]
    changes = {"name": "ours", "indexed_fields": ["/id"], "webhooks_per_minute": 10}
    assert (await tenant.http.patch(path, json=changes)).status_code == 200
    paused = (await tenant.http.post(f"{path}/pause", json={"mode": "buffer"})).json()
    assert paused["pause_mode"] == "buffer"
    refused = await tenant.http.delete(path)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/conflict")
    assert (
        refused.json()["detail"] == "The source of your own events can be paused, and not deleted."
    )
    assert (await sources.own(tenant.tenant_id)).id == found[0].id


async def test_who_may_what(new_tenant: Any) -> None:
    reader = await new_tenant("sources:read")
    body = {"scheme": "none", "example": {"headers": {}, "body": ""}}
    assert (await reader.http.get("/v1/source-presets")).status_code == 200
    assert (await reader.http.post("/v1/sources/check", json=body)).status_code == 403
    simulation = {"source_id": ids.encode("src", ids.new()), "sample": "push"}
    assert (await reader.http.post("/v1/simulations", json=simulation)).status_code == 403
    writer = await new_tenant("sources:write")
    assert (await writer.http.get("/v1/source-presets")).status_code == 403
    assert (await writer.http.post("/v1/sources/check", json=body)).status_code == 200


async def test_another_tenants_source_is_none(alice: Any, bob: Any) -> None:
    made = await make(alice)
    path = f"/v1/sources/{made['id']}"
    for method, more in (
        ("GET", "/refusals"),
        ("GET", "/refusals/counts"),
        ("POST", "/test"),
        ("POST", "/pause"),
    ):
        assert (await bob.http.request(method, f"{path}{more}")).status_code == 404
    simulation = {"source_id": made["id"], "sample": "charge-succeeded"}
    assert (await bob.http.post("/v1/simulations", json=simulation)).status_code == 404
    assert (await alice.http.post("/v1/simulations", json=simulation)).status_code == 200
