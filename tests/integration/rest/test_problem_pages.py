"""A problem's `type` leads to a page that explains it."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from gateway.problems.types import TYPES, ProblemType

HTML = "text/html; charset=utf-8"


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src", "action"}]
        assert not any(name.startswith("on") or name == "style" for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.words += data


async def page_of(client: Any, path: str) -> Page:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == HTML
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "public" in answer.headers["cache-control"]
    page = Page(answer.text)
    assert not {"script", "style", "link", "img", "iframe", "form"} & set(page.tags)
    return page


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
async def test_every_type_has_a_page_for_everybody(anonymous: Any, kind: ProblemType) -> None:
    page = await page_of(anonymous, f"/problems/{kind.name}")
    words = re.sub(r"\s+", " ", page.words)
    for text in (kind.title, kind.uri, str(kind.status), kind.meaning, kind.remedy):
        assert text.replace("`", "") in words, text
    assert page.links == ["/problems"]


async def test_the_index_leads_to_every_page(anonymous: Any) -> None:
    index = await page_of(anonymous, "/problems")
    assert index.links == [f"/problems/{kind.name}" for kind in TYPES]


async def test_a_type_in_an_answer_can_be_followed(alice: Any, anonymous: Any) -> None:
    problem = (await alice.http.get("/v1/sources/src_1")).json()
    page = await page_of(anonymous, problem["type"])
    assert problem["title"] in page.words


@pytest.mark.parametrize("name", ["nothing", "%3Cscript%3E", "..%2f", "internal.md", "INTERNAL"])
async def test_a_page_that_is_none_is_a_problem(anonymous: Any, name: str) -> None:
    answer = await anonymous.get(f"/problems/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "<" not in answer.text
