"""The paths that are no handlers: webhooks go past the framework (`gateway/ingest/`)."""

from typing import Any, Final

from gateway.ingest import PREFIX
from gateway.openapi.headers import headers
from gateway.openapi.responses import problem

PATH: Final = PREFIX + "{token}"
TAG: Final = "Ingest"

_TOKEN: Final = {
    "name": "token",
    "in": "path",
    "required": True,
    "description": "The last part of a source's `ingest_url`.",
    "schema": {"type": "string"},
    "example": "4jJ0rZ8QmT2vXc6LbN1sKp",
}
_HANDSHAKE: Final = {
    "description": "The answer to a sender's handshake, as its scheme wants it.",
    "headers": headers(),
    "content": {"text/plain": {"schema": {"type": "string"}}, "application/json": {"schema": {}}},
}


def paths() -> dict[str, Any]:
    """Return the paths of webhooks."""
    return {PATH: {"parameters": [_TOKEN], "post": _receive(), "get": _shake_hands()}}


def _receive() -> dict[str, Any]:
    statuses = (400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 500, 503)
    return {
        "tags": [TAG],
        "operationId": "receive_webhook",
        "summary": "Receive webhook",
        "description": (
            "Take a provider's webhook. It is signed as the source's scheme asks; once this answers"
            " 202 it is stored, and will not be lost. Send it again after any other answer, and it"
            " is still one event.\n\nFor anybody: no credential is looked at but the signature."
        ),
        "security": [],
        "requestBody": {
            "description": "Anything; JSON where the type says so. The signature covers it.",
            "content": {
                "application/json": {
                    "schema": {},
                    "example": {"id": "evt_1QPqK2", "type": "invoice.paid"},
                },
                "*/*": {"schema": {}},
            },
        },
        "responses": {
            "200": _HANDSHAKE,
            "202": {
                "description": "Stored.",
                "headers": headers(),
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "required": ["id"],
                            "properties": {
                                "id": {"type": "string", "description": "The event's id."}
                            },
                        },
                        "example": {"id": "evt_01m83zq41cf2r9s3k8m5h7j6pa"},
                    }
                },
            },
        }
        | _problems(statuses),
    }


def _shake_hands() -> dict[str, Any]:
    return {
        "tags": [TAG],
        "operationId": "answer_handshake",
        "summary": "Answer handshake",
        "description": (
            "Answer a sender that checks whether the address is its subscriber's.\n\n"
            "For anybody: no credential is looked at."
        ),
        "security": [],
        "responses": {"200": _HANDSHAKE} | _problems((404, 405, 429, 500, 503)),
    }


def _problems(statuses: tuple[int, ...]) -> dict[str, Any]:
    return {str(status): problem(status) for status in statuses} | {"default": problem()}
