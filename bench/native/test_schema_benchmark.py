"""Validation from bytes: ours against `jsonschema` and `jsonschema-rs`; what it adds to ingest."""

import json  # noqa: TID251 # what the two that are measured take comes from here
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import jsonschema  # type: ignore[import-untyped]
import jsonschema_rs
import msgspec
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.native import samples, schemas
from crossdock.native import Message, Schema, Schemas, Signer, Source, take_webhook

BODIES: Final = schemas.mixed()
TEXTS: Final = {name: msgspec.json.encode(schema) for name, schema in schemas.SCHEMAS.items()}
OURS: Final = {name: Schema(text) for name, text in TEXTS.items()}
PYTHON: Final = {
    name: jsonschema.Draft202012Validator(schema) for name, schema in schemas.SCHEMAS.items()
}
RUST: Final = {
    name: jsonschema_rs.validator_for(schema, pattern_options=jsonschema_rs.RegexOptions())
    for name, schema in schemas.SCHEMAS.items()
}
NAMES: Final = [f"{name}-{len(body) // schemas.KIB}K" for name, body in BODIES]


def ours(name: str, body: bytes) -> bool:
    """Ours takes the bytes."""
    return not OURS[name].validate(body)


def python(name: str, body: bytes, read: Callable[[bytes], Any] = json.loads) -> bool:
    """The oracle takes what a decoder made of them."""
    return bool(PYTHON[name].is_valid(read(body)))


def rust(name: str, body: bytes, read: Callable[[bytes], Any] = json.loads) -> bool:
    """So does the binding of the same crate."""
    return RUST[name].is_valid(read(body))


def all_of(judge: Callable[[str, bytes], bool]) -> bool:
    """Judge every body once."""
    return all(judge(name, body) for name, body in BODIES)


@pytest.mark.benchmark(group="validation of mixed bodies")
@pytest.mark.parametrize(
    "judge",
    [ours, rust, partial(rust, read=msgspec.json.decode), python],
    ids=["native", "jsonschema_rs", "jsonschema_rs_msgspec", "jsonschema"],
)
def test_mixed(benchmark: BenchmarkFixture, judge: Callable[[str, bytes], bool]) -> None:
    """Nine bodies, 1 to 100 KiB, all valid."""
    assert benchmark(all_of, judge)


@pytest.mark.benchmark(group="validation of one body")
@pytest.mark.parametrize(("name", "body"), BODIES, ids=NAMES)
def test_native_validates(benchmark: BenchmarkFixture, name: str, body: bytes) -> None:
    """One body by ours."""
    assert benchmark(ours, name, body)


@pytest.mark.benchmark(group="validation of one body")
@pytest.mark.parametrize(("name", "body"), BODIES, ids=NAMES)
def test_jsonschema_rs_validates(benchmark: BenchmarkFixture, name: str, body: bytes) -> None:
    """One body by the binding of the same crate."""
    assert benchmark(rust, name, body)


def _takes() -> list[Callable[..., object]]:
    """`take_webhook` for every body, but for the schemas."""
    recipe = samples.recipe(event_type={"header": "x-type"})
    source, signer = Source(recipe), Signer(recipe)
    calls: list[Callable[..., object]] = []
    for name, body in BODIES:
        signed = signer.sign("POST", "/in/x", body, samples.NOW)
        headers = [(key.encode(), value.encode()) for key, value in signed]
        headers += [(b"content-type", b"application/json"), (b"x-type", name.encode())]
        ids = (b"t" * 16, b"s" * 16)
        arguments = (source, "ingest.0", ids, "/in/x", headers, body, samples.NOW)
        calls.append(partial(take_webhook, *arguments))
    return calls


@pytest.mark.benchmark(group="take_webhook of mixed bodies")
@pytest.mark.parametrize("known", [None, "schemas"])
def test_take(benchmark: BenchmarkFixture, known: str | None) -> None:
    """All that the native call does to nine webhooks, and the same with schemas that they fit."""
    calls = _takes()
    items = [(name, "reject", 1, schema) for name, schema in OURS.items()]
    held = Schemas(items) if known else None

    def take() -> list[object]:
        return [call(held) for call in calls]

    assert all(isinstance(found, Message) for found in benchmark(take))
