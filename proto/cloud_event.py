"""The headers of a message on EVENTS: a CloudEvent 1.0 in NATS' binary mode, and what each says."""

from typing import Any, Final

_EVENT_ID: Final = "^evt_[0-7][0-9a-hjkmnp-tv-z]{25}$"
_PATH: Final = "^/tenants/ten_[0-9a-hjkmnp-tv-z]{26}/sources/src_[0-9a-hjkmnp-tv-z]{26}$"

HEADERS: Final[dict[str, dict[str, Any]]] = {
    "ce-specversion": {
        "type": "string",
        "const": "1.0",
        "description": "The version of CloudEvents.",
    },
    "ce-id": {
        "type": "string",
        "pattern": _EVENT_ID,
        "description": "The event's id, the one that its sender was answered with. Two messages"
        " with the same are the same event: do its work once.",
    },
    "ce-source": {
        "type": "string",
        "pattern": _PATH,
        "description": "Whose event it is, and by which source it came.",
    },
    "ce-type": {
        "type": "string",
        "minLength": 1,
        "maxLength": 128,
        "description": "The type as the provider names it; `untyped` where it names none.",
    },
    "ce-time": {
        "type": "string",
        "format": "date-time",
        "description": "When it was accepted, in UTC.",
    },
    "ce-sequence": {
        "type": "string",
        "pattern": "^[0-9]+$",
        "description": "Its place in the order in which its shard accepted events. It grows, with"
        " gaps: the shard's tenants share one count, and duplicates use it up. All events of one"
        " tenant are on one shard. Messages may come in another order than this.",
    },
    "ce-datacontenttype": {
        "type": "string",
        "description": "The media type of the payload, as the provider said it;"
        " `application/octet-stream` where it said none.",
    },
    "ce-dataref": {
        "type": "string",
        "pattern": "^/v1/events/evt_[0-9a-z]{26}/payload$",
        "description": "Where the payload is, if it is large or encrypted at rest; the message is"
        " then empty. GET it from the REST API with a key that may `events:read`.",
    },
    "content-type": {
        "type": "string",
        "description": "As `ce-datacontenttype`, for readers that know no CloudEvents. Absent where"
        " the message is empty, or the provider's own is `application/cloudevents…`.",
    },
    "traceparent": {
        "type": "string",
        "description": "W3C Trace Context of the request that brought it.",
    },
    "crossdock-republished": {
        "type": "string",
        "const": "true",
        "description": "It was announced before; `crossdock events republish` put it here again.",
    },
    "Nats-Msg-Id": {
        "type": "string",
        "description": "For the broker: the `ce-id`, and a suffix where it was republished.",
    },
}
"""In the order in which they are worth reading."""

ALWAYS: Final = (
    "ce-specversion",
    "ce-id",
    "ce-source",
    "ce-type",
    "ce-time",
    "ce-sequence",
    "ce-datacontenttype",
    "traceparent",
    "Nats-Msg-Id",
)
"""Those that every message has."""

POISON_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "crossdock-reason": {"type": "string", "description": "Why nobody could store it."},
    "crossdock-stream-seq": {"type": "string", "description": "Which message of INGEST it was."},
    "crossdock-size": {
        "type": "string",
        "description": "How many bytes it had; of a very large one only the beginning is kept.",
    },
}
"""Of a message on POISON."""


def schema() -> dict[str, Any]:
    """Return the schema of the headers of a message on EVENTS."""
    return {"type": "object", "required": list(ALWAYS), "properties": HEADERS}


def delivered_schema() -> dict[str, Any]:
    """Return the schema of the headers of a message on OUT: an event for one destination.

    Its place in the order of events is not said, for others have come between. What a
    destination's script adds stands beside these.
    """
    left_out = {"ce-sequence", "crossdock-republished"}
    properties = {name: about for name, about in HEADERS.items() if name not in left_out}
    properties["Nats-Msg-Id"] = {
        "type": "string",
        "pattern": "^dlv_[0-7][0-9a-hjkmnp-tv-z]{25}$",
        "description": "For the broker: the delivery's id, the same for each of its attempts.",
    }
    required = [name for name in ALWAYS if name not in left_out]
    return {"type": "object", "required": required, "properties": properties}
