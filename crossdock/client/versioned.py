"""What can be edited, with the version that was read."""

import msgspec


class Versioned(msgspec.Struct, frozen=True, kw_only=True):
    """Something that has an `ETag` when it is read by itself."""

    etag: str | None = None
    """Of the version that was read, to be given as `if_match`; `None` in lists."""
