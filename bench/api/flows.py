"""What a tenant's programs do: each flow a believable sequence of calls."""

import random
import time
from collections.abc import Callable
from typing import Any, Final

from bench.api.caller import Caller, fresh
from crossdock.samples.sender import Composer, new_serial

SECRET: Final = "whsec_a_secret_of_the_bench"

_doors: Final[list[tuple[str, Composer]]] = []
"""Sources that webhooks are sent to, by their paths; made once, shared by all users."""


def door(user: Caller) -> tuple[str, Composer]:
    """Return a source that takes webhooks, and who signs for it."""
    if not _doors:
        body = {"name": fresh("door"), "scheme": "stripe", "secrets": [SECRET]}
        made = user.call("create_source", body=body, token=user.plan.key)
        wish = {"name": fresh("good"), "url": f"{user.plan.sink}/ok", "source_ids": [made["id"]]}
        user.call("create_destination", body=wish, token=user.plan.key)
        refused: dict[str, Any] = {
            "name": fresh("bad"),
            "url": f"{user.plan.sink}/fail",
            "source_ids": [made["id"]],
            "retry": {"delays_s": [1], "final_statuses": [400]},
        }
        user.call("create_destination", body=refused, token=user.plan.key)
        path = "/in/" + made["ingest_url"].rpartition("/")[2]
        _doors.append((path, Composer("stripe", user.host + path, SECRET)))
        time.sleep(1.0)  # noqa: TID251 - gevent's; until the gateway's memory has the source
    return _doors[0]


def webhooks(user: Caller) -> None:
    """Send some webhooks."""
    path, composer = door(user)
    for _ in range(5):
        webhook = composer.compose(new_serial())
        headers = webhook.headers | {"X-Forwarded-For": user.address}
        user.send("receive_webhook", "POST", path, headers=headers, content=webhook.body.decode())


def handshake(user: Caller) -> None:
    """Subscribe, as Meta's platforms do."""
    body = {"name": fresh(), "scheme": "github", "recipe": {"verify_token": "a-token"}}
    made = user.call("create_source", body=body, token=user.plan.key)
    path = "/in/" + made["ingest_url"].rpartition("/")[2]
    time.sleep(1.0)  # noqa: TID251 - gevent's; until the gateway's memory has the source
    query = "?hub.mode=subscribe&hub.verify_token=a-token&hub.challenge=17"
    headers = {"X-Forwarded-For": user.address}
    user.send("answer_handshake", "GET", path + query, headers=headers)
    user.call("delete_source", made["id"], token=user.plan.key)


def events(user: Caller) -> None:
    """Look at what came in."""
    key = user.plan.key
    page = user.call("list_events", token=key, query="?limit=50")
    if page["next_cursor"]:
        user.call("list_events", token=key, query=f"?limit=50&cursor={page['next_cursor']}")
    for event in page["items"][:2]:
        user.call("get_event", event["id"], token=key)
        user.call("get_event_payload", event["id"], token=key)
        user.call("list_event_deliveries", event["id"], token=key)


def deliveries(user: Caller) -> None:
    """Look at what became of it."""
    key = user.plan.key
    page = user.call("list_deliveries", token=key, query="?state=delivered&limit=50")
    dead = user.call("list_dead_letters", token=key, query="?limit=50")
    for one in page["items"][:1]:
        user.call("get_delivery", one["id"], token=key)
    for one in dead["items"][:1]:
        user.call("get_dead_letter", one["id"], token=key)


def replays(user: Caller) -> None:
    """Deliver again."""
    key = user.plan.key
    page = user.call("list_deliveries", token=key, query="?state=delivered&limit=50")
    if not page["items"]:
        return
    one = random.choice(page["items"])  # noqa: S311 - any of them
    user.call("replay_delivery", one["id"], token=key, expected={409})
    some = {"ids": [found["id"] for found in page["items"][:5]]}
    user.call("replay_deliveries", body=some, token=key)
    user.call("replay_event", one["event_id"], token=key)
    wish = {"state": "dead", "last_status": 599}
    made = user.call("create_replay", body=wish, token=key)
    user.call("get_replay", made["id"], token=key)
    user.call("list_replays", token=key)
    user.call("cancel_replay", made["id"], token=key, expected={409})


def sources(user: Caller) -> None:
    """Set a source up, change it, and throw it away."""
    key = user.plan.key
    body = {"name": fresh(), "scheme": "stripe", "secrets": [SECRET]}
    made = user.call("create_source", body=body, token=key)["id"]
    user.call("get_source", made, token=key)
    user.call("patch_source", made, body={"name": fresh()}, token=key)
    user.call("pause_source", made, token=key)
    user.call("resume_source", made, token=key)
    rotated = user.call("rotate_source_secret", made, body={"overlap_s": 600}, token=key)
    user.call("revoke_source_secret", made, rotated["secrets"][-1]["id"], token=key)
    user.call("delete_source", made, token=key)


def destinations(user: Caller) -> None:
    """Set a destination up, change it, and throw it away."""
    key = user.plan.key
    wish = {"name": fresh(), "url": f"{user.plan.sink}/ok", "event_types": ["nothing.ever"]}
    made = user.call("create_destination", body=wish, token=key)["id"]
    user.call("get_destination", made, token=key)
    user.call("patch_destination", made, body={"timeout_s": 5}, token=key)
    user.call("disable_destination", made, token=key)
    user.call("enable_destination", made, token=key)
    user.call("rotate_destination_secret", made, body={}, token=key)
    user.call("delete_destination", made, token=key)


def browse(user: Caller) -> None:
    """Look around."""
    key = user.plan.key
    for operation in (
        *("get_me", "list_sources", "list_destinations", "get_tenant", "get_tenant_usage"),
        *("list_alerts", "list_audit", "list_api_keys", "list_roles", "list_users"),
    ):
        user.call(operation, token=key)


def keys(user: Caller) -> None:
    """Make a key, look with it, change it for another."""
    key = user.plan.key
    body = {"name": fresh(), "permissions": ["events:read"]}
    made = user.call("create_api_key", body=body, token=key)
    user.call("list_events", token=made["key"], query="?limit=5")
    user.call("get_api_key", made["id"], token=key)
    other = user.call("rotate_api_key", made["id"], body={"overlap_s": 60}, token=key)
    user.call("revoke_api_key", other["id"], token=key)
    user.call("revoke_api_key", made["id"], token=key)


def roles(user: Caller) -> None:
    """Make a role, change it, and throw it away."""
    key = user.plan.key
    body = {"name": fresh("r"), "permissions": ["events:read"]}
    made = user.call("create_role", body=body, token=key)["id"]
    user.call("get_role", made, token=key)
    user.call("patch_role", made, body={"description": "of the bench"}, token=key)
    user.call("delete_role", made, token=key)


def probes(user: Caller) -> None:
    """Ask how it is, as those do who balance loads and verify tokens."""
    for operation in ("get_liveness", "get_readiness", "get_components", "get_jwks"):
        user.call(operation)


def rename(user: Caller) -> None:
    """Change the tenant itself."""
    user.call("patch_tenant", body={"name": fresh("Tenant")}, token=user.plan.key)


Flow = Callable[[Caller], Any]
FLOWS: Final[dict[Flow, int]] = {
    webhooks: 40,
    events: 20,
    deliveries: 15,
    browse: 15,
    sources: 5,
    destinations: 5,
    replays: 3,
    keys: 3,
    roles: 2,
    probes: 8,
    rename: 1,
    handshake: 1,
}
"""How often each comes, to one another."""
