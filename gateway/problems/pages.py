"""The pages of problem types: what `type` leads to, and the same as Markdown in `docs/problems/`.

`python -m gateway.problems.pages docs/problems` writes the Markdown.
"""

import re
import sys
from html import escape
from pathlib import Path
from typing import Final

from gateway.problems.types import BY_NAME, TYPES, ProblemType

INDEX: Final = "README.md"

_CODE: Final = re.compile(r"`([^`]*)`")
_INTRODUCTION: Final = (
    "Every error is `application/problem+json` (RFC 9457). Programs compare `type`; the page of"
    " each says what it means, and what to do."
)
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
</head>
<body>
<main>
<h1>{title}</h1>
{content}
</main>
</body>
</html>
"""


def html_of(kind: ProblemType) -> bytes:
    """Return the page of a type; it needs neither scripts nor styles."""
    content = [
        f"<p><code>{escape(kind.uri)}</code>, status {kind.status}{_whom(kind)}</p>",
        f"<p>{_marked_up(kind.meaning)}</p>",
        "<h2>What to do</h2>",
        f"<p>{_marked_up(kind.remedy)}</p>",
        '<p><a href="/problems">All problems</a></p>',
    ]
    return _page(kind.title, content)


def html_index() -> bytes:
    """Return the page that leads to all the others."""
    items = (
        f'<li>{kind.status} <a href="/problems/{escape(kind.name)}">{escape(kind.name)}</a>:'
        f" {escape(kind.title)}</li>"
        for kind in TYPES
    )
    return _page("Problems", [f"<p>{_marked_up(_INTRODUCTION)}</p>", "<ul>", *items, "</ul>"])


def markdown() -> dict[str, str]:
    """Return all pages as Markdown, by their files' names."""
    rows = (f"| {kind.status} | [`{kind.name}`]({kind.name}.md) | {kind.title} |" for kind in TYPES)
    table = ("| status | name | title |", "| --- | --- | --- |", *rows)
    index = f"# Problems\n\n{_INTRODUCTION}\n\n" + "\n".join(table) + "\n"
    return {INDEX: index} | {f"{kind.name}.md": _markdown_of(kind) for kind in TYPES}


def write(folder: Path) -> None:
    """Write the Markdown into a folder, and remove pages there of types that are no more."""
    pages = markdown()
    for old in folder.glob("*.md"):
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")


def _markdown_of(kind: ProblemType) -> str:
    return (
        f"# {kind.title}\n\n"
        f"`{kind.uri}`, status {kind.status}{_whom(kind)}\n\n"
        f"{kind.meaning}\n\n"
        f"**What to do.** {kind.remedy}\n\n"
        f"[All problems]({INDEX})\n"
    )


def _whom(kind: ProblemType) -> str:
    return "; only senders of webhooks meet it" if kind.is_ingest_only else ""


def _page(title: str, content: list[str]) -> bytes:
    return _PAGE.format(title=escape(title), content="\n".join(content)).encode()


def _marked_up(text: str) -> str:
    """Return a text of the registry as HTML."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


PAGES: Final = {name: html_of(kind) for name, kind in BY_NAME.items()}
INDEX_PAGE: Final = html_index()

if __name__ == "__main__":
    write(Path(sys.argv[1]))
