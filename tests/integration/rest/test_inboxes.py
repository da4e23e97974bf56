"""Inboxes over HTTP."""

from typing import Any
from uuid import UUID

from crossdock import ids

PNG = b"\x89PNG\r\n\x1a\n"


async def make(caller: Any, name: str, **fields: Any) -> str:
    body = {"name": name, "kind": "inbox", **fields}
    answer = await caller.http.post("/v1/destinations", json=body)
    assert answer.status_code == 201, answer.text
    return f"/v1/destinations/{answer.json()['id']}/inbox"


async def fill(admin: Any, caller: Any, path: str, *bodies: bytes) -> None:
    destination = ids.decode("dst", path.split("/")[3])
    for body in bodies:
        await admin.execute(
            "INSERT INTO crossdock.inbox_messages VALUES ($1, $2, $3, $4, '503', $5, $6)",
            caller.tenant_id,
            destination,
            ids.new(),
            UUID(int=7 << 76),
            b'[["content-type","text/plain"]]',
            body,
        )


async def test_what_came_is_listed_in_pages_and_emptied(alice: Any, admin: Any) -> None:
    path = await make(alice, "an inbox with pages")
    await fill(admin, alice, path, b"one", PNG, b"three")
    first = (await alice.http.get(path, params={"limit": 2})).json()
    assert [item["body"] for item in first["items"]] == ["three", None]
    assert first["items"][0].keys() == {
        "id",
        "event_id",
        "received_at",
        "outcome",
        "headers",
        "body",
        "body_base64",
    }
    assert first["items"][0]["id"].startswith("msg_")
    assert first["items"][0]["headers"] == [["content-type", "text/plain"]]
    assert first["items"][1]["body_base64"] == "iVBORw0KGgo="
    rest = await alice.http.get(path, params={"cursor": first["next_cursor"]})
    assert [item["body"] for item in rest.json()["items"]] == ["one"]
    assert (await alice.http.delete(path)).status_code == 204
    assert (await alice.http.get(path)).json() == {"items": [], "next_cursor": None}


async def test_a_cursor_is_of_its_own_inbox(alice: Any, admin: Any) -> None:
    path = await make(alice, "an inbox with a cursor")
    other = await make(alice, "another inbox")
    await fill(admin, alice, path, b"1", b"2")
    cursor = (await alice.http.get(path, params={"limit": 1})).json()["next_cursor"]
    assert (await alice.http.get(other, params={"cursor": cursor})).status_code == 422


async def test_an_inbox_is_its_tenants_and_others_show_nothing(
    alice: Any, bob: Any, admin: Any
) -> None:
    path = await make(alice, "an inbox of alice's")
    await fill(admin, alice, path, b"1")
    assert (await bob.http.get(path)).status_code == 404
    assert (await bob.http.delete(path)).status_code == 404
    assert len((await alice.http.get(path)).json()["items"]) == 1
    plain = {"name": "no inbox", "url": "https://example.com/"}
    made = (await alice.http.post("/v1/destinations", json=plain)).json()
    answer = await alice.http.get(f"/v1/destinations/{made['id']}/inbox")
    assert answer.json() == {"items": [], "next_cursor": None}
