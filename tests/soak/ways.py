"""What events go through in a soak: each way is a destination of one character, by event type."""

from typing import Any, Final, Literal, NamedTuple

Way = Literal[
    "plain", "moody", "slow", "ordered", "filtered", "unwanted", "transformed", "inbox", "down"
]

KEYS: Final = 40
"""Lines of a tenant that are kept in order."""
SLOW_S: Final = 0.25


class Share(NamedTuple):
    """How much of the traffic goes a way, and the destination that it meets."""

    weight: int
    """Of a hundred events."""
    options: dict[str, Any]


RETRY: Final[dict[str, Any]] = {"delays_s": [1, 2, 5, 10, 20, 30]}

WAYS: Final[dict[Way, Share]] = {
    "plain": Share(50, {}),
    # A breaker would rightly spare what fails so often; here the retries are wanted.
    "moody": Share(10, {"retry": RETRY, "breaker": "off"}),
    "slow": Share(5, {"retry": RETRY}),
    "ordered": Share(10, {"retry": RETRY, "order": {"by": "/key"}, "breaker": "off"}),
    "filtered": Share(8, {"filter": "payload.wanted && size(payload.serial) > 10"}),
    "unwanted": Share(4, {"filter": "payload.wanted && size(payload.serial) > 10"}),
    "transformed": Share(
        8,
        {
            "transform": "function transform(event) {"
            " return {payload: {serial: event.payload.serial, way: event.payload.way,"
            " size: event.payload.filling.length}}; }"
        },
    ),
    "inbox": Share(2, {"kind": "inbox"}),
    "down": Share(3, {"retry": {"delays_s": [1]}, "breaker": "off"}),
}
"""All ways together are a hundred."""


def destinations(url: str) -> list[dict[str, Any]]:
    """Return the destinations of a tenant whose endpoints are below a URL."""
    found = []
    for way, share in WAYS.items():
        if way == "unwanted":
            continue  # it is what the filter of `filtered` leaves out
        types = ["soak.filtered", "soak.unwanted"] if way == "filtered" else [f"soak.{way}"]
        wish: dict[str, Any] = {"name": way, "event_types": types}
        if way != "inbox":
            wish["url"] = f"{url}/{way}"
        found.append(wish | share.options)
    return found


def order_of(count: int) -> list[Way]:
    """Return the ways of so many events, each by its weight, well mixed."""
    owed: dict[Way, float] = dict.fromkeys(WAYS, 0.0)
    found: list[Way] = []
    for _ in range(count):
        for way, share in WAYS.items():
            owed[way] += share.weight / 100
        chosen = max(owed, key=lambda way: owed[way])
        owed[chosen] -= 1
        found.append(chosen)
    return found
