"""Problems: one shape, and a registry of types that everything keeps to."""

import ast
import re
from pathlib import Path

import msgspec
import pytest

from crossdock import errors
from crossdock.errors import Violation
from gateway import problems
from gateway.problems import pages
from gateway.problems.types import BY_NAME, TYPES, ProblemType

ROOT = Path(__file__).parents[3]
OF_THE_NATIVE_CHECKS = {
    "body-malformed",
    "signature-invalid",
    "signature-missing",
    "timestamp-outside-tolerance",
}
"""Names that come out of the extension: `native/src/signatures/mod.rs`."""


def kinds(root: type[errors.CrossdockError]) -> list[type[errors.CrossdockError]]:
    return [root, *(kind for child in root.__subclasses__() for kind in kinds(child))]


def raised() -> set[tuple[int, str]]:
    """What our own errors answer with."""
    refused = {
        (kind.status, kind.problem)
        for kind in kinds(errors.Refused)
        if issubclass(kind, errors.Refused) and kind is not errors.Refused
    }
    away = {
        (503, kind.problem)
        for kind in kinds(errors.Unavailable)
        if issubclass(kind, errors.Unavailable)
    }
    return refused | away


def written() -> set[tuple[int, str]]:
    """What the gateway's code names itself: `problem(404, "unknown-source", ...)`."""
    found = set()
    for file in (ROOT / "gateway").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=called, args=[ast.Constant(int(status)), ast.Constant(str(name)), *_]
                ):
                    if ast.unparse(called).rpartition(".")[2].endswith("problem"):
                        found.add((status, name))
                case _:
                    pass
    return found


def test_every_error_has_a_registered_type_with_its_status() -> None:
    known = {(kind.status, kind.name) for kind in TYPES}
    assert raised() <= known
    assert written() <= known


def test_no_type_is_registered_in_vain() -> None:
    named = {name for _, name in raised() | written()} | OF_THE_NATIVE_CHECKS
    assert set(BY_NAME) == named


def test_the_native_checks_name_what_is_registered() -> None:
    source = (ROOT / "native" / "src" / "signatures" / "mod.rs").read_text(encoding="utf-8")
    assert set(re.findall(r'Self::\w+ => "([a-z-]+)",', source)) >= OF_THE_NATIVE_CHECKS
    assert all(BY_NAME[name].status in {400, 401} for name in OF_THE_NATIVE_CHECKS)


def test_a_name_stands_for_one_type() -> None:
    assert len(BY_NAME) == len(TYPES)
    assert [kind.status for kind in TYPES] == sorted(kind.status for kind in TYPES)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in BY_NAME)


@pytest.mark.parametrize(("status", "name"), [(404, "lost"), (400, "not-found"), (400, "")])
def test_a_type_that_is_not_registered_is_a_fault_of_ours(status: int, name: str) -> None:
    with pytest.raises(LookupError, match=str(status)):
        problems.problem(status, name)


def test_members_without_a_value_are_left_out() -> None:
    text = problems.encode(problems.problem(404, "not-found"))
    title = b"There is no such thing here"
    assert text == b'{"type":"/problems/not-found","title":"%s","status":404}' % title


def test_violations_are_named() -> None:
    problem = problems.problem(422, "invalid", "It is.", errors=(Violation("/a", "Wrong."),))
    assert msgspec.json.decode(problems.encode(problem))["errors"] == [
        {"pointer": "/a", "detail": "Wrong."}
    ]


def test_too_many_requests_has_the_registered_type() -> None:
    kind = problems.problem(429, "quota-exceeded").type
    assert kind == "https://iana.org/assignments/http-problem-types#quota-exceeded"


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/v1/sources/src_1", "/v1/sources/src_1"),
        ('/v1/ü"<\x00\n%', "/v1/%C3%BC%22%3C%00%0A%25"),
        ("/\udc80", "/%3F"),
        ("//evil.example/?a#b", "/%2Fevil.example/%3Fa%23b"),
    ],
)
def test_an_instance_is_a_reference_to_a_path(path: str, shown: str) -> None:
    assert problems.instance_of(path) == shown


def test_the_pages_in_the_docs_are_those_of_the_registry() -> None:
    folder = ROOT / "docs" / "problems"
    there = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}
    assert there == pages.markdown(), "they are old: run `make docs`"


def test_old_pages_go_when_new_ones_are_written(tmp_path: Path) -> None:
    (tmp_path / "gone.md").write_text("old", encoding="utf-8")
    pages.write(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == set(pages.markdown())


def test_a_page_shows_text_as_text() -> None:
    kind = ProblemType(
        name="odd", status=400, title="<b>&", meaning='`<i>` "x"', remedy="</p><script>"
    )
    page = pages.html_of(kind).decode()
    assert "<b>" not in page
    assert "<script" not in page
    assert "<code>&lt;i&gt;</code> &quot;x&quot;" in page
    assert page.count("&lt;b&gt;&amp;") == 2, "in the title and in the heading"


def test_the_api_page_leads_to_every_type() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert "](problems/README.md)" in page
    index = pages.markdown()[pages.INDEX]
    assert all(f"]({name}.md)" in index for name in BY_NAME)
