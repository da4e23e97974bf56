"""`/docs`: the document for people, in Swagger UI and in Redoc, with nothing from elsewhere.

Both come with a package of ours, not from a network of somebody else's, and their policies let a
browser load nothing but that. No script stands in a page: what starts them is a file of its own.
"""

from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from openapi_ui_bundles import redoc, swagger_ui

DOCUMENT: Final = "/schema/openapi.json"
SCRIPT: Final = "text/javascript"

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Both make style sheets as they run; whatever is a script is a file of ours."""

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Crossdock: the REST API</title>
{head}
</head>
<body>
<div id="api"></div>
<noscript>This page needs JavaScript. The document itself is at <a href="{document}">{document}</a>.
</noscript>
{scripts}
</body>
</html>
"""
SWAGGER: Final = _PAGE.format(
    document=DOCUMENT,
    head='<link rel="icon" href="/docs/assets/favicon-32x32.png">\n'
    '<link rel="stylesheet" href="/docs/assets/swagger-ui.css">',
    scripts='<script src="/docs/assets/swagger-ui-bundle.js"></script>\n'
    '<script src="/docs/assets/swagger.js"></script>',
).encode()
REDOC: Final = _PAGE.format(
    document=DOCUMENT,
    head='<link rel="icon" href="/docs/assets/favicon-32x32.png">',
    scripts='<script src="/docs/assets/redoc.standalone.js"></script>\n'
    '<script src="/docs/assets/redoc.js"></script>',
).encode()

_START_SWAGGER: Final = f"""SwaggerUIBundle({{
  url: "{DOCUMENT}",
  dom_id: "#api",
  deepLinking: true,
  docExpansion: "list",
  validatorUrl: null,
}});
"""
_START_REDOC: Final = f"""Redoc.init(
  "{DOCUMENT}",
  {{ disableSearch: true, expandResponses: "200,201,202" }},
  document.getElementById("api"),
);
"""


class _File(NamedTuple):
    """A file of a package."""

    folder: Path
    media_type: str
    replaced: tuple[bytes, bytes] | None = None
    """Something in it, and what is served in its place."""


_FILES: Final = {
    "swagger-ui.css": _File(swagger_ui.static_path, "text/css"),
    "swagger-ui-bundle.js": _File(swagger_ui.static_path, SCRIPT),
    "favicon-32x32.png": _File(swagger_ui.static_path, "image/png"),
    "redoc.standalone.js": _File(
        redoc.static_path,
        SCRIPT,
        (b"https://cdn.redoc.ly/redoc/logo-mini.svg", b"/docs/assets/logo-mini.svg"),
    ),
    "logo-mini.svg": _File(redoc.static_path, "image/svg+xml"),
}
_STARTS: Final = {
    "swagger.js": _START_SWAGGER.encode(),
    "redoc.js": _START_REDOC.encode(),
}


def asset(name: str) -> tuple[bytes, str] | None:
    """Return a file that the pages need, and its media type; `None` where there is no such file.

    The first time it reads from the disk.
    """
    if name in _STARTS:
        return _STARTS[name], SCRIPT
    return (_read(name), _FILES[name].media_type) if name in _FILES else None


@cache
def _read(name: str) -> bytes:
    """Return a package's file as it is served; it is read once."""
    file = _FILES[name]
    body = (file.folder / name).read_bytes()
    return body if file.replaced is None else body.replace(*file.replaced)
