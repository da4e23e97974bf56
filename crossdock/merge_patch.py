"""JSON Merge Patch, RFC 7396: what PATCH means everywhere in the REST API."""

from collections.abc import Mapping
from typing import Any


def apply(target: Any, patch: Any) -> Any:
    """Return `target` with `patch` merged in: member by member, and `None` removes.

    Neither argument is changed. This is the algorithm of RFC 7396, section 2.
    """
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = apply(merged.get(name), value)
    return merged
