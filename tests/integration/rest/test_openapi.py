"""The OpenAPI document says what is so."""

import re
from typing import Any

import pytest
from litestar import Litestar

from gateway.auth import access_of
from tests.beds.routes import PAGES

METHODS = {"get", "post", "put", "patch", "delete"}
NOT_READY = ("/health/ready", "503")
"""A probe's answer, not a refusal."""
WEBHOOKS = {("get", "/in/{token}"), ("post", "/in/{token}")}
"""They go past the framework."""


@pytest.fixture(scope="module")
async def document(alice: Any) -> dict[str, Any]:
    answer = await alice.http.get("/schema")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


async def test_it_is_openapi_3_1_under_both_names(alice: Any, document: dict[str, Any]) -> None:
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert (await alice.http.get("/schema/openapi.json")).json() == document


async def test_it_has_every_route_and_no_other(app: Litestar, document: dict[str, Any]) -> None:
    ours = {
        (method.lower(), re.sub(r":\w+}", "}", route.path))
        for route in app.routes
        if not route.path.startswith(PAGES)
        for method in getattr(route, "methods", ())
        if method != "OPTIONS"
    }
    assert {(method, path) for method, path, _ in operations(document)} == ours | WEBHOOKS


async def test_every_error_is_a_problem(document: dict[str, Any]) -> None:
    responses = document["components"]["responses"]
    for problem in responses.values():
        assert set(problem["content"]) == {"application/problem+json"}
    for method, path, operation in operations(document):
        for status, response in operation["responses"].items():
            name = "Problem" if status == "default" else f"Problem{status}"
            if status[0] not in "123" and (path, status) != NOT_READY:
                assert response == {"$ref": f"#/components/responses/{name}"}, (method, path)
                assert name in responses
        assert "default" in operation["responses"], (method, path)


async def test_permissions_and_openness_are_told(app: Litestar, document: dict[str, Any]) -> None:
    assert document["security"] == [{"api_key": []}, {"access_token": []}]
    for scheme in document["components"]["securitySchemes"].values():
        assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    declared = {
        handler.handler_name.rsplit(".", 1)[-1]: access_of(handler)
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
    }
    for method, path, operation in operations(document):
        if (method, path) in WEBHOOKS:
            assert operation["security"] == []
            continue
        access = declared[operation["operationId"]]
        assert access is not None, (method, path)
        description = operation.get("description", "")
        named = set(re.findall(r"`([a-z-]+:[a-z]+)`", description))
        assert named == access.permissions, (method, path)
        match access.kind:
            case "public":
                assert operation["security"] == []
            case "user":
                assert operation["security"] == [{"access_token": []}]
                assert "signed in" in description
            case _:
                assert "security" not in operation
                assert ("For operators." in description) is (access.kind == "operator")


async def test_names_are_for_people(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in names)
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+", name) for name in document["components"]["schemas"])


async def test_a_patch_is_a_merge_patch(document: dict[str, Any]) -> None:
    patches = [operation for method, _, operation in operations(document) if method == "patch"]
    assert patches
    for operation in patches:
        assert set(operation["requestBody"]["content"]) == {"application/merge-patch+json"}
        assert "412" in operation["responses"]
        assert "If-Match" in {parameter["name"] for parameter in operation["parameters"]}


async def test_references_lead_somewhere(document: dict[str, Any]) -> None:
    def references(value: Any) -> Any:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for member in value.values():
                yield from references(member)
        elif isinstance(value, list):
            for member in value:
                yield from references(member)

    for reference in set(references(document)):
        found: Any = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


async def test_what_is_refused_is_told(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for method, path, operation in operations(document):
        if "requestBody" in operation:
            for content in operation["requestBody"]["content"].values():
                name = content["schema"].get("$ref", "").rpartition("/")[2]
                if (method, path) not in WEBHOOKS:
                    assert schemas[name]["additionalProperties"] is False, path
    items = schemas["SourceCreate"]["properties"]["secrets"]["items"]
    assert (items["minLength"], items["maxLength"]) == (1, 512)
