"""Problems as the client raises them."""

import httpx
import msgspec
import pytest

from crossdock.client import errors
from crossdock.client.errors import ProblemError, refusal
from gateway import problems
from gateway.problems.types import TYPES


def raised(status: int, body: bytes, media_type: str = problems.CONTENT_TYPE) -> ProblemError:
    return refusal(httpx.Response(status, content=body, headers={"content-type": media_type}), None)


def test_each_type_that_the_api_answers_has_a_class_of_its_own() -> None:
    seen = {}
    for kind in TYPES:
        if not kind.is_ingest_only:
            body = msgspec.json.encode({"type": kind.uri, "status": kind.status})
            found = raised(kind.status, body)
            assert found.problem_type == kind.name
            seen[kind.name] = type(found)
    assert len(set(seen.values())) == len(seen)
    assert set(seen) == set(errors.BY_TYPE), "no class is of a problem that there is not"


def test_a_status_stands_in_for_a_type_that_is_not_known() -> None:
    body = b'{"type": "/problems/made-tomorrow", "status": 404, "detail": "Gone fishing."}'
    found = raised(404, body)
    assert isinstance(found, errors.NotFound)
    assert found.problem.detail == "Gone fishing."
    assert type(raised(418, b"{}")) is ProblemError
    assert type(raised(502, b"{}")) is errors.ServerError


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"status": "x"}', b"[]", b"\xff"])
def test_what_is_no_problem_is_still_an_error_of_its_status(body: bytes) -> None:
    for media_type in (problems.CONTENT_TYPE, "text/html"):
        found = raised(503, body, media_type)
        assert isinstance(found, errors.Unavailable)
        assert found.problem.title == "Service Unavailable"


def test_its_words_say_what_is_wrong_and_where() -> None:
    found = raised(
        422,
        b'{"type": "/problems/invalid", "title": "Invalid", "status": 422, "detail": "No.",'
        b' "errors": [{"pointer": "/name", "detail": "Too long."}]}',
    )
    assert isinstance(found, errors.Invalid)
    assert str(found) == "422 /problems/invalid: No.; /name: Too long."
    assert found.errors[0].pointer == "/name"


def test_a_limit_that_was_reached_is_named() -> None:
    body = b'{"type": "https://iana.org/assignments/http-problem-types#quota-exceeded",'
    found = raised(429, body + b' "status": 429, "violated-policies": ["tenant"]}')
    assert isinstance(found, errors.TooManyRequests)
    assert found.problem.violated_policies == ["tenant"]
