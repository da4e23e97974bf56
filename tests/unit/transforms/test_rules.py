"""What a script must be, told before any of it is run."""

import pytest

from crossdock.transforms.rules import MAX_SOURCE_BYTES, check_transform, says_json

PLAIN = "function transform(event) { return event; }"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        f"const rate = 1.2;\n{PLAIN}",
        f"while (true);\n{PLAIN}",
        f"throw new Error('at once');\n{PLAIN}",
        f"/* ä */ {PLAIN}",
        PLAIN + " " * (MAX_SOURCE_BYTES - len(PLAIN)),
    ],
    ids=["plain", "more", "spins", "throws", "unicode", "longest"],
)
def test_a_script_is_taken_and_not_run(text: str) -> None:
    assert check_transform(text) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "function transform"),
        ("const a = 1;", "function transform"),
        ("const transform = () => 1;", "function transform"),
        ("async function transform(event) {}", "plain function"),
        ("function* transform(event) {}", "plain function"),
        ("function transform(event) {\n  return {a: };\n}", "Line 2, column"),
        ("import os from 'os';\n" + PLAIN, "Line 1"),
        (PLAIN + "\nexport default transform;", "Line 2"),
        (PLAIN + "(" * 20_000, ""),
        (PLAIN + "[" * 20_000, ""),
        (PLAIN + "\0", ""),
        (PLAIN + "\ud800", "Unicode"),
        (PLAIN + " " * MAX_SOURCE_BYTES, "32 KiB"),
        ("ä" * (MAX_SOURCE_BYTES // 2 + 1), "32 KiB"),
        ("with (event) { function transform() {} }", ""),
    ],
)
def test_what_is_no_script_is_told(text: str, words: str) -> None:
    (found,) = check_transform(text, "/here")
    assert found.pointer == "/here"
    assert words in found.detail


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("text/json", True),
        ("application/cloudevents+json", True),
        ("text/plain", False),
        ("", False),
        ("application/jsonp", False),
    ],
)
def test_json_is_known_by_its_media_type(content_type: str, *, expected: bool) -> None:
    assert says_json(content_type) is expected
