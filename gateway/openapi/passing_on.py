"""The story that the examples tell, its second half: what becomes of what is passed on."""

from typing import Final

from gateway.openapi.story import DELIVERY, DESTINATION, EVENT, MONDAY, NOON, REPLAY, Example

DELIVERY_OUT: Final[Example] = {
    "id": DELIVERY,
    "event_id": EVENT,
    "destination_id": DESTINATION,
    "state": "dead",
    "attempt_count": 1,
    "next_attempt_at": None,
    "last_status": 500,
    "last_error": None,
    "reason": "attempts_exhausted",
    "replay_id": None,
    "created_at": MONDAY,
    "finished_at": NOON,
}
ATTEMPT: Final[Example] = {
    "id": "att_01m83zq43ddk5v7w2x9y4c6t8e",
    "number": 1,
    "started_at": MONDAY,
    "duration_ms": 118,
    "status": 500,
    "error": None,
    "request_headers": [
        ["content-type", "application/json"],
        ["webhook-id", EVENT],
        ["webhook-signature", "***"],
    ],
    "request_body": None,
    "request_body_base64": None,
    "response_headers": [["content-type", "text/plain"]],
    "response_body": "Something broke.",
    "response_body_base64": None,
}


def _entry(kind: str, at: str | None, **more: object) -> Example:
    names = ("detail", "destination_id", "delivery_id", "replay_id", "attempt")
    return {"type": kind, "at": at} | {name: more.get(name) for name in names}


_OF_DELIVERY: Final = {"destination_id": DESTINATION, "delivery_id": DELIVERY}
COUNTS: Final[Example] = {
    "delivered": 1180,
    "failed": 20,
    "dead": 1,
    "success_rate": 0.9833,
    "p50_ms": 74.5,
    "p95_ms": 265.4,
    "p99_ms": 1330.6,
}
DESTINATION_HEALTH: Final[Example] = {
    "destination_id": DESTINATION,
    "breaker": "open",
    "since": MONDAY,
    "until": NOON,
    "failure_rate": 0.85,
    "paused_until": None,
    "waiting": 214,
    "is_capped": False,
}
DESTINATION_STATS: Final[Example] = {
    "destination_id": DESTINATION,
    "total": COUNTS,
    "hours": [{"hour": MONDAY} | COUNTS],
    "backlog": {
        "pending": 3,
        "is_capped": False,
        "oldest_at": MONDAY,
        "next_due_at": NOON,
    },
}
SUMMARY: Final[Example] = {
    "total": 12,
    "is_capped": False,
    "reasons": [
        {"reason": "attempts_exhausted", "count": 9},
        {"reason": "rejected", "count": 3},
    ],
    "destinations": [{"destination_id": DESTINATION, "count": 12}],
}
TIMELINE: Final[Example] = {
    "event_id": EVENT,
    "status": "accepted",
    "matched": 1,
    "entries": [
        _entry("received", MONDAY),
        _entry("verified", MONDAY, detail="stripe"),
        _entry("stored", MONDAY),
        _entry("matched", MONDAY, **_OF_DELIVERY),
        _entry(
            "attempt",
            MONDAY,
            **_OF_DELIVERY,
            attempt={name: value for name, value in ATTEMPT.items() if name != "started_at"},
        ),
        _entry("next_attempt", NOON, **_OF_DELIVERY),
    ],
    "unmatched": [],
    "is_capped": False,
}
WISH: Final[Example] = {
    "state": "dead",
    "destination_id": DESTINATION,
    "created_after": MONDAY,
}
REPLAY_OUT: Final[Example] = {
    "id": REPLAY,
    "state": "running",
    "filter": WISH,
    "seen": 300,
    "replayed": 120,
    "progress": 0.4,
    "waiting_for": None,
    "created_at": NOON,
    "finished_at": None,
}
