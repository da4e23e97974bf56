"""What can be chosen of a destination over HTTP, and what is never shown of it again."""

from itertools import count
from typing import Any

import pytest

from crossdock import ids

_numbers = count(1)
URL = "https://example.com/hooks"
SECRET = "never-shown-5f2c"
BASIC = {"type": "basic", "username": "crossdock", "password": SECRET}
OAUTH = {
    "type": "oauth2",
    "token_url": "https://login.example.com/token",
    "client_id": "me",
    "client_secret": SECRET,
}
KEYS = {"type": "s3", "access_key_id": "AKIA", "secret_access_key": SECRET}
BUCKET = {"bucket": "webhooks", "prefix": "in/"}
CHOSEN: dict[str, Any] = {
    "filter": "payload.total > 100",
    "transform": "function transform(event) { return event; }",
    "rate": {"count": 10, "per_s": 2.0},
    "concurrency": 3,
    "order": {"by": "/customer/id", "hold": "until_delivered"},
    "breaker": "off",
}


async def make(caller: Any, **fields: Any) -> dict[str, Any]:
    body = {"name": f"chosen {next(_numbers)}", **fields}
    answer = await caller.http.post("/v1/destinations", json=body)
    assert answer.status_code == 201, answer.text
    assert SECRET not in answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_what_is_chosen_is_shown_kept_and_changed(alice: Any) -> None:
    made = await make(alice, url=URL, **CHOSEN)
    assert {name: made[name] for name in CHOSEN} == CHOSEN
    path = f"/v1/destinations/{made['id']}"
    assert {name: (await alice.http.get(path)).json()[name] for name in CHOSEN} == CHOSEN
    changes = {"rate": {"count": 5}, "order": {"hold": None}, "filter": None, "breaker": None}
    changed = (await alice.http.patch(path, json=changes)).json()
    assert changed["rate"] == {"count": 5, "per_s": 2.0}
    assert changed["order"] == {"by": "/customer/id", "hold": "until_dead"}
    assert (changed["filter"], changed["breaker"]) == (None, "auto")
    assert changed["transform"] == CHOSEN["transform"]
    bare = (await alice.http.patch(path, json=dict.fromkeys(CHOSEN))).json()
    assert [bare[name] for name in CHOSEN] == [None] * 5 + ["auto"]


@pytest.mark.parametrize(
    ("kind", "wanted", "shown"),
    [
        ("nats", {"subject": "orders.eu"}, {"subject": "orders.eu"}),
        ("inbox", None, {"status": 200, "delay_s": 0.0, "failure": "none", "fail_first": None}),
        ("inbox", {"failure": "hang"}, {"failure": "hang"}),
        ("storage", BUCKET, {**BUCKET, "region": "us-east-1", "endpoint": None}),
    ],
    ids=["nats", "inbox", "inbox that hangs", "storage"],
)
async def test_each_kind_has_its_settings(
    alice: Any, kind: str, wanted: dict[str, Any] | None, shown: dict[str, Any]
) -> None:
    given = {} if wanted is None else {"settings": wanted}
    auth = {"auth": KEYS} if kind == "storage" else {}
    made = await make(alice, kind=kind, **given, **auth)
    assert (made["kind"], made["url"]) == (kind, None)
    assert made["settings"].items() >= shown.items()
    path = f"/v1/destinations/{made['id']}"
    again = (await alice.http.patch(path, json={"settings": made["settings"]})).json()
    assert again["settings"] == made["settings"], "what is shown can be sent back"


async def test_settings_are_merged(alice: Any) -> None:
    made = await make(alice, kind="inbox", settings={"status": 503, "fail_first": 2})
    path = f"/v1/destinations/{made['id']}"
    changed = (await alice.http.patch(path, json={"settings": {"fail_first": None}})).json()
    assert (changed["settings"]["status"], changed["settings"]["fail_first"]) == (503, None)
    plain = (await alice.http.patch(path, json={"settings": None})).json()
    assert plain["settings"]["status"] == 200
    answer = await alice.http.patch(path, json={"settings": {"subject": "x"}})
    assert answer.json()["errors"][0]["pointer"] == "/settings/subject"


@pytest.mark.parametrize(
    ("auth", "kind", "shown"),
    [
        (BASIC, "http", {"type": "basic", "username": "crossdock"}),
        ({"type": "bearer", "token": SECRET}, "http", {"type": "bearer"}),
        (
            OAUTH,
            "http",
            {
                "type": "oauth2",
                "client_id": "me",
                "token_url": OAUTH["token_url"],
                "style": "basic",
            },
        ),
        (KEYS, "storage", {"type": "s3", "access_key_id": "AKIA"}),
    ],
    ids=["basic", "bearer", "oauth2", "s3"],
)
async def test_credentials_are_written_and_never_read(
    alice: Any, admin: Any, auth: dict[str, Any], kind: str, shown: dict[str, Any]
) -> None:
    where = {"url": URL, "headers": {"X-Key": SECRET}} if kind == "http" else {"settings": BUCKET}
    made = await make(alice, kind=kind, auth=auth, **where)
    assert made["auth"] == shown
    assert made["headers"] == (["x-key"] if kind == "http" else [])
    path = f"/v1/destinations/{made['id']}"
    for answer in (
        await alice.http.get(path),
        await alice.http.get("/v1/destinations"),
        await alice.http.patch(path, json={"timeout_s": 3}),
        await alice.http.patch(path, json={"auth": {**auth, "surplus": SECRET}}),
        await alice.http.patch(path, json={"headers": {"host": SECRET}}),
    ):
        assert SECRET not in answer.text
    key = ids.decode("dst", made["id"])
    row = await admin.fetchrow("SELECT * FROM crossdock.destinations WHERE id = $1", key)
    assert row["credentials"] is not None
    assert SECRET not in repr(dict(row))
    told = await admin.fetch("SELECT * FROM crossdock.audit")
    assert told
    assert not [entry for entry in told if SECRET in repr(dict(entry))]


async def test_auth_is_replaced_as_a_whole_and_headers_by_name(alice: Any) -> None:
    made = await make(alice, url=URL, auth=BASIC, headers={"X-One": "1", "X-Two": "2"})
    path = f"/v1/destinations/{made['id']}"
    answer = await alice.http.patch(path, json={"auth": {"type": "basic", "username": "new"}})
    assert answer.status_code == 422, "a password is no part of what is kept"
    assert answer.json()["errors"][0]["pointer"] == "/auth/password"
    changes = {"headers": {"x-ONE": None, "X-Three": "3"}}
    changed = (await alice.http.patch(path, json=changes)).json()
    assert changed["headers"] == ["x-three", "x-two"]
    assert changed["auth"] == {"type": "basic", "username": "crossdock"}
    bare = (await alice.http.patch(path, json={"auth": None, "headers": None})).json()
    assert (bare["auth"], bare["headers"]) == (None, [])


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"kind": "http"}, "/url"),
        ({"kind": "inbox", "url": URL}, "/url"),
        ({"kind": "carrier-pigeon", "url": URL}, "/kind"),
        ({"kind": "nats"}, "/settings"),
        ({"kind": "nats", "settings": {"subject": "orders.*"}}, "/settings/subject"),
        ({"kind": "nats", "settings": {"subject": "orders..eu"}}, "/settings/subject"),
        ({"kind": "nats", "settings": {"subject": ">"}}, "/settings/subject"),
        ({"kind": "nats", "settings": {"subject": "a\r\nPUB b"}}, "/settings/subject"),
        ({"kind": "nats", "settings": {"bucket": "abc"}}, "/settings/bucket"),
        ({"kind": "inbox", "settings": {"status": 99}}, "/settings/status"),
        ({"url": URL, "settings": {"subject": "x"}}, "/settings"),
        ({"kind": "storage", "settings": BUCKET}, "/auth"),
        ({"kind": "storage", "settings": BUCKET, "auth": BASIC}, "/auth/type"),
        ({"kind": "storage", "settings": {"bucket": "Up"}, "auth": KEYS}, "/settings/bucket"),
        ({"kind": "storage", "settings": {"bucket": "Upper"}, "auth": KEYS}, "/settings/bucket"),
        ({"kind": "storage", "settings": {"bucket": "10.0.0.1"}, "auth": KEYS}, "/settings/bucket"),
        ({"kind": "storage", "settings": {"bucket": "a..b"}, "auth": KEYS}, "/settings/bucket"),
        (
            {"kind": "storage", "settings": {**BUCKET, "prefix": "../x"}, "auth": KEYS},
            "/settings/prefix",
        ),
        (
            {
                "kind": "storage",
                "settings": {**BUCKET, "endpoint": "http://169.254.169.254"},
                "auth": KEYS,
            },
            "/settings/endpoint",
        ),
        ({"url": URL, "auth": {"type": "kerberos"}}, "/auth/type"),
        ({"url": URL, "auth": {**BASIC, "username": "a:b"}}, "/auth/username"),
        ({"url": URL, "auth": {"type": "bearer", "token": "a\nb"}}, "/auth/token"),
        ({"url": URL, "auth": {**OAUTH, "token_url": "http://10.0.0.1/"}}, "/auth/token_url"),
        (
            {"url": URL, "auth": {"type": "mtls", "certificate": "x", "private_key": "y"}},
            "/auth/certificate",
        ),
        ({"url": URL, "headers": {"Host": "x"}}, "/headers/Host"),
        ({"url": URL, "headers": {"X-A": "a\r\nX-B: b"}}, "/headers/X-A"),
        ({"url": URL, "headers": {"X A": "a"}}, "/headers/X A"),
        ({"url": URL, "headers": {"X-A": "a", "x-a": "b"}}, "/headers"),
        ({"url": URL, "headers": {"webhook-id": "x"}}, "/headers/webhook-id"),
        ({"url": URL, "headers": {"Nats-Msg-Id": "x"}}, "/headers/Nats-Msg-Id"),
        ({"url": URL, "headers": {"Authorization": "x"}, "auth": BASIC}, "/headers/authorization"),
        ({"url": URL, "order": {"by": "customer"}}, "/order/by"),
        ({"url": URL, "order": {"by": "/a~2"}}, "/order/by"),
        ({"url": URL, "rate": {"count": 0}}, "/rate/count"),
        ({"url": URL, "concurrency": 0}, "/concurrency"),
        ({"url": URL, "concurrency": 10_000}, "/concurrency"),
        ({"url": URL, "breaker": "closed"}, "/breaker"),
        ({"url": URL, "filter": "é" * 2049}, "/filter"),
        ({"url": URL, "filter": "payload.total >"}, "/filter"),
        ({"url": URL, "filter": "true\0"}, "/filter"),
        ({"url": URL, "transform": "function other() {}"}, "/transform"),
        ({"url": URL, "transform": "function transform(event) {"}, "/transform"),
        ({"url": URL, "transform": "function transform() {} // \0"}, "/transform"),
        ({"url": URL, "transform": "//" + "é" * 16_384}, "/transform"),
        ({"url": URL, "signing": "rsa"}, "/signing"),
        ({"url": URL, "credentials": {}}, "/credentials"),
        ({"url": URL, "disabled_at": None}, "/disabled_at"),
        ({"url": URL, "version": 7}, "/version"),
    ],
)
async def test_what_breaks_a_rule_says_where(
    alice: Any, fields: dict[str, Any], pointer: str
) -> None:
    answer = await alice.http.post("/v1/destinations", json={"name": "bad", **fields})
    assert answer.status_code == 422, answer.text
    assert pointer in [error["pointer"] for error in answer.json()["errors"]], answer.text
    assert SECRET not in answer.text


async def test_a_kind_and_a_signature_are_not_patched(alice: Any) -> None:
    made = await make(alice, url=URL)
    for fields in ({"kind": "inbox"}, {"signing": "ed25519"}, {"disabled_at": None}):
        answer = await alice.http.patch(f"/v1/destinations/{made['id']}", json=fields)
        assert answer.status_code == 422


async def test_the_moment_of_disabling_stays(alice: Any) -> None:
    made = await make(alice, url=URL)
    path = f"/v1/destinations/{made['id']}"
    assert made["disabled_at"] is None
    off = (await alice.http.post(f"{path}/disable")).json()
    assert off["disabled_at"] is not None
    on = (await alice.http.post(f"{path}/enable")).json()
    assert (on["state"], on["disabled_at"]) == ("enabled", off["disabled_at"])


async def test_a_public_key_is_shown_and_a_private_one_never(alice: Any) -> None:
    made = await make(alice, url=URL, signing="ed25519")
    assert (made["signing"], made["secret"]) == ("ed25519", None)
    (key,) = made["secrets"]
    assert key["public_key"].startswith("whpk_")
    path = f"/v1/destinations/{made['id']}"
    rotated = await alice.http.post(f"{path}/rotate-secret", json={})
    assert "whsk_" not in rotated.text
    new, old = rotated.json()["secrets"]
    assert old["public_key"] == key["public_key"] != new["public_key"]
    assert (await alice.http.get(path)).json()["secrets"] == [new, old]


async def test_another_way_to_sign_begins_without_an_overlap(alice: Any) -> None:
    made = await make(alice, url=URL)
    path = f"/v1/destinations/{made['id']}/rotate-secret"
    answer = await alice.http.post(path, json={"signing": "ed25519"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/overlap_s"
    changed = (await alice.http.post(path, json={"signing": "ed25519", "overlap_s": 0})).json()
    assert (changed["signing"], changed["secret"], len(changed["secrets"])) == ("ed25519", None, 1)
    assert changed["secrets"][0]["public_key"].startswith("whpk_")
    back = (await alice.http.post(path, json={"signing": "hmac", "overlap_s": 0})).json()
    assert back["secret"].startswith("whsec_")
    assert back["secrets"][0]["public_key"] is None
