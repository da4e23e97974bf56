"""Examples of what is sent and answered, by the name of its schema.

A test holds each one against its type, and that nothing is without one.
"""

from typing import Final

import msgspec

from gateway.openapi import passing_on, story
from gateway.openapi.story import IDS

__all__ = ["EXAMPLES", "IDS", "TEXTS"]


def _page(item: story.Example) -> story.Example:
    return {"items": [item], "next_cursor": None}


EXAMPLES: Final[dict[str, story.Example]] = {
    "AcceptedOut": {
        "tenant": {"id": story.TENANT, "slug": "acme", "name": "Acme"},
        "user": {
            "id": story.USER,
            "email": "bob@acme.example",
            "name": "Bob",
            "roles": ["developer"],
        },
    },
    "AdminTenantCreate": {"name": "Acme", "slug": "acme", "plan": "standard"},
    "AdminTenantOut": story.ADMIN_TENANT,
    "AdminTenantPage": _page(story.ADMIN_TENANT),
    "AlertOut": story.ALERT,
    "AlertPage": _page(story.ALERT),
    "AlertSettingsOut": {
        "emails": ["on-call@acme.example"],
        "muted": ["quota"],
        "failing_after_s": 300,
        "dead_letters_per_hour": 10,
        "refusals_per_hour": 50,
        "updated_at": story.NOON,
    },
    "AlertSettingsPatch": {"emails": ["on-call@acme.example"], "failing_after_s": 300},
    "AlertTest": {"ways": ["mail", "webhook"]},
    "AlertTestOut": {
        "alert": {
            **story.ALERT,
            "kind": "test",
            "subject": "test",
            "period": story.NOON,
            "detail": {"name": "test", "ways": ["mail", "webhook"]},
            "state": "resolved",
            "resolved_at": story.NOON,
        },
        "letters": 2,
        "destinations": 1,
    },
    "ApiKeyCreate": {
        "name": "dashboard",
        "permissions": ["events:read", "deliveries:read"],
        "requests_per_minute": 600,
    },
    "ApiKeyOut": story.API_KEY,
    "ApiKeyPage": _page(story.API_KEY),
    "ApiKeyRotation": {"overlap_s": 3600},
    "BrowserSessionOut": {
        "csrf_token": "2Dk8cX0lq0vVxJ8m6mC1yqk3hQ5bR7tN4wS9uZpLeAo",
        "expires_in": 600,
        "refresh_expires_at": "2026-12-07T09:00:00Z",
        "session_id": story.SESSION,
    },
    "CheckOut": {
        "verified": False,
        "refusal": "signature-invalid",
        "detail": "the signature matches no live secret of this source",
        "event_type": "",
        "provider_id": None,
        "handshake": False,
        "hints": [
            {
                "pointer": "/recipe/hmac/encoding",
                "value": "base64",
                "detail": "It verifies with `base64` here.",
            }
        ],
    },
    "CodeIn": {"code": "492039"},
    "Components": {
        "components": {
            "nats": {"state": "up", "latency_ms": 0.4, "since": story.MONDAY},
            "postgres": {"state": "up", "latency_ms": 0.9, "since": story.MONDAY},
        }
    },
    "DeliveryList": {"items": [passing_on.DELIVERY_OUT]},
    "DeliveryOut": passing_on.DELIVERY_OUT,
    "DeliveryPage": _page(passing_on.DELIVERY_OUT),
    "DeliveryWithAttempts": passing_on.DELIVERY_OUT | {"attempts": [passing_on.ATTEMPT]},
    "DestinationCreate": {
        "name": "Billing",
        "url": "https://billing.acme.example/webhooks",
        "event_types": ["invoice.*"],
        "headers": {"X-Team": "billing"},
        "auth": {"type": "basic", "username": "crossdock", "password": story.PASSWORD},
        "rate": {"count": 50},
        "order": {"by": "/data/object/customer"},
    },
    "DestinationOut": story.DESTINATION_OUT,
    "DestinationPage": _page(story.DESTINATION_OUT),
    "DestinationPatch": {
        "event_types": ["invoice.*", "charge.refunded"],
        "headers": {"X-Team": None},
        "rate": {"count": 20},
    },
    "DeadLetterSummary": passing_on.SUMMARY,
    "DestinationHealthOut": passing_on.DESTINATION_HEALTH,
    "DestinationStats": passing_on.DESTINATION_STATS,
    "DestinationWithSecret": story.DESTINATION_OUT | {"secret": story.SIGNING_SECRET},
    "InboxPage": _page(story.INBOX_MESSAGE),
    "DropPage": _page(story.DROP),
    "EntryPage": _page(story.ENTRY),
    "EventTypeCreate": {
        "name": "invoice.paid",
        "description": "An invoice was paid in full.",
        "mode": "quarantine",
        "schema": story.SCHEMA,
    },
    "EventTypeOut": story.EVENT_TYPE_ITEM | {"schema": story.SCHEMA},
    "EventTypePage": _page(story.EVENT_TYPE_ITEM),
    "EventTypePatch": {"mode": "reject"},
    "DryRunOut": {
        "items": [
            {
                "event_id": story.EVENT,
                "event_type": "invoice.paid",
                "source_id": story.SOURCE,
                "wanted": True,
                "why_not": None,
                "filter_error": None,
                "transformed": {
                    "content_type": "application/json",
                    "headers": {"X-Kind": "invoice.paid"},
                    "payload": '{"paid":1250}',
                    "payload_base64": None,
                    "size": 13,
                },
                "transformed_away": False,
                "failure": None,
                "duration_ms": 0.4,
            }
        ],
        "left": 0,
    },
    "DryRunWish": {
        "filter": "payload.data.object.amount_paid > 1000",
        "transform": (
            "function transform(event) {\n"
            "  const paid = event.payload.data.object.amount_paid;\n"
            "  return {payload: {paid}, headers: {'X-Kind': event.type}};\n"
            "}"
        ),
        "newest": {"limit": 10, "event_type": "invoice.paid"},
    },
    "EventBatch": {"events": [story.EVENT_PUBLISH]},
    "EventItem": story.EVENT_ITEM,
    "EventOut": story.EVENT_ITEM
    | {
        "matched": 1,
        "headers": [["user-agent", "Stripe/1.0"]],
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "payload": '{"id": "evt_1QPqK2", "type": "invoice.paid"}',
        "payload_base64": None,
    },
    "EventPage": _page(story.EVENT_ITEM),
    "EventPublish": story.EVENT_PUBLISH,
    "FactorChangeIn": {"password": story.PASSWORD, "code": "492039"},
    "FactorIn": {"password": story.PASSWORD},
    "FactorOut": {
        "secret": "JBSWY3DPEHPK3PXP",
        "uri": "otpauth://totp/Crossdock:ann%40acme.example?secret=JBSWY3DPEHPK3PXP",
    },
    "InvitationAccept": {"token": story.LETTER, "name": "Bob", "password": story.PASSWORD},
    "InvitationCreate": {"email": "bob@acme.example", "roles": ["developer"]},
    "InvitationOut": story.INVITATION,
    "InvitationPage": _page(story.INVITATION),
    "JoinedOut": {
        "tenant": {"id": story.TENANT, "slug": "acme", "name": "Acme", "plan": "free"},
        "user": {"id": story.USER, "email": "ann@acme.example", "name": "Ann", "roles": ["owner"]},
    },
    "KeySet": {
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                "kid": "58-g2SBg2ZmDYdHqbXUPBDKg4JqeLtzAibo7xvXS5JE",
                "alg": "EdDSA",
                "use": "sig",
            }
        ]
    },
    "Live": {"status": "ok"},
    "LoginIn": {"email": "ann@acme.example", "password": story.PASSWORD, "tenant": "acme"},
    "MeOut": {
        "actor": {"kind": "user", "id": story.USER, "email": "ann@acme.example"},
        "tenant": {"id": story.TENANT, "slug": "acme", "state": "active"},
        "roles": ["viewer"],
        "permissions": ["deliveries:read", "events:read"],
    },
    "NewApiKeyOut": story.API_KEY
    | {"key": "cdk_dev_0O0T8JAJK1X3kXxUYypupU_1Ehn1k03df5Tw3RA15IzLjXZTCvbOLFxPOxR"},
    "Nothing": {},
    "PasswordIn": {"current_password": story.PASSWORD, "new_password": "amber-window-seven-rivers"},
    "PayloadCheck": {"payload": {"id": "in_1", "total": "12"}},
    "PayloadCheckOut": {"valid": False, "version": 2, "violations": [story.BREACH]},
    "PauseIn": {"mode": "buffer"},
    "PresetPage": {"items": [story.PRESET_ITEM], "next_cursor": None},
    "PresetOut": story.PRESET_ITEM
    | {
        "recipe": {},
        "headers": ["Stripe-Signature"],
        "signed": "t.body: HMAC-SHA256 in hex, as v1 among the header's fields",
        "tolerance_s": 300.0,
        "dedupe": "the event's id, in the body",
        "secret": {
            "form": "whsec_ and 32 characters or more",
            "found": "Workbench, Webhooks, the endpoint: Signing secret",
        },
        "handshake": None,
        "steps": ["Reveal its signing secret and copy it into the source."],
        "proof": "the vendor's library stripe for Python",
        "samples": [
            {
                "name": "invoice-paid",
                "event_type": "invoice.paid",
                "content_type": "application/json",
                "headers": {},
                "payload": '{"id": "evt_1", "type": "invoice.paid"}',
            }
        ],
    },
    "PublishedList": {"items": [{"index": 0, "status": 202, "id": story.EVENT}]},
    "PublishedOut": {"id": story.EVENT},
    "QuotaPatch": {"plan": "standard", "quotas": {"sources": 500, "users": None}},
    "Ready": {"status": "ready"},
    "RecoveryCodesOut": {"recovery_codes": ["7f3k-9qzt", "m2vx-4hcd"]},
    "RefreshIn": {"refresh_token": story.REFRESH},
    "RefusalCountsOut": {
        "counts": [{"day": "2026-11-23", "reason": "signature-invalid", "count": 3}]
    },
    "RefusalPage": _page(story.REFUSAL),
    "ReplayOut": passing_on.REPLAY_OUT,
    "ReplayPage": _page(passing_on.REPLAY_OUT),
    "ReplayWish": passing_on.WISH,
    "ReplaySome": {"ids": [story.DELIVERY]},
    "CancelSome": {"ids": [story.DELIVERY]},
    "CancelledList": {
        "items": [
            {"index": 0, "id": story.DELIVERY, "status": 200, "delivery": passing_on.DELIVERY_OUT}
        ]
    },
    "CancelledPendingOut": {"cancelled": 1000, "has_more": True},
    "ReplayedList": {
        "items": [
            {"index": 0, "id": story.DELIVERY, "status": 201, "delivery": passing_on.DELIVERY_OUT}
        ]
    },
    "ResetConfirmIn": {"token": story.LETTER, "new_password": "amber-window-seven-rivers"},
    "ResetIn": {"email": "ann@acme.example", "tenant": "acme"},
    "ResumeIn": {},
    "RetentionOut": {"days": 30},
    "RoleCreate": {
        "name": "on-call",
        "description": "Looks at deliveries, and replays them.",
        "permissions": ["deliveries:write"],
        "inherits": ["viewer"],
    },
    "RoleOut": story.ROLE,
    "RolePage": _page(story.ROLE),
    "RolePatch": {"permissions": ["deliveries:write", "replays:write"]},
    "SchemaCheck": {"schema": story.SCHEMA},
    "SchemaCheckOut": {
        "compatible": False,
        "compatibility": "backward",
        "differences": [
            {
                "pointer": "/required/1",
                "detail": 'This refuses objects without `"total"`, which may have been accepted.',
                "backward": "breaking",
                "full": "breaking",
            }
        ],
        "stored": {
            "looked_at": 100,
            "passed_over": 0,
            "failing": 1,
            "examples": [{"event_id": story.EVENT, "violations": [story.BREACH]}],
        },
    },
    "SchemaVersionOut": story.SCHEMA_VERSION | {"schema": story.SCHEMA},
    "SchemaVersionPage": _page(story.SCHEMA_VERSION),
    "SecretRotation": {"overlap_s": 3600},
    "SessionPage": _page(story.SESSION_OUT),
    "ShardPage": {"items": [story.SHARD], "next_cursor": None},
    "SigningSecretRotation": {"overlap_s": 3600},
    "SignupIn": {
        "email": "ann@acme.example",
        "password": story.PASSWORD,
        "name": "Ann",
        "tenant_name": "Acme",
        "slug": "acme",
    },
    "SignupOut": {"expires_at": "2026-11-24T09:00:00Z"},
    "SimulationOut": {"steps": story.STEPS},
    "SimulationWish": {"source_id": story.SOURCE, "sample": "invoice-paid"},
    "SourceCheck": {
        "scheme": "hmac",
        "recipe": {"hmac": {"signature_header": "X-Acme-Signature"}},
        "secrets": ["what-acme-signs-with"],
        "example": {
            "headers": {"X-Acme-Signature": "9wwB1Ty3vLbJdGnhVMzAJ8yF0FJ0m3yCbVKyLYw3kJ0="},
            "body": '{"id": 1}',
        },
    },
    "SourceCreate": {"name": "Stripe, live", "scheme": "stripe", "secrets": [story.SIGNING_SECRET]},
    "SourceOut": story.SOURCE_OUT,
    "SourcePage": _page(story.SOURCE_OUT),
    "SourcePatch": {"name": "Stripe, test", "recipe": {"tolerance": 600}},
    "SourceWithSecret": story.SOURCE_OUT | {"secret": None},
    "SupportAccessOut": story.SUPPORT_OUT,
    "SupportAccessPage": _page(story.SUPPORT_OUT),
    "SupportOpen": {"reason": "Ticket 4711: deliveries to Billing fail.", "minutes": 60},
    "SupportTokenOut": {
        "support_id": story.SUPPORT,
        "access_token": story.ACCESS,
        "expires_in": 600,
        "ends_at": story.NOON,
    },
    "SuspendIn": {"reason": "An invoice is overdue."},
    "TenantOut": story.TENANT_OUT,
    "TenantPatch": {"name": "Acme Ltd"},
    "TerminateIn": {"reason": "The contract has ended.", "grace_days": 30},
    "TestSend": {"sample": "invoice-paid"},
    "TestSendOut": {"status": 202, "id": story.EVENT, "problem": None},
    "TimelineOut": passing_on.TIMELINE,
    "TokenPairOut": {
        "access_token": story.ACCESS,
        "token_type": "Bearer",
        "expires_in": 600,
        "refresh_token": story.REFRESH,
        "refresh_expires_at": "2026-12-07T09:00:00Z",
        "session_id": story.SESSION,
    },
    "UsageOut": {
        "plan": "standard",
        "day": "2026-11-23",
        "usage": {
            "sources": {"used": 4, "limit": 5, "percent": 80},
            "events_per_day": {"used": 1200, "limit": None, "percent": None},
        },
        "blocked_until": None,
    },
    "UserOut": story.USER_OUT,
    "UserPage": _page(story.USER_OUT),
    "UserPatch": {"roles": ["admin"]},
    "VerifyIn": {"token": story.LETTER, "slug": "acme"},
}

TEXTS: Final = {
    "text/event-stream": f"id: {story.EVENT}\nevent: event\n"
    f"data: {msgspec.json.encode(story.EVENT_ITEM).decode()}\n\n"
}
"""Of what is no JSON, by its media type."""
