"""The OpenAPI 3.1 document: what Litestar derives from the handlers, made true and complete.

`config` tells Litestar where it is served, `assemble` makes it. Litestar documents its own error
shape, which never leaves here: every error is a problem. It knows nothing of permissions, which are
on the handlers. And its schemas of msgspec Structs lose that unknown fields are refused, and the
rules of what lists hold: msgspec's own schemas do not.
"""

from gateway.openapi.config import PATH, config
from gateway.openapi.document import assemble

__all__ = ["PATH", "assemble", "config"]
