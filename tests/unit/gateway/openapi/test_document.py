"""The document is complete, and what is committed is what is served."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from gateway.openapi import assemble
from gateway.openapi.__main__ import FILE, text
from gateway.openapi.examples import EXAMPLES, IDS
from gateway.openapi.handlers import handlers_of
from gateway.openapi.operations import METHODS
from gateway.openapi.schemas import bodies_of
from gateway.openapi.skeleton import skeleton
from gateway.problems.types import TYPES

WITHOUT_EXAMPLE = {"application/octet-stream", "application/problem+json", "text/plain", "*/*"}


@pytest.fixture(scope="module")
def app() -> Litestar:
    return skeleton()


@pytest.fixture(scope="module")
def document(app: Litestar) -> dict[str, Any]:
    return assemble(app)


@pytest.fixture(scope="module")
def handlers(app: Litestar) -> dict[str, HTTPRouteHandler]:
    return handlers_of(app)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for item in document["paths"].values():
        for method in METHODS & item.keys():
            yield item[method]["operationId"], item[method]


def resolved(document: dict[str, Any], value: Any) -> Any:
    while "$ref" in value:
        found: Any = document
        for step in value["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        value = found
    return value


def responses(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            yield name, status, resolved(document, response)


def test_the_committed_document_is_the_one_that_is_served() -> None:
    assert FILE.read_bytes() == text(), "the API has changed: run `make docs`, and read the diff"


def test_it_is_made_alike_each_time() -> None:
    assert text() == text()


def test_every_operation_says_what_it_is_for(document: dict[str, Any]) -> None:
    named = {tag["name"] for tag in document["tags"]}
    for name, operation in operations(document):
        assert operation["summary"], name
        assert operation["description"].strip().endswith("."), name
        assert len(operation["tags"]) == 1, name
        assert set(operation["tags"]) <= named, name
    assert all(tag["description"] for tag in document["tags"])


def test_every_parameter_is_described_and_never_null(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], (name, parameter["name"])
            schema = parameter["schema"]
            assert not {"null", "None"} & set(re.findall(r"\w+", str(schema))), (name, parameter)
            if parameter["in"] == "path":
                assert parameter["example"], (name, parameter["name"])


def test_every_answer_tells_the_limits(document: dict[str, Any]) -> None:
    for name, status, response in responses(document):
        assert {"RateLimit", "RateLimit-Policy"} <= set(response["headers"]), (name, status)
        for header in response["headers"].values():
            assert resolved(document, header)["description"]
    headers = document["components"]["headers"]
    assert all(headers[name]["required"] for name in ("RateLimit", "RateLimit-Policy"))


def test_every_problem_type_has_its_example(document: dict[str, Any]) -> None:
    shown = {
        name: example["value"]
        for response in document["components"]["responses"].values()
        for content in response["content"].values()
        for name, example in content.get("examples", {}).items()
    }
    assert set(shown) == {kind.name for kind in TYPES}
    for kind in TYPES:
        assert (shown[kind.name]["type"], shown[kind.name]["status"]) == (kind.uri, kind.status)


def test_every_body_has_an_example(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        successes = (value for key, value in operation["responses"].items() if key[0] == "2")
        for carrier in (operation.get("requestBody", {}), *successes):
            for media_type, content in carrier.get("content", {}).items():
                if media_type not in WITHOUT_EXAMPLE and content["schema"]:
                    assert {"example", "examples"} & content.keys(), (name, media_type)


def test_every_example_is_one_of_its_type(
    document: dict[str, Any], handlers: dict[str, HTTPRouteHandler]
) -> None:
    kinds = bodies_of(handlers.values())
    assert EXAMPLES.keys() <= kinds.keys(), "an example of nothing"
    for name, example in EXAMPLES.items():
        msgspec.json.decode(msgspec.json.encode(example), type=kinds[name])
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        errors = jsonschema_rs.validator_for(schema).iter_errors(example)
        assert not [error.message for error in errors], name


def test_every_id_in_a_path_has_an_example_of_its_own_kind(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "path" and parameter["name"] != "token":
                schema = parameter["schema"]
                assert parameter["example"] == IDS[parameter["name"]], name
                assert jsonschema_rs.is_valid(schema, parameter["example"]), name


def test_what_takes_a_key_says_so(
    document: dict[str, Any], handlers: dict[str, HTTPRouteHandler]
) -> None:
    for name, operation in operations(document):
        handler = handlers.get(name)
        declared = None if handler is None else handler.opt.get("idempotency")
        keys = [
            item for item in operation.get("parameters", ()) if item["name"] == "Idempotency-Key"
        ]
        assert bool(keys) is (declared is not None), name
        successes = [value for key, value in operation["responses"].items() if key[0] == "2"]
        for success in successes:
            assert ("Idempotency-Replayed" in success["headers"]) is bool(keys), name
        if declared is not None:
            assert keys[0]["required"] is declared.required, name
            assert {"409", "422"} <= operation["responses"].keys(), name
        elif handler is not None and handler.opt.get("no_key"):
            assert handler.opt["no_key"] in operation["description"], name


def test_every_id_can_be_had_from_a_link(document: dict[str, Any]) -> None:
    linked = {
        link["operationId"]
        for _, _, response in responses(document)
        for link in response.get("links", {}).values()
    }
    for name, operation in operations(document):
        takes_id = [item for item in operation.get("parameters", ()) if item["in"] == "path"]
        if takes_id and name not in {"receive_webhook", "answer_handshake"}:
            assert name in linked, f"nothing leads to {name}"


def test_links_give_what_their_operations_take(document: dict[str, Any]) -> None:
    taken = {
        name: {item["name"] for item in operation.get("parameters", ()) if item["in"] == "path"}
        for name, operation in operations(document)
    }
    for name, _, response in responses(document):
        for link in response.get("links", {}).values():
            assert set(link["parameters"]) == taken[link["operationId"]], name


def test_words_of_the_source_are_in_it(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    url = schemas["SourceOut"]["properties"]["ingest_url"]
    assert url["description"].startswith("Where its sender posts to.")
    inherited = schemas["SourceWithSecret"]["properties"]["ingest_url"]
    assert inherited["description"] == url["description"]
    assert schemas["SourceOut"]["properties"]["created_at"]["format"] == "date-time"
