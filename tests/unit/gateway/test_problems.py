"""Problems: one shape, stable types, and a page that explains each."""

import re
from pathlib import Path

import msgspec
import pytest

from crossdock import errors
from crossdock.errors import Violation
from gateway import problems

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")


def kinds(root: type[errors.CrossdockError]) -> list[type[errors.CrossdockError]]:
    return [root, *(kind for child in root.__subclasses__() for kind in kinds(child))]


@pytest.mark.parametrize(
    "name",
    sorted(
        {
            str(kind.__dict__["problem"])
            for kind in kinds(errors.CrossdockError)
            if "problem" in kind.__dict__ and kind is not errors.Refused
        }
        | {"internal", "method-not-allowed"}
    ),
)
def test_every_type_is_explained(name: str) -> None:
    kind = problems.problem(400, name).type
    assert re.search(rf"^\| \d{{3}} \| `{re.escape(kind)}` \|", PAGE, re.MULTILINE), kind


def test_members_without_a_value_are_left_out() -> None:
    text = problems.encode(problems.problem(404, "not-found"))
    assert text == b'{"type":"/problems/not-found","title":"Not Found","status":404}'


def test_violations_are_named() -> None:
    problem = problems.problem(422, "invalid", "It is.", errors=(Violation("/a", "Wrong."),))
    assert msgspec.json.decode(problems.encode(problem))["errors"] == [
        {"pointer": "/a", "detail": "Wrong."}
    ]


def test_too_many_requests_has_the_registered_type() -> None:
    kind = problems.problem(429, "quota-exceeded").type
    assert kind == "https://iana.org/assignments/http-problem-types#quota-exceeded"
