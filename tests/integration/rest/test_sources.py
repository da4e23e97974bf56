"""Sources over HTTP."""

import asyncio
import re
from itertools import count
from typing import Any

import msgspec
import pytest

from crossdock import ids, native
from crossdock.inbound.sources.sealing import secret_context
from crossdock.secrets.model import decode
from crossdock.secrets.seal import Sealer

_numbers = count(1)
HMAC = {"signature_header": "X-Signature", "prefix": "v1=", "timestamp_header": "X-Timestamp"}
HMAC["template"] = "{timestamp}.{body}"


async def make(caller: Any, **fields: Any) -> dict[str, Any]:
    body = {"name": f"source {next(_numbers)}", "scheme": "stripe", **fields}
    answer = await caller.http.post("/v1/sources", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def in_database(admin: Any, source: dict[str, Any]) -> Any:
    key = ids.decode("src", source["id"])
    return await admin.fetchrow("SELECT * FROM crossdock.sources WHERE id = $1", key)


async def outbox_of(admin: Any, source: dict[str, Any]) -> int:
    key = str(ids.decode("src", source["id"]))
    count_of = "SELECT count(*) FROM crossdock.outbox WHERE topic = 'source' AND key = $1"
    found: int = await admin.fetchval(count_of, key)
    return found


def live_secrets(settings: Any, row: Any) -> list[str]:
    sealer = Sealer.from_text(settings.keys.sources, setting="")
    context = secret_context(row["tenant_id"], row["id"])
    return [sealer.open(one.sealed, context=context).decode() for one in decode(row["secrets"])]


async def test_a_generated_secret_is_shown_once(alice: Any, settings: Any, admin: Any) -> None:
    made = await make(alice)
    assert made["id"].startswith("src_")
    assert made["secret"].startswith("whsec_")
    answer = await alice.http.get(f"/v1/sources/{made['id']}")
    assert "secret" not in answer.json()
    assert made["secret"] not in answer.text
    assert live_secrets(settings, await in_database(admin, made)) == [made["secret"]]


async def test_given_secrets_are_kept_sealed_and_never_echoed(
    alice: Any, settings: Any, admin: Any
) -> None:
    body = {"name": "given", "scheme": "stripe", "secrets": ["whsec_current", "whsec_older"]}
    answer = await alice.http.post("/v1/sources", json=body)
    assert answer.json()["secret"] is None
    assert "whsec_" not in answer.text
    current, older = answer.json()["secrets"]
    assert current["ends_at"] is None
    assert older["ends_at"] is not None
    row = await in_database(admin, answer.json())
    assert live_secrets(settings, row) == ["whsec_current", "whsec_older"]
    assert b"whsec_" not in msgspec.json.encode(dict(row), enc_hook=repr)


async def test_the_answer_says_where_and_which_version(alice: Any) -> None:
    answer = await alice.http.post("/v1/sources", json={"name": "where", "scheme": "github"})
    assert answer.headers["location"] == f"/v1/sources/{answer.json()['id']}"
    assert re.fullmatch(r'"1-[0-9a-f]{16}"', answer.headers["etag"])
    shown = await alice.http.get(answer.headers["location"])
    assert shown.headers["etag"] == answer.headers["etag"]
    assert {**shown.json(), "secret": answer.json()["secret"]} == answer.json()


async def test_the_token_is_unguessable_and_stored_hashed(alice: Any, admin: Any) -> None:
    made = await make(alice)
    base, _, token = made["ingest_url"].rpartition("/")
    assert base == "http://127.0.0.1/in"
    assert len(token) == 43
    row = await in_database(admin, made)
    assert row["token_hash"] == native.sha256(token.encode())
    assert token.encode() not in msgspec.json.encode(dict(row), enc_hook=repr)


async def test_every_write_tells_the_gateways_in_its_transaction(alice: Any, admin: Any) -> None:
    made = await make(alice)
    path = f"/v1/sources/{made['id']}"
    assert await outbox_of(admin, made) == 1
    await alice.http.patch(path, json={"recipe": {"tolerance": 60}})
    await alice.http.post(f"{path}/pause")
    await alice.http.post(f"{path}/pause")
    await alice.http.post(f"{path}/rotate-secret", json={})
    assert await outbox_of(admin, made) == 4
    assert (await in_database(admin, made))["version"] == 4
    refused = await alice.http.patch(path, json={"recipe": {"tolerance": -1}})
    assert refused.status_code == 422
    assert await outbox_of(admin, made) == 4
    await alice.http.delete(path)
    row = await in_database(admin, made)
    assert (row["state"], row["version"], row["secrets"], row["token_sealed"]) == (
        "deleted",
        5,
        "[]",
        b"",
    )
    assert await outbox_of(admin, made) == 5


async def test_a_recipe_is_kept_as_it_will_be_prepared(
    alice: Any, settings: Any, admin: Any
) -> None:
    recipe = {"hmac": HMAC, "dedupe": ["/id"]}
    made = await make(alice, scheme="hmac", recipe=recipe, unchecked=True)
    row = await in_database(admin, made)
    recipe = msgspec.json.decode(row["recipe"])
    assert recipe["scheme"] == "hmac"
    prepared = native.Source(
        msgspec.json.encode({**recipe, "secrets": live_secrets(settings, row)})
    )
    assert prepared.scheme == "hmac"


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"scheme": "hmac"}, "/recipe"),
        ({"scheme": "github", "recipe": {"tolerance": 5}}, "/recipe"),
        ({"scheme": "none", "secrets": ["s"]}, "/recipe"),
        ({"scheme": "standard", "secrets": ["whsec_!hush"]}, "/recipe"),
        ({"scheme": "stripe", "recipe": {"public_url": "ftp://x"}}, "/recipe/public_url"),
        ({"scheme": "stripe", "recipe": {"public_url": "https://"}}, "/recipe"),
        ({"scheme": "stripe", "recipe": {"dedupe": ["id"]}}, "/recipe/dedupe/0"),
        ({"scheme": "pigeon"}, "/scheme"),
        ({"scheme": "stripe", "recipe": {"secrets": ["whsec_x"]}}, "/recipe/secrets"),
        ({"scheme": "stripe", "recipe": {"tolerance": "60"}}, "/recipe/tolerance"),
        ({"scheme": "stripe", "secrets": [""]}, "/secrets/0"),
        ({"scheme": "stripe", "secrets": ["a\nb"]}, "/secrets/0"),
        ({"scheme": "stripe", "secrets": ["s"] * 11}, "/secrets"),
        ({"scheme": "stripe", "max_body_bytes": 0}, "/max_body_bytes"),
        ({"scheme": "stripe", "max_body_bytes": 10**9}, "/max_body_bytes"),
        ({"scheme": "stripe", "name": ""}, "/name"),
        ({"scheme": "stripe", "name": "a" * 101}, "/name"),
        ({"scheme": "stripe", "name": "a\n"}, "/name"),
    ],
)
async def test_what_cannot_verify_is_refused_and_the_pointer_says_where(
    alice: Any, fields: dict[str, Any], pointer: str
) -> None:
    answer = await alice.http.post("/v1/sources", json={"name": "x", **fields})
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert "hush" not in answer.text


@pytest.mark.parametrize(
    "field",
    [
        "id",
        "tenant_id",
        "state",
        "version",
        "token_hash",
        "token_sealed",
        "ingest_url",
        "created_at",
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_nobody_sets_what_is_not_theirs_to_set(
    alice: Any, admin: Any, method: str, field: str
) -> None:
    made = await make(alice)
    before = await in_database(admin, made)
    body: dict[str, Any] = {field: "active"}
    path = f"/v1/sources/{made['id']}"
    if method == "POST":
        path, body = "/v1/sources", {"name": "mass", "scheme": "stripe", **body}
    answer = await alice.http.request(method, path, json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == f"/{field}"
    assert await in_database(admin, made) == before


async def test_a_patch_merges_and_null_means_the_default(alice: Any) -> None:
    recipe = {"hmac": HMAC, "dedupe": "none"}
    made = await make(alice, scheme="hmac", recipe=recipe, unchecked=True)
    path = f"/v1/sources/{made['id']}"
    changed = await alice.http.patch(
        path,
        content=b'{"name":"renamed","recipe":{"dedupe":null,"hmac":{"prefix":null}},"unchecked":true}',
        headers={"content-type": "application/merge-patch+json"},
    )
    assert changed.status_code == 200, changed.text
    assert changed.json()["name"] == "renamed"
    rest = {name: value for name, value in HMAC.items() if name != "prefix"}
    assert changed.json()["recipe"] == {"hmac": rest}
    assert changed.headers["etag"].startswith('"2-')
    same = await alice.http.patch(path, json={"name": "renamed"})
    assert same.headers["etag"] == changed.headers["etag"], "nothing changed: no new version"
    limit = await alice.http.patch(path, json={"max_body_bytes": 1000})
    assert limit.json()["max_body_bytes"] == 1000
    limit = await alice.http.patch(path, json={"max_body_bytes": None})
    assert limit.json()["max_body_bytes"] == 5 * 1024**2


async def test_what_must_be_there_cannot_be_patched_away(alice: Any) -> None:
    made = await make(alice)
    answer = await alice.http.patch(f"/v1/sources/{made['id']}", json={"name": None})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/name"
    answer = await alice.http.patch(f"/v1/sources/{made['id']}", json={"scheme": "github"})
    assert answer.status_code == 422


async def test_a_patch_that_could_not_verify_is_refused(alice: Any, admin: Any) -> None:
    made = await make(alice, scheme="github")
    before = await in_database(admin, made)
    answer = await alice.http.patch(f"/v1/sources/{made['id']}", json={"recipe": {"tolerance": 60}})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/recipe")
    assert await in_database(admin, made) == before


async def test_if_match_lets_only_the_current_version_pass(alice: Any) -> None:
    made = await make(alice)
    path = f"/v1/sources/{made['id']}"

    async def rename(name: str, tag: str) -> int:
        answer = await alice.http.patch(path, json={"name": name}, headers={"if-match": tag})
        status: int = answer.status_code
        return status

    assert await rename("second", '"1"') == 200
    assert await rename("third", '"1"') == 412
    assert await rename("third", 'W/"2"') == 412
    assert await rename("third", '"1", "2"') == 200
    assert await rename("fourth", "*") == 200
    assert await rename("fifth", "4") == 400
    gone = await alice.http.delete(path, headers={"if-match": '"1"'})
    assert gone.status_code == 412
    assert gone.json()["type"] == "/problems/precondition-failed"
    assert (await alice.http.delete(path, headers={"if-match": '"4"'})).status_code == 204


async def test_of_many_who_change_one_version_one_succeeds(alice: Any) -> None:
    made = await make(alice)
    answers = await asyncio.gather(
        *(
            alice.http.patch(
                f"/v1/sources/{made['id']}",
                json={"name": f"racer {number} {made['id']}"},
                headers={"if-match": '"1"'},
            )
            for number in range(20)
        )
    )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] + [412] * 19


async def test_without_if_match_no_change_is_lost(alice: Any) -> None:
    made = await make(alice)
    path = f"/v1/sources/{made['id']}"
    patches: list[dict[str, Any]] = [
        {"recipe": {"tolerance": 60}},
        {"max_body_bytes": 999},
        {"name": f"together {made['id']}"},
        {"recipe": {"dedupe": "none"}},
    ]
    await asyncio.gather(*(alice.http.patch(path, json=patch) for patch in patches))
    found = (await alice.http.get(path)).json()
    assert found["recipe"] == {"tolerance": 60.0, "dedupe": "none"}
    assert (found["max_body_bytes"], found["name"]) == (999, f"together {made['id']}")


async def test_a_name_is_unique_within_a_tenant_only(alice: Any, bob: Any) -> None:
    made = await make(alice, name="taken")
    answer = await alice.http.post("/v1/sources", json={"name": "taken", "scheme": "stripe"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/conflict")
    other = await make(alice)
    answer = await alice.http.patch(f"/v1/sources/{other['id']}", json={"name": "taken"})
    assert answer.status_code == 409
    await make(bob, name="taken")
    await alice.http.delete(f"/v1/sources/{made['id']}")
    await make(alice, name="taken")


async def test_twenty_who_want_one_name_at_once(alice: Any) -> None:
    body = {"name": "coveted", "scheme": "stripe"}
    answers = await asyncio.gather(*(alice.http.post("/v1/sources", json=body) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19


async def test_pause_and_resume(alice: Any, admin: Any) -> None:
    made = await make(alice)
    path = f"/v1/sources/{made['id']}"
    assert (await alice.http.post(f"{path}/pause")).json()["state"] == "paused"
    assert (await alice.http.post(f"{path}/pause")).json()["state"] == "paused"
    assert (await alice.http.post(f"{path}/resume")).json()["state"] == "active"
    key = ids.decode("src", made["id"])
    await admin.execute("UPDATE crossdock.sources SET state = 'disabled' WHERE id = $1", key)
    answer = await alice.http.post(f"{path}/resume")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/conflict")


async def test_a_rotation_keeps_the_old_secret_for_a_while(
    alice: Any, settings: Any, admin: Any
) -> None:
    made = await make(alice)
    path = f"/v1/sources/{made['id']}"
    rotated = (await alice.http.post(f"{path}/rotate-secret", json={"overlap_s": 60})).json()
    assert rotated["secret"] not in {None, made["secret"]}
    current, old = rotated["secrets"]
    assert current["ends_at"] is None
    assert old["ends_at"] is not None
    row = await in_database(admin, made)
    assert live_secrets(settings, row) == [rotated["secret"], made["secret"]]
    given = await alice.http.post(
        f"{path}/rotate-secret", json={"secret": "whsec_mine", "overlap_s": 0}
    )
    assert given.json()["secret"] is None
    assert live_secrets(settings, await in_database(admin, made)) == ["whsec_mine"]


async def test_an_overlapping_secret_can_be_ended_at_once(alice: Any) -> None:
    made = await make(alice)
    path = f"/v1/sources/{made['id']}"
    rotated = (await alice.http.post(f"{path}/rotate-secret", json={})).json()
    current, old = rotated["secrets"]
    answer = await alice.http.delete(f"{path}/secrets/{current['id']}")
    assert answer.status_code == 409
    assert (await alice.http.delete(f"{path}/secrets/{old['id']}")).status_code == 204
    assert (await alice.http.delete(f"{path}/secrets/{old['id']}")).status_code == 404
    assert (await alice.http.get(path)).json()["secrets"] == [current]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"overlap_s": -1}, 422),
        ({"overlap_s": 604_801}, 422),
        ({"overlap": 1}, 422),
        ({"secret": ""}, 422),
        ({"overlap_s": 604_800}, 200),
    ],
)
async def test_an_overlap_is_between_nothing_and_a_week(
    alice: Any, body: dict[str, Any], status: int
) -> None:
    made = await make(alice)
    answer = await alice.http.post(f"/v1/sources/{made['id']}/rotate-secret", json=body)
    assert answer.status_code == status, answer.text


async def test_a_source_of_no_scheme_has_no_secret(alice: Any) -> None:
    made = await make(alice, scheme="none")
    assert (made["secret"], made["secrets"]) == (None, [])
    for body in ({}, {"secret": "s"}):
        answer = await alice.http.post(f"/v1/sources/{made['id']}/rotate-secret", json=body)
        assert answer.status_code == 409


async def test_a_deleted_source_is_gone_from_everywhere(alice: Any) -> None:
    made = await make(alice)
    path = f"/v1/sources/{made['id']}"
    assert (await alice.http.delete(path)).status_code == 204
    for method, where in (("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume")):
        assert (await alice.http.request(method, path + where)).status_code == 404
    listed = (await alice.http.get("/v1/sources", params={"limit": 200})).json()["items"]
    assert made["id"] not in {item["id"] for item in listed}


@pytest.mark.parametrize("scheme", native.SCHEMES)
async def test_every_scheme_can_be_used_with_nothing_but_its_name(alice: Any, scheme: str) -> None:
    recipe = {"hmac": HMAC} if scheme == "hmac" else {}
    made = await make(alice, scheme=scheme, recipe=recipe, unchecked=True)
    assert made["scheme"] == scheme
