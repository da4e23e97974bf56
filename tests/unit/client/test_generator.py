"""The client's models and methods are what the committed document says."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tools.client.__main__ import DOCUMENT, stale, written
from tools.client.document import Document

ROOT = Path("crossdock/client")


def reference(name: str) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{name}"}}


def document(**changes: Any) -> Document:
    """Return a small document: lamps, that can be listed, made and dimmed."""
    lamp = {
        "description": "A lamp.",
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "colour": {"enum": ["red", "blue"]},
            "lit_at": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
            "sockets": {"type": "array", "items": {"$ref": "#/components/schemas/Socket"}},
        },
        "required": ["id", "colour", "lit_at"],
    }
    wish = {
        "type": "object",
        "properties": {
            "type": {"enum": ["desk", "floor"]},
            "watts": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        },
        "required": ["type"],
    }
    page = {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": {"$ref": "#/components/schemas/LampOut"}},
            "next_cursor": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["items", "next_cursor"],
    }
    socket = {"type": "object", "properties": {"volts": {"type": "number", "default": 1.5}}}
    made = {"201": {"headers": {"ETag": {}}, "content": {"application/json": reference("LampOut")}}}
    tree: dict[str, Any] = {
        "paths": {
            "/v1/desk-lamps": {
                "get": {
                    "operationId": "list_desk_lamps",
                    "description": "List lamps.\n\nNeeds `lamps:read`.\n\nMore words.",
                    "parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer"}}],
                    "responses": {"200": {"content": {"application/json": reference("LampPage")}}},
                },
                "post": {
                    "operationId": "create_desk_lamp",
                    "description": "Make a lamp.",
                    "parameters": [
                        {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}
                    ],
                    "requestBody": {"content": {"application/json": reference("LampCreate")}},
                    "responses": made,
                },
            },
            "/v1/desk-lamps/{lamp_id}": {
                "delete": {
                    "operationId": "delete_desk_lamp",
                    "description": "Throw a lamp away.",
                    "parameters": [
                        {"name": "lamp_id", "in": "path", "required": True, "schema": {}},
                        {"name": "If-Match", "in": "header", "schema": {"type": "string"}},
                    ],
                    "responses": {"204": {}},
                }
            },
            "/docs": {"get": {"operationId": "docs", "summary": "x", "responses": {"200": {}}}},
        },
        "components": {
            "schemas": {"LampOut": lamp, "LampCreate": wish, "LampPage": page, "Socket": socket}
        },
    }
    return Document(msgspec.json.encode(tree | changes))


@pytest.fixture(scope="module")
def lamps() -> dict[Path, str]:
    return written(document())


def test_what_is_committed_is_what_the_generator_writes() -> None:
    found = stale(written(Document.read(DOCUMENT)))
    assert not found, f"`make docs` writes anew: {', '.join(map(str, found))}"


def test_a_resource_has_its_calls_under_short_names(lamps: dict[Path, str]) -> None:
    text = lamps[ROOT / "resources" / "desk_lamps.py"]
    assert "class DeskLampsResource(Resource):" in text
    assert "def list(self, *, limit: int | None = None) -> Listing[Lamp]:" in text
    assert '"""List lamps.\n\n        Needs `lamps:read`.\n        """' in text
    assert "More words" not in text
    assert 'at("/v1/desk-lamps/{}", lamp_id)' in text
    assert "self, lamp_id: str, *, if_match: str | None = None" in text


def test_what_is_sent_is_checked_and_what_is_answered_may_grow(lamps: dict[Path, str]) -> None:
    text = lamps[ROOT / "resources" / "desk_lamps.py"]
    assert 'type_: Literal["desk", "floor"],' in text
    assert "watts: int | UnsetType | None = UNSET," in text
    assert "body=members(type=type_, watts=watts)" in text
    model = lamps[ROOT / "models" / "desk_lamps.py"]
    assert "    colour: str\n" in model
    assert "    lit_at: datetime | None\n" in model
    assert "    sockets: list[Socket] | UnsetType = UNSET\n" in model
    assert model.index("class Socket") < model.index("class Lamp(Versioned")


def test_keys_are_for_the_calls_that_take_them(lamps: dict[Path, str]) -> None:
    making, throwing = lamps[ROOT / "resources" / "desk_lamps.py"].split("def delete(")
    assert making.count("takes_key=True") == 1
    assert "takes_key" not in throwing


def test_the_awaited_ones_are_the_same(lamps: dict[Path, str]) -> None:
    text = lamps[ROOT / "async_resources" / "desk_lamps.py"]
    assert "class AsyncDeskLampsResource(AsyncResource):" in text
    assert "    def list(" in text
    assert "    async def create(" in text
    assert "await self._send(" in text
    assert not any("docs" in path.name for path in lamps)


def test_a_body_without_a_name_is_refused() -> None:
    nameless = {
        "/v1/lamps": {
            "post": {
                "operationId": "create_lamp",
                "summary": "x",
                "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}},
                "responses": {"204": {}},
            }
        }
    }
    with pytest.raises(ValueError, match="without a name"):
        document(paths=nameless)


def test_a_file_that_is_missing_or_left_over_is_stale(lamps: dict[Path, str]) -> None:
    """What is committed is the API's; lamps are not."""
    found = {str(path.relative_to(ROOT)) for path in stale(lamps)}
    assert {"models/desk_lamps.py", "resources/sources.py", "models/__init__.py"} <= found
