"""The story that the document's examples tell: who and what is in it.

Acme takes Stripe's webhooks and passes them on to its billing service. Nothing of it is real, and
no secret is one.
"""

from typing import Any, Final

Example = dict[str, Any]

MONDAY: Final = "2026-11-23T09:00:00Z"
NOON: Final = "2026-11-23T12:00:00Z"
FRIDAY: Final = "2026-11-27T09:00:00Z"

TENANT: Final = "ten_01m83zq2h6egrr4jgvpmsm90wc"
SOURCE: Final = "src_01m83zq36e8yrv3w2h5fk0c9tn"
DESTINATION: Final = "dst_01m83zq3nh5t8b7x4d6yqvz0we"
EVENT: Final = "evt_01m83zq41cf2r9s3k8m5h7j6pa"
DELIVERY: Final = "dlv_01m83zq42vbxq7y4w9t2n5e8zd"
USER: Final = "usr_01m83zq24h7c5t4twtwxr0ejpf"
KEY: Final = "key_01m83ztv2e6n6v0v452348vgyc"
SESSION: Final = "ses_01m83zq2fqy8a9vva7p10exhhb"
SUPPORT: Final = "sup_01m83zr5mzq2k4v8s7d3b6n9wt"
REPLAY: Final = "rpl_01m83zr8ctd5y2e7h4j9k3m6qa"

IDS: Final = {
    "alert_id": "alt_01m83zrdg3c7n5w9y2v8t4k6xe",
    "tenant_id": TENANT,
    "source_id": SOURCE,
    "secret_id": "sec_b3f0a1c94d27",
    "preset_name": "stripe",
    "destination_id": DESTINATION,
    "event_id": EVENT,
    "event_type_id": "ety_01m83zq3xkf4a9r6p2t8c5v7bn",
    "number": 2,
    "delivery_id": DELIVERY,
    "replay_id": REPLAY,
    "key_id": KEY,
    "user_id": USER,
    "session_id": SESSION,
    "role_id": "rol_01m83ztwp1jptksxfecpt6apvc",
    "invitation_id": "inv_01m83zrb7nw4x6c8v2k5t9e3qd",
    "support_id": SUPPORT,
}
"""By the names of parameters in paths."""

SECRETS: Final = [{"id": IDS["secret_id"], "ends_at": None}]
SIGNING_SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - made up
ACCESS: Final = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1c3JfMDFtODMifQ.c2lnbmF0dXJl"
REFRESH: Final = "cdr_dev_00000000KbJhkRwgzTmbILrkS3ulcxxgNQFWB3dDqCH"
PASSWORD: Final = "plum-tractor-harbour-quiet"  # noqa: S105 - made up
LETTER: Final = "Zk3vWq8pT1nYc5Rb7LxD2mHs9JfUe4Ga"

TENANT_OUT: Final[Example] = {
    "id": TENANT,
    "slug": "acme",
    "name": "Acme",
    "state": "active",
    "plan": "standard",
    "created_at": MONDAY,
}
ADMIN_TENANT: Final[Example] = TENANT_OUT | {
    "shard": 0,
    "tier": "shared",
    "quotas": {"sources": 500},
    "reason": None,
    "terminate_at": None,
    "blocked_until": None,
}
SOURCE_OUT: Final[Example] = {
    "id": SOURCE,
    "name": "Stripe, live",
    "preset": "stripe",
    "scheme": "stripe",
    "state": "active",
    "pause_mode": None,
    "recipe": {"tolerance": 300},
    "secrets": SECRETS,
    "ingest_url": "https://hooks.example.com/in/4jJ0rZ8QmT2vXc6LbN1sKp",
    "max_body_bytes": 5_242_880,
    "webhooks_per_minute": None,
    "content_types": ["application/json"],
    "indexed_fields": ["/data/object/customer"],
    "encrypts": False,
    "created_at": MONDAY,
    "updated_at": MONDAY,
}
DESTINATION_OUT: Final[Example] = {
    "id": DESTINATION,
    "name": "Billing",
    "kind": "http",
    "url": "https://billing.acme.example/webhooks",
    "settings": None,
    "state": "enabled",
    "disabled_reason": None,
    "disabled_at": None,
    "source_ids": [SOURCE],
    "event_types": ["invoice.*"],
    "filter": None,
    "transform": None,
    "headers": ["x-team"],
    "auth": {"type": "basic", "username": "crossdock"},
    "signing": "hmac",
    "secrets": [{"id": IDS["secret_id"], "ends_at": None, "public_key": None}],
    "retry": None,
    "timeout_s": 15.0,
    "rate": {"count": 50, "per_s": 1.0},
    "concurrency": None,
    "order": {"by": "/data/object/customer", "hold": "until_dead"},
    "breaker": "auto",
    "failing_since": None,
    "created_at": MONDAY,
    "updated_at": MONDAY,
}
INBOX_MESSAGE: Final[Example] = {
    "id": "msg_01m83zq46ne5kd8t3x7v9b2rwc",
    "event_id": EVENT,
    "received_at": MONDAY,
    "outcome": "200",
    "headers": [["content-type", "application/json"], ["webhook-id", EVENT]],
    "body": '{"total": 4200}',
    "body_base64": None,
}
EVENT_ITEM: Final[Example] = {
    "id": EVENT,
    "source_id": SOURCE,
    "event_type": "invoice.paid",
    "provider_id": "evt_1QPqK2",
    "content_type": "application/json",
    "size": 42,
    "received_at": MONDAY,
    "status": "accepted",
    "violations": [],
    "schema_version": 2,
    "encrypted": False,
}
SCHEMA: Final[Example] = {
    "type": "object",
    "required": ["id", "total"],
    "properties": {"total": {"type": "integer", "minimum": 0}},
}
EVENT_TYPE_ITEM: Final[Example] = {
    "id": IDS["event_type_id"],
    "name": "invoice.paid",
    "description": "An invoice was paid in full.",
    "mode": "quarantine",
    "compatibility": "backward",
    "latest_version": 2,
    "created_at": MONDAY,
    "updated_at": NOON,
}
SCHEMA_VERSION: Final[Example] = {"number": 2, "created_at": NOON, "size": 105}
BREACH: Final[Example] = {"pointer": "/total", "detail": '"12" is not of type "integer"'}
EVENT_PUBLISH: Final[Example] = {
    "id": "order-4711-paid",
    "event_type": "order.paid",
    "payload": {"order": 4711, "total": 12},
}
API_KEY: Final[Example] = {
    "id": KEY,
    "name": "dashboard",
    "permissions": ["deliveries:read", "events:read"],
    "created_at": MONDAY,
    "expires_at": None,
    "last_used_at": NOON,
    "revoked_at": None,
    "created_by": USER,
    "rotated_to": None,
    "requests_per_minute": 600,
}
USER_OUT: Final[Example] = {
    "id": USER,
    "email": "ann@acme.example",
    "name": "Ann",
    "state": "active",
    "roles": ["owner"],
    "has_second_factor": True,
    "created_at": MONDAY,
    "updated_at": MONDAY,
    "last_login_at": NOON,
}
INVITATION: Final[Example] = {
    "id": IDS["invitation_id"],
    "email": "bob@acme.example",
    "roles": ["developer"],
    "invited_by": USER,
    "created_at": MONDAY,
    "expires_at": "2026-11-30T09:00:00Z",
    "accepted_at": None,
    "revoked_at": None,
}
ROLE: Final[Example] = {
    "id": IDS["role_id"],
    "name": "on-call",
    "built_in": False,
    "description": "Looks at deliveries, and replays them.",
    "permissions": ["deliveries:write"],
    "inherits": ["viewer"],
    "effective": ["deliveries:read", "deliveries:write", "events:read"],
    "created_at": MONDAY,
    "updated_at": MONDAY,
}
SESSION_OUT: Final[Example] = {
    "id": SESSION,
    "current": True,
    "created_at": MONDAY,
    "last_used_at": NOON,
    "expires_at": "2026-12-07T12:00:00Z",
    "address": "192.0.2.7",
    "user_agent": "Mozilla/5.0",
}
SUPPORT_OUT: Final[Example] = {
    "id": SUPPORT,
    "operator": "olga@hooks.example.com",
    "reason": "Ticket 4711: deliveries to Billing fail.",
    "created_at": MONDAY,
    "ends_at": NOON,
    "ended_at": None,
    "ended_by": None,
}
ALERT: Final[Example] = {
    "id": IDS["alert_id"],
    "kind": "destination_failing",
    "subject": IDS["destination_id"],
    "level": 1,
    "period": "2026-11-23T11:45:00+00:00",
    "detail": {
        "name": "Billing",
        "since": "2026-11-23T11:45:00+00:00",
        "last_status": 503,
        "last_error": None,
    },
    "state": "open",
    "created_at": NOON,
    "resolved_at": None,
}
ENTRY: Final[Example] = {
    "id": "aud_01m83zrfq4e8v6d2c9k5w7y3tn",
    "action": "api_key.created",
    "actor": {"kind": "user", "id": USER},
    "target": KEY,
    "address": "192.0.2.7",
    "detail": {"name": "dashboard"},
    "created_at": MONDAY,
}
SHARD: Final[Example] = {
    "id": 0,
    "name": "main",
    "state": "open",
    "tenants": 12,
    "is_reachable": True,
}
PRESET_ITEM: Final[Example] = {
    "name": "stripe",
    "title": "Stripe",
    "scheme": "stripe",
    "docs_url": "https://docs.stripe.com/webhooks/signature",
}
DROP: Final[Example] = {
    "begins": "2026-10-23T00:00:00Z",
    "ends": "2026-10-24T00:00:00Z",
    "events": 1200,
    "bytes": 345_600,
    "kept": 3,
    "dropped_at": MONDAY,
}
REFUSAL: Final[Example] = {
    "at": MONDAY,
    "reason": "signature-invalid",
    "detail": "the signature matches no live secret of this source",
    "method": "POST",
    "address": "192.0.2.7",
    "headers": [["content-type", "application/json"], ["stripe-signature", "***"]],
    "size": 42,
    "body_sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
}


def _step(name: str, outcome: str, detail: str, **told: Any) -> Example:
    nothing: Example = {
        "event_type": None,
        "provider_id": None,
        "violations": [],
        "destinations": [],
        "unwanting": [],
    }
    return {"name": name, "outcome": outcome, "detail": detail} | nothing | told


STEPS: Final = [
    _step("verify", "passed", "The signature is right.", event_type="invoice.paid"),
    _step("validate", "skipped", "Its type has no schema to keep."),
    _step("match", "passed", "Destinations that would get it: 0."),
    _step("transform", "skipped", "No transformation is configured."),
    _step("deliver", "skipped", "It was not asked for."),
]
