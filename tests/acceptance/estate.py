"""A tenant that has one of everything, and everybody of other tenants who might ask for it."""

import re
from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple

from crossdock.samples.sender import new_serial
from tests.acceptance.house import Door, House
from tests.acceptance.identity.people import Person, Town, email
from tests.acceptance.identity.problems import ok
from tests.acceptance.openapi import Operation
from tests.faults.rest import Rest
from tests.faults.waiting import until

TRACES: Final = {"last_used_at"}
"""What only says that its owner asked."""

EVERYBODYS: Final = {"number": "1", "preset_name": "stripe"}
"""What paths name that is no id, and says nothing of whose it is."""


class Estate(NamedTuple):
    """A tenant that has one of everything."""

    house: House
    owner: Rest
    """Somebody who may see and change all of it."""
    door: Door
    ids: dict[str, str]
    """By the name of a path's parameter."""
    dead: str

    @property
    def own(self) -> set[str]:
        """Ids that nobody else has."""
        return {text for name, text in self.ids.items() if name not in EVERYBODYS}


class Stranger(NamedTuple):
    """One who has some right somewhere else."""

    kind: Literal["key", "user", "support", "operator"]
    rest: Rest
    permissions: frozenset[str]

    def may(self, operation: Operation) -> bool:
        """Tell whether it may use the route at all, with ids of its own."""
        if operation.access == "operator":
            return self.kind == "operator" and operation.permissions <= self.permissions
        if operation.access == "user":
            return self.kind in {"user", "operator"}
        changes = operation.method != "GET"
        return operation.permissions <= self.permissions and not (changes and self.is_guest)

    @property
    def is_guest(self) -> bool:
        """Whether it is an operator inside a tenant, who looks and changes nothing."""
        return self.kind == "support"


async def join(house: House, town: Town, role: str) -> Person:
    """Return somebody new in a tenant, signed in."""
    address = email(role)
    await house.rest.post("/v1/invitations", {"email": address, "roles": [role]})
    return await town.accept(address)


async def enter(operator: Person, tenant_id: str) -> Any:
    """Return an operator's new support access to a tenant."""
    body = {"reason": "Somebody asked for it.", "minutes": 10}
    return ok(await operator.rest.post(f"/v1/admin/tenants/{tenant_id}/support", body), 201)


async def stranger(kind: Literal["key", "user", "support", "operator"], rest: Rest) -> Stranger:
    """Return who that is."""
    me = await rest.get("/v1/auth/me")
    return Stranger(kind, rest, frozenset(me["permissions"]))


async def settle(house: House, town: Town, operator: Person) -> Estate:
    """Return a tenant that has one of everything from now on."""
    owner = await join(house, town, "owner")
    colleague = await join(house, town, "viewer")
    door = await house.door("stripe")
    await house.rest.post(f"/v1/sources/{door.source['id']}/rotate-secret", {})
    source = await house.rest.get(f"/v1/sources/{door.source['id']}")
    path = f"/{new_serial()}"
    house.receiver.answer(path, lambda _event, _earlier: 500)
    destination = await house.destination(path, retry={"count": 0})
    event_id = await door.accepted()
    dead = await house.settled(event_id, "dead")
    old = next(secret for secret in source["secrets"] if secret["ends_at"])
    made = {
        name: (await house.rest.post(path, body))["id"]
        for name, path, body in (
            ("key_id", "/v1/api-keys", {"name": "k", "permissions": ["sources:read"]}),
            ("event_type_id", "/v1/event-types", {"name": "t", "schema": {}}),
            ("role_id", "/v1/roles", {"name": "r", "permissions": ["sources:read"]}),
            ("invitation_id", "/v1/invitations", {"email": email(), "roles": ["viewer"]}),
        )
    }
    tried = await house.rest.post("/v1/alerts/test", {"ways": ["webhook"]})
    ids = (
        made
        | {
            "replay_id": (await house.replay({"reason": "no_such_reason"}))["id"],
            "tenant_id": house.id,
            "source_id": source["id"],
            "secret_id": old["id"],
            "destination_id": destination["id"],
            "event_id": event_id,
            "delivery_id": dead["id"],
            "user_id": colleague.id,
            "session_id": owner.session.id,
            "support_id": (await enter(operator, house.id))["support_id"],
            "alert_id": tried["alert"]["id"],
        }
        | EVERYBODYS
    )

    async def is_done() -> bool:
        return bool((await house.rest.get(f"/v1/replays/{ids['replay_id']}"))["state"] == "done")

    async def is_counted() -> bool:
        usage = (await house.rest.get("/v1/tenant/usage"))["usage"]
        return bool(usage["events_per_day"]["used"])

    await until(is_done, "an end of the replay")
    await until(is_counted, "a day's count of events")
    return Estate(house, house.stack.rest(owner.session.access), door, ids, dead["id"])


def lists(all_operations: Iterable[Operation]) -> list[Operation]:
    """Return what a tenant's people may look at without naming an id."""
    return [
        operation
        for operation in all_operations
        if operation.method == "GET"
        and not operation.parameters
        and operation.access in {"permissions", "user"}
    ]


async def belongings(owner: Rest, all_operations: list[Operation]) -> dict[str, Any]:
    """Return everything a tenant has, as it is shown to its owner."""
    paths = [operation.path for operation in all_operations if operation.method == "GET"]
    found: dict[str, Any] = {}
    for operation in lists(all_operations):
        path = operation.path
        shown = await owner.get(path)
        if "items" not in shown:
            found[path] = shown
            continue
        whole = re.compile(re.escape(path) + r"/\{\w+\}")
        is_whole = not any(whole.fullmatch(other) for other in paths)
        for item in await owner.all(path):
            one = f"{path}/{item['id'] if 'id' in item else item['name']}"
            told = item if is_whole else await owner.get(one)
            found[one] = {name: value for name, value in told.items() if name not in TRACES}
    return found
