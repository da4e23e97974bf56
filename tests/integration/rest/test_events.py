"""Events over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from crossdock import ids


async def listed(caller: Any, **query: Any) -> list[str]:
    answer = await caller.http.get("/v1/events", params=query)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def test_an_event_is_shown_as_it_came(new_tenant: Any, rows: Any) -> None:
    caller, source_id = await new_tenant(), ids.new()
    body = '{"n":"ü","n":2}\r\n'.encode()
    event_id = await rows.event(caller.tenant_id, source_id, body=body)
    path = f"/v1/events/{ids.encode('evt', event_id)}"
    found = (await caller.http.get(path)).json()
    assert found == {
        "id": ids.encode("evt", event_id),
        "source_id": ids.encode("src", source_id),
        "event_type": "invoice.paid",
        "provider_id": "p-1",
        "content_type": "application/json",
        "size": len(body),
        "received_at": found["received_at"],
        "status": "accepted",
        "violations": [],
        "schema_version": None,
        "encrypted": False,
        "matched": None,
        "headers": [["x-github-event", "push"]],
        "traceparent": "00-a-b-00",
        "payload": body.decode(),
        "payload_base64": None,
    }
    received = datetime.fromisoformat(found["received_at"])
    assert abs(datetime.now(UTC) - received) < timedelta(minutes=1)
    (item,) = (await caller.http.get("/v1/events")).json()["items"]
    rest = {"matched", "headers", "traceparent", "payload", "payload_base64"}
    assert item == {name: value for name, value in found.items() if name not in rest}


@pytest.mark.parametrize("body", [b"", b"\xff\x00\x01", bytes(range(256)) * 512, b"<script>"])
async def test_the_payload_has_the_exact_bytes_and_is_no_document(
    alice: Any, rows: Any, body: bytes
) -> None:
    event_id = ids.encode("evt", await rows.event(alice.tenant_id, body=body))
    answer = await alice.http.get(f"/v1/events/{event_id}/payload")
    assert answer.content == body
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == f'attachment; filename="{event_id}"'
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_bytes_that_are_no_text_are_shown_as_base64(alice: Any, rows: Any) -> None:
    event_id = ids.encode("evt", await rows.event(alice.tenant_id, body=b"\xff\xfe"))
    found = (await alice.http.get(f"/v1/events/{event_id}")).json()
    assert (found["payload"], found["payload_base64"]) == (None, "//4=")


async def test_a_duplicates_id_leads_to_its_event(alice: Any, rows: Any) -> None:
    alias_id = ids.new()
    event_id = await rows.event(alice.tenant_id, alias_id=alias_id)
    alias, own = ids.encode("evt", alias_id), ids.encode("evt", event_id)
    assert (await alice.http.get(f"/v1/events/{alias}")).json()["id"] == own
    assert (await alice.http.get(f"/v1/events/{alias}/payload")).status_code == 200
    assert (await alice.http.get(f"/v1/events/{alias}/deliveries")).status_code == 200


async def test_an_alias_of_another_tenant_leads_nowhere(alice: Any, bob: Any, rows: Any) -> None:
    alias_id = ids.new()
    await rows.event(alice.tenant_id, alias_id=alias_id)
    for rest in ("", "/payload", "/deliveries"):
        answer = await bob.http.get(f"/v1/events/{ids.encode('evt', alias_id)}{rest}")
        assert answer.status_code == 404


async def test_filters_hold_together(new_tenant: Any, rows: Any) -> None:
    caller = await new_tenant()
    first, second = ids.new(), ids.new()
    a = await rows.event(caller.tenant_id, first, event_type="order.paid")
    b = await rows.event(caller.tenant_id, first, event_type="order.made")
    c = await rows.event(caller.tenant_id, second, event_type="order.paid")
    a, b, c = (ids.encode("evt", key) for key in (a, b, c))
    source = ids.encode("src", first)
    assert await listed(caller) == [c, b, a]
    assert await listed(caller, source_id=source) == [b, a]
    assert await listed(caller, event_type="order.paid") == [c, a]
    assert await listed(caller, source_id=source, event_type="order.paid") == [a]
    assert await listed(caller, event_type="order.*") == []
    assert await listed(caller, source_id=ids.encode("src", ids.new())) == []


async def test_the_time_of_receipt_bounds_a_list(new_tenant: Any, rows: Any) -> None:
    caller = await new_tenant()
    now = datetime.now(UTC).replace(microsecond=0)
    moments = [now - timedelta(seconds=seconds) for seconds in (30, 20, 10)]
    # `ids.new` never goes back in time within a process, so these are made by hand.
    events = [
        await rows.event(caller.tenant_id, event_id=UUID(int=ids.floor(moment).int + number))
        for number, moment in enumerate(moments)
    ]
    a, b, c = (ids.encode("evt", key) for key in events)
    text = [moment.isoformat().replace("+00:00", "Z") for moment in moments]
    assert await listed(caller, received_after=text[1]) == [c, b]
    assert await listed(caller, received_before=text[1]) == [a]
    assert await listed(caller, received_after=text[0], received_before=text[2]) == [b, a]
    assert await listed(caller, received_after=text[2], received_before=text[0]) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("received_after", "2026-01-01T00:00:00"),
        ("received_after", "yesterday"),
        ("received_before", "99999-01-01T00:00:00Z"),
        ("source_id", "dst_01h455vb4pex5vsknk084sn02q"),
        ("source_id", "x"),
        ("event_type", "a\0b"),
        ("event_type", "a" * 129),
        ("event_typ", "order.paid"),
        ("limit", "0"),
        ("limit", "201"),
        ("limit", "ten"),
        ("limit", "-1"),
        ("limit", ""),
        ("cursor", "x"),
        ("cursor", "a" * 200),
        ("cursor", "\0"),
        ("tenant_id", "ten_01h455vb4pex5vsknk084sn02q"),
    ],
)
async def test_a_parameter_that_means_nothing_is_refused(alice: Any, name: str, value: str) -> None:
    answer = await alice.http.get("/v1/events", params={name: value})
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"?{name}"]


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1969-12-31T23:59:59Z"]
)
@pytest.mark.parametrize("name", ["received_after", "received_before"])
async def test_far_off_moments_are_just_far_off(alice: Any, name: str, moment: str) -> None:
    answer = await alice.http.get("/v1/events", params={name: moment})
    assert answer.status_code == 200, answer.text


async def test_a_parameter_given_twice_is_refused(alice: Any) -> None:
    answer = await alice.http.get("/v1/events?limit=1&limit=2")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "?limit"


async def test_what_nobody_wants_is_found_and_says_so(
    new_tenant: Any, rows: Any, admin: Any
) -> None:
    caller = await new_tenant()
    nobodys, wanted, kept_back = [
        await rows.event(caller.tenant_id, event_id=ids.new()) for _ in range(3)
    ]
    for event_id, matched in ((nobodys, 0), (wanted, 2)):
        await admin.execute(
            "UPDATE crossdock.events SET matched = $2 WHERE id = $1", event_id, matched
        )
    assert await listed(caller, matched="none") == [ids.encode("evt", nobodys)]
    assert len(await listed(caller)) == 3
    for event_id, told in ((nobodys, 0), (wanted, 2), (kept_back, None)):
        found = await caller.http.get(f"/v1/events/{ids.encode('evt', event_id)}")
        assert found.json()["matched"] == told
    answer = await caller.http.get("/v1/events", params={"matched": "all"})
    assert answer.status_code == 422
