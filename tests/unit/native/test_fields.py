"""Keys of indexed values."""

import hashlib

import pytest

from crossdock.native import Fields, field_key


def expected(pointer: str, value: str) -> bytes:
    text = b"crossdock:field\0" + pointer.encode() + b"\0" + value.encode()
    return hashlib.sha256(text).digest()[:16]


def test_a_key_is_of_pointer_and_value() -> None:
    assert field_key("/data/customer", "cus_é") == expected("/data/customer", "cus_é")


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a":"x"}', "x"),
        (b'{"a":"\\u00e9\\n"}', "é\n"),
        (b'{"a":""}', ""),
        (b'{"a":1.50}', "1.50"),
        (b'{"a":-0}', "-0"),
        (b'{"a":1e400}', "1e400"),
        (b'{"a":true}', "true"),
        (b'{"a":1,"a":2}', "2"),
        (b'{"a":"' + b"x" * 256 + b'"}', "x" * 256),
    ],
    ids=["text", "escapes", "empty", "number", "zero", "huge", "truth", "repeated", "longest"],
)
def test_what_is_indexed(body: bytes, value: str) -> None:
    assert Fields(["/a"]).keys(body) == [expected("/a", value)]


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"a":null}',
        b'{"a":{}}',
        b'{"a":[1]}',
        b'{"a":"\\ud800"}',
        b'{"a":"' + b"x" * 257 + b'"}',
        b'{"a":1',
        b"\xff",
        b"",
    ],
    ids=["none", "null", "object", "array", "surrogate", "long", "cut", "bytes", "empty"],
)
def test_what_is_not(body: bytes) -> None:
    assert Fields(["/a"]).keys(body) == []


def test_keys_come_in_the_pointers_order_and_once() -> None:
    body = b'{"b":[{"c":1}],"a/b":"x"}'

    assert Fields(["/a~1b", "/none", "/b/0/c", "/a~1b"]).keys(body) == [
        expected("/a~1b", "x"),
        expected("/b/0/c", "1"),
    ]


@pytest.mark.parametrize("pointers", [[""], ["a"], ["/~2"], ["/a\0"], ["/a"] * 9])
def test_pointers_are_checked(pointers: list[str]) -> None:
    with pytest.raises(ValueError, match="JSON pointers"):
        Fields(pointers)
