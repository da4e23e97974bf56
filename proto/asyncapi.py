"""The AsyncAPI 3 document: everything that Crossdock says on NATS, for whoever reads along."""

from typing import Any, Final

from proto import cloud_event, schemas, subjects

VERSION: Final = "3.0.0"
MESSAGEPACK: Final = "application/vnd.msgpack"
JSON_SCHEMA: Final = "application/schema+json;version=draft-2020-12"

_ABOUT: Final = """\
What Crossdock's processes say to each other, and to internal consumers, on NATS.

EVENTS is for you: see docs/consumers.md for how to read it well, and `crossdock nats user add` for
the right to. All other channels are Crossdock's own: described so that operators can look into
them, and held to the same promise of compatibility, but nobody else's to write to.

That promise: fields and headers are only added, at the end, with defaults; a subject, a header or a
tag keeps its meaning; what can't be kept so gets a new tag (`ingested.v2`) and travels beside the
old one for a release."""

_TENANT: Final = {"description": "The tenant's id, `ten_…`."}
_SOURCE: Final = {"description": "The source's id, `src_…`."}
_TYPE: Final = {
    "description": "The event's type, one token for each of its parts between dots, so that"
    " `events.*.*.invoice.>` works. `-` where it has none; characters that a subject can't have are"
    " percent-encoded.",
    "examples": ["invoice.paid", "-"],
}
_SHARD: Final = {"description": "The number of the shard.", "examples": ["0"]}


def document(version: str) -> dict[str, Any]:
    """Return the document of a release."""
    return {
        "asyncapi": VERSION,
        "id": "urn:crossdock:nats",
        "info": {
            "title": "Crossdock on NATS",
            "version": version,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": MESSAGEPACK,
        "servers": {
            "nats": {
                "host": "{host}:{port}",
                "protocol": "nats",
                "description": "The installation's NATS server, or any of a cluster.",
                "variables": {"host": {"default": "127.0.0.1"}, "port": {"default": "4222"}},
            }
        },
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": _messages(), "schemas": _components()},
    }


def _channels() -> dict[str, Any]:
    return {
        "events": _channel(
            "events.{tenant}.{source}.{type}",
            "Accepted events, for internal consumers. Kept by the stream"
            f" {subjects.EVENTS_STREAM} up to its size, oldest dropped first.",
            ["event"],
            tenant=_TENANT,
            source=_SOURCE,
            type=_TYPE,
        ),
        "out": _channel(
            "out.{tenant}.{subject}",
            "Events delivered to a tenant's destinations on NATS, as CloudEvents. Kept by the"
            f" stream {subjects.OUT_STREAM} up to its size, oldest dropped first.",
            ["delivered"],
            tenant=_TENANT,
            subject={
                "description": "What the destination's owner chose: one or more tokens.",
                "examples": ["orders", "orders.eu"],
            },
        ),
        "ingest": _channel(
            "ingest.{shard}",
            "Accepted webhooks on their way to PostgreSQL, in the stream"
            f" {subjects.INGEST_STREAM}, which refuses when it is full. For workers alone.",
            ["ingested.v1"],
            shard=_SHARD,
        ),
        "poison": _channel(
            subjects.POISONED_INGEST,
            "Messages of ingest that could never be stored, each with the reason; kept for 30 days"
            f" by the stream {subjects.POISON_STREAM}.",
            ["poison"],
        ),
        "settings": _channel(
            "$KV.SETTINGS_{shard}.{key}",
            "What gateways must know of sources, tenants, sessions and event types: one key-value"
            " bucket a shard. Of two values of a key the higher version counts.",
            ["source.v1", "tenant.v1", "session.v1", "user.v1", "type.v1", "beat.v1"],
            shard=_SHARD,
            key={
                "description": "Of a source, the SHA-256 of its token, in hex; of all others a word"
                " and ids in hex: `tenant.…`, `session.…`, `user.…`, `type.…`; or `beat`."
            },
        ),
        "limits": _channel(
            "crossdock.limits.{node}",
            "What a gateway's machine counted against limits, for the other machines. On core NATS:"
            " nothing keeps it.",
            ["limits"],
            node={"description": "The machine that tells, in hex."},
        ),
        "bodies": _channel(
            f"$O.{subjects.BODIES_BUCKET}.C.{{object}}",
            "Chunks of bodies that are too large for a message: the object store"
            f" {subjects.BODIES_BUCKET}, whose objects are named by event ids and go once they are"
            " in PostgreSQL.",
            ["body"],
            object={"description": "What the object store names the object's chunks by."},
        ),
        "answers": _channel(
            f"$KV.{subjects.ANSWERS_BUCKET}.{{key}}",
            "Answers to requests with an idempotency key, sealed, for some minutes.",
            ["answer"],
            key={"description": "A hash of who asked, and of the key."},
        ),
    }


def _channel(
    address: str, description: str, messages: list[str], **parameters: dict[str, Any]
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "address": address,
        "description": description,
        "messages": {
            _key(name): {"$ref": f"#/components/messages/{_key(name)}"} for name in messages
        },
    }
    if parameters:
        found["parameters"] = parameters
    return found


def _operations() -> dict[str, Any]:
    described = {
        "announceEvent": ("send", "events", "A worker tells of an event, once it is stored."),
        "deliverEvent": ("send", "out", "A worker delivers an event to a destination on NATS."),
        "acceptWebhook": ("send", "ingest", "A gateway keeps a webhook, and then answers 202."),
        "persistWebhook": ("receive", "ingest", "A worker stores webhooks, many at a time."),
        "setAside": ("send", "poison", "A worker sets a message aside that nobody can store."),
        "publishSettings": ("send", "settings", "A worker publishes what was changed."),
        "watchSettings": ("receive", "settings", "A gateway follows what was changed."),
        "tellLimits": ("send", "limits", "A machine tells what it counted."),
        "hearLimits": ("receive", "limits", "A machine hears what others counted."),
    }
    return {
        name: {
            "action": action,
            "channel": {"$ref": f"#/channels/{channel}"},
            "summary": summary,
        }
        for name, (action, channel, summary) in described.items()
    }


def _messages() -> dict[str, Any]:
    found: dict[str, Any] = {
        "event": {
            "name": "event",
            "title": "An accepted event: a CloudEvent 1.0 in NATS' binary mode",
            "summary": "The body is the provider's bytes, of whatever media type; what describes it"
            " is in the headers. With `ce-dataref` the body is empty, and is to be fetched.",
            "contentType": "application/octet-stream",
            "headers": _typed("event-headers"),
            "payload": {"description": "Any bytes; `ce-datacontenttype` says of which type."},
            "correlationId": {
                "location": "$message.header#/ce-id",
                "description": "The same for every repetition of an event.",
            },
        },
        "delivered": {
            "name": "delivered",
            "title": "An event at one destination: a CloudEvent 1.0 in NATS' binary mode",
            "summary": "The body is what the destination gets: the provider's bytes, or what its"
            " script made of them. With `ce-dataref` it is empty, and is to be fetched.",
            "contentType": "application/octet-stream",
            "headers": _typed("delivered-headers"),
            "payload": {"description": "Any bytes; `ce-datacontenttype` says of which type."},
            "correlationId": {
                "location": "$message.header#/ce-id",
                "description": "The same for every repetition of an event.",
            },
        },
        "poison": {
            "name": "poison",
            "title": "A message that could never be stored",
            "contentType": "application/octet-stream",
            "headers": _typed("poison-headers"),
            "payload": {"description": "The message as it was, or its beginning."},
        },
        "limits": {
            "name": "limits",
            "title": "What a machine counted",
            "contentType": "application/octet-stream",
            "payload": {
                "description": "A version byte, the sender's clock as a little-endian double, and"
                " what was counted; between machines of one release only."
            },
        },
        "body": {
            "name": "body",
            "title": "A chunk of a large body",
            "contentType": "application/octet-stream",
            "payload": {"description": "Bytes of the body, or of the sealed body."},
        },
        "answer": {
            "name": "answer",
            "title": "A sealed answer",
            "contentType": "application/octet-stream",
            "payload": {"description": "Sealed under a key that gateways alone have."},
        },
    }
    for tag, schema in schemas.schemas().items():
        found[_key(tag)] = {
            "name": tag,
            "title": schema["description"].split("\n")[0],
            "contentType": MESSAGEPACK,
            "payload": _typed(_key(tag)),
        }
    return found


def _typed(name: str) -> dict[str, Any]:
    """Point at a schema, and say of which dialect it is."""
    return {"schemaFormat": JSON_SCHEMA, "schema": {"$ref": f"#/components/schemas/{name}/schema"}}


def _components() -> dict[str, Any]:
    found = {
        "event-headers": cloud_event.schema(),
        "delivered-headers": cloud_event.delivered_schema(),
        "poison-headers": {"type": "object", "properties": cloud_event.POISON_HEADERS},
    }
    found |= {_key(tag): _inlined(tag, one) for tag, one in schemas.schemas().items()}
    return {name: {"schemaFormat": JSON_SCHEMA, "schema": schema} for name, schema in found.items()}


def _inlined(tag: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema whose references lead to where it stands in the document."""
    here = f"#/components/schemas/{_key(tag)}/schema"

    def led(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: f"{here}{part[1:]}" if key == "$ref" else led(part)
                for key, part in value.items()
                if key not in {"$id", "$schema"}
            }
        return [led(part) for part in value] if isinstance(value, list) else value

    found: dict[str, Any] = led(schema)
    return found


def _key(name: str) -> str:
    """Return a name that a component can have: no dots."""
    return name.replace(".", "-")
