"""Every route that changes something takes a key: each is asked for the same twice."""

from typing import Any, Final

import httpx
import pyotp
import pytest
from litestar import Litestar

from crossdock import ids
from gateway.idempotency import UNSAFE, changing, declaration
from tests.beds.routes import handlers, name_of

PASSWORD: Final = "correct horse battery staple"
OTHER: Final = "staple battery horse correct"
REASON: Final = {"reason": "A test."}
URL: Final = "https://example.com/hooks"


class Walk:
    """Asks twice, and notes which handlers it has asked."""

    def __init__(self, app: Litestar) -> None:
        self._routes = [
            (method, path.split("/"), name_of(handler)) for method, path, handler in handlers(app)
        ]
        self.walked: set[str] = set()

    async def twice(
        self,
        http: httpx.AsyncClient,
        method: str,
        path: str,
        body: Any = None,
        *,
        status: int = 200,
        again: int | None = None,
    ) -> Any:
        """Send the same request twice; return what it answered.

        Args:
            http: whose.
            method: of the request.
            path: likewise.
            body: likewise, as JSON.
            status: which answer is right.
            again: and the second time, where that is another one.
        """
        name = self._name(method, path)
        self.walked.add(name)
        options = {"headers": {"idempotency-key": f"walk-{name}"}}
        if body is not None:
            options["json"] = body
        first = await http.request(method, path, **options)  # type: ignore[arg-type]
        assert first.status_code == status, (name, first.text)
        second = await http.request(method, path, **options)  # type: ignore[arg-type]
        assert second.status_code == (again or status), (name, second.text)
        # Of strangers no refusal is kept.
        is_kept = again is None and first.is_success
        assert ("idempotency-replayed" in second.headers) == is_kept, name
        if is_kept:
            assert second.content == first.content, name
            for header in ("location", "etag", "content-type"):
                assert second.headers.get(header) == first.headers.get(header), (name, header)
        return first.json() if first.content else None

    def _name(self, method: str, path: str) -> str:
        steps = path.split("/")
        fits = [
            (sum(step.startswith("{") for step in route), name)
            for verb, route, name in self._routes
            if verb == method
            and len(route) == len(steps)
            and all(
                step == there or there.startswith("{")
                for step, there in zip(steps, route, strict=True)
            )
        ]
        return min(fits)[1]


@pytest.fixture(scope="module")
def walk(app: Litestar) -> Walk:
    return Walk(app)


@pytest.fixture(scope="module")
async def owner(alice: Any, crowd: Any, connect: Any, identity: Any, admin: Any) -> Any:
    """A person with a password, and everything they may."""
    member = await crowd.user(alice.tenant_id, "owner")
    await admin.execute(
        "UPDATE crossdock.users SET password_hash = $2 WHERE id = $1",
        member.id,
        await identity.hasher.hash(PASSWORD),
    )
    return connect(member.token)


async def test_sources(alice: Any, walk: Walk) -> None:
    body = {"name": "walked", "scheme": "stripe"}
    source = await walk.twice(alice.http, "POST", "/v1/sources", body, status=201)
    path = f"/v1/sources/{source['id']}"
    await walk.twice(alice.http, "PATCH", path, {"name": "renamed"})
    wish = {"source_id": source["id"], "sample": "charge-succeeded"}
    await walk.twice(alice.http, "POST", "/v1/simulations", wish)
    # There is no broker behind these tests, so no event: what is kept is that answer.
    await walk.twice(alice.http, "POST", f"{path}/test", {"sample": "invoice-paid"})
    await walk.twice(alice.http, "POST", f"{path}/pause")
    await walk.twice(alice.http, "POST", f"{path}/resume")
    rotated = await walk.twice(alice.http, "POST", f"{path}/rotate-secret", {})
    assert len(rotated["secrets"]) == 2, "It was rotated once."
    old = next(one["id"] for one in rotated["secrets"] if one["ends_at"])
    await walk.twice(alice.http, "DELETE", f"{path}/secrets/{old}", status=204)
    await walk.twice(alice.http, "DELETE", path, status=204)


async def test_event_types(alice: Any, walk: Walk) -> None:
    body = {"name": "walked", "schema": {"type": "object"}}
    made = await walk.twice(alice.http, "POST", "/v1/event-types", body, status=201)
    path = f"/v1/event-types/{made['id']}"
    changed = await walk.twice(alice.http, "PATCH", path, {"schema": {}, "mode": "warn"})
    assert changed["latest_version"] == 2, "It was changed once."
    await walk.twice(alice.http, "DELETE", path, status=204)


async def test_events(alice: Any, walk: Walk, rows: Any, admin: Any) -> None:
    for what in ("release", "drop"):
        event = await rows.event(alice.tenant_id)
        await admin.execute(
            "UPDATE crossdock.events SET status = 'quarantined' WHERE id = $1", event
        )
        await walk.twice(alice.http, "POST", f"/v1/events/{ids.encode('evt', event)}/{what}")
    # There is no broker behind these tests, so nothing is published.
    body = {"id": "walked", "event_type": "a", "payload": 1}
    await walk.twice(alice.http, "POST", "/v1/events", body, status=503)
    await walk.twice(alice.http, "POST", "/v1/events/batch", {"events": [body]}, status=503)


async def test_destinations_and_deliveries(alice: Any, walk: Walk, rows: Any) -> None:
    body = {"name": "walked", "url": URL}
    made = await walk.twice(alice.http, "POST", "/v1/destinations", body, status=201)
    path = f"/v1/destinations/{made['id']}"
    await walk.twice(alice.http, "PATCH", path, {"name": "renamed"})
    await walk.twice(alice.http, "POST", f"{path}/disable")
    await walk.twice(alice.http, "POST", f"{path}/enable")
    await walk.twice(alice.http, "POST", f"{path}/rotate-secret", {})
    quiet = {"name": "an inbox", "kind": "inbox", "event_types": ["none"]}
    inbox = (await alice.http.post("/v1/destinations", json=quiet)).json()
    await walk.twice(alice.http, "DELETE", f"/v1/destinations/{inbox['id']}/inbox", status=204)
    event = await rows.event(alice.tenant_id)
    dead = await rows.delivery(alice.tenant_id, event, ids.decode("dst", made["id"]))
    delivery = f"/v1/deliveries/{ids.encode('dlv', dead)}"
    await walk.twice(alice.http, "POST", f"{delivery}/replay", status=201)
    await walk.twice(
        alice.http, "POST", f"/v1/events/{ids.encode('evt', event)}/replay", status=201
    )
    other = await rows.delivery(alice.tenant_id, event, ids.decode("dst", made["id"]))
    some = {"ids": [ids.encode("dlv", other)]}
    await walk.twice(alice.http, "POST", "/v1/deliveries/replay", some)
    replay = await walk.twice(alice.http, "POST", "/v1/replays", {}, status=201)
    for change in ("pause", "resume", "cancel"):
        await walk.twice(alice.http, "POST", f"/v1/replays/{replay['id']}/{change}")
    deliveries = (await alice.http.get("/v1/deliveries")).json()["items"]
    assert len(deliveries) == 5, "Two dead ones, and one for each replay."
    pending = [one["id"] for one in deliveries if one["state"] == "pending"]
    await walk.twice(alice.http, "POST", f"/v1/deliveries/{pending[0]}/cancel")
    await walk.twice(alice.http, "POST", "/v1/deliveries/cancel", {"ids": pending[1:2]})
    left = await walk.twice(alice.http, "POST", f"{path}/cancel-pending")
    assert left == {"cancelled": len(pending) - 2, "has_more": False}
    sample = {"event_type": "a.b", "payload": {"total": 1}}
    trial = {"filter": "payload.total > 0", "sample": sample}
    await walk.twice(alice.http, "POST", "/v1/routing/dry-run", trial)
    await walk.twice(alice.http, "DELETE", path, status=204)


async def test_keys_roles_and_people(
    alice: Any, owner: httpx.AsyncClient, walk: Walk, crowd: Any
) -> None:
    body: dict[str, Any] = {"name": "walked", "permissions": ["events:read"]}
    key = await walk.twice(owner, "POST", "/v1/api-keys", body, status=201)
    turned = await walk.twice(
        owner, "POST", f"/v1/api-keys/{key['id']}/rotate", {"overlap_s": 60}, status=201
    )
    await walk.twice(owner, "DELETE", f"/v1/api-keys/{turned['id']}", status=204)
    role = await walk.twice(owner, "POST", "/v1/roles", body, status=201)
    path = f"/v1/roles/{role['id']}"
    await walk.twice(owner, "PATCH", path, {"description": "x"})
    await walk.twice(owner, "DELETE", path, status=204)
    invited = {"email": f"i-{ids.new().hex}@example.com", "roles": ["viewer"]}
    made = await walk.twice(owner, "POST", "/v1/invitations", invited, status=201)
    await walk.twice(owner, "DELETE", f"/v1/invitations/{made['id']}", status=204)
    member = await crowd.user(alice.tenant_id, "viewer")
    await walk.twice(owner, "PATCH", member.path, {"name": "Renamed"})
    await walk.twice(owner, "DELETE", f"{member.path}/sessions", status=204)
    await walk.twice(owner, "DELETE", member.path, status=204)
    await walk.twice(owner, "PATCH", "/v1/tenant", {"name": "Renamed"})
    await walk.twice(owner, "PATCH", "/v1/alerts/settings", {"failing_after_s": 60})
    await walk.twice(owner, "POST", "/v1/alerts/test", {"ways": ["mail"]}, status=202)


async def test_operators(alice: Any, crowd: Any, connect: Any, walk: Walk, owner: Any) -> None:
    boss = connect((await crowd.operator()).token)
    body = {"name": "Walked", "slug": f"w-{ids.new().hex[-20:]}"}
    tenant = await walk.twice(boss, "POST", "/v1/admin/tenants", body, status=201)
    path = f"/v1/admin/tenants/{tenant['id']}"
    await walk.twice(boss, "PATCH", f"{path}/quota", {"plan": "free"})
    await walk.twice(boss, "POST", f"{path}/suspend", REASON)
    await walk.twice(boss, "POST", f"{path}/resume", {})
    await walk.twice(boss, "POST", f"{path}/terminate", REASON)
    inside = f"/v1/admin/tenants/{ids.encode('ten', alice.tenant_id)}/support"
    opened = await walk.twice(boss, "POST", inside, REASON | {"minutes": 5}, status=201)
    here = f"{inside}/{opened['support_id']}"
    await walk.twice(boss, "POST", f"{here}/token", status=201)
    await walk.twice(boss, "DELETE", here, status=204)
    end = f"/v1/support-accesses/{opened['support_id']}"
    await walk.twice(owner, "DELETE", end, status=204)


async def test_strangers(anonymous: httpx.AsyncClient, walk: Walk) -> None:
    address = f"s-{ids.new().hex}@example.com"
    form = {"email": address, "password": PASSWORD, "name": "N", "tenant_name": "T"}
    await walk.twice(anonymous, "POST", "/v1/signup", form, status=202)
    token = {"token": "x" * 43}
    await walk.twice(anonymous, "POST", "/v1/signup/verify", token, status=422)
    await walk.twice(anonymous, "POST", "/v1/auth/password/reset", {"email": address}, status=202)
    reset = token | {"new_password": OTHER}
    await walk.twice(anonymous, "POST", "/v1/auth/password/reset/confirm", reset, status=401)
    accepted = token | {"name": "N", "password": PASSWORD}
    await walk.twice(anonymous, "POST", "/v1/invitations/accept", accepted, status=422)


async def test_ones_own_account(owner: httpx.AsyncClient, walk: Walk, connect: Any) -> None:
    secret = {"password": PASSWORD}
    seed = await walk.twice(owner, "POST", "/v1/auth/totp", secret)
    code = {"code": pyotp.TOTP(seed["secret"]).now()}
    first = (await walk.twice(owner, "POST", "/v1/auth/totp/confirm", code))["recovery_codes"]
    renewal = secret | {"code": first[0]}
    fresh = await walk.twice(owner, "POST", "/v1/auth/totp/recovery-codes", renewal)
    ending = secret | {"code": fresh["recovery_codes"][0]}
    await walk.twice(owner, "POST", "/v1/auth/totp/disable", ending, status=204)
    change = {"current_password": PASSWORD, "new_password": OTHER}
    # Both end the session that they come by, so the same token is no good for asking again.
    pair = await walk.twice(owner, "POST", "/v1/auth/password", change, again=401)
    person = connect(pair["access_token"])
    sessions = (await person.get("/v1/auth/sessions")).json()["items"]
    await walk.twice(
        person, "DELETE", f"/v1/auth/sessions/{sessions[0]['id']}", status=204, again=401
    )
    other = connect(pair["access_token"])
    assert (await other.post("/v1/auth/logout")).status_code == 401


async def test_one_signs_out(alice: Any, crowd: Any, connect: Any, walk: Walk) -> None:
    person = connect((await crowd.user(alice.tenant_id, "viewer")).token)
    await walk.twice(person, "POST", "/v1/auth/logout", status=204, again=401)


def test_no_route_was_left_out(app: Litestar, walk: Walk) -> None:
    wanted = {
        name_of(handler)
        for handler in changing(app)
        if handler.http_methods & UNSAFE and not isinstance(declaration(handler), str)
    }
    assert walk.walked == wanted
