"""Rules of custom roles: what one permits, and what may become of it. Pure.

Roles build on others by name, so they form a graph. Writing keeps it free of cycles and shallow;
reading does not rely on it.
"""

from collections.abc import Collection, Mapping
from typing import Final

from crossdock.access.permissions import BUILT_IN, PERMISSIONS, TENANT_ROLES, resolved
from crossdock.access.roles.model import Definition
from crossdock.errors import Forbidden, Invalid, Violation

MAX_ROLES: Final = 100
"""Custom roles of one tenant."""

MAX_DEPTH: Final = 8
"""Custom roles in a chain, each building on the next."""

Definitions = Mapping[str, Definition]
"""Custom roles by name."""


def resolve(custom: Definitions) -> dict[str, frozenset[str]]:
    """Return all permissions of each custom role, inherited ones included.

    A role that there is not adds nothing, and neither does one that comes round again.
    """
    return {name: _permissions(name, custom) for name in custom}


def _permissions(name: str, custom: Definitions) -> frozenset[str]:
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        if one in custom:
            found |= custom[one].permissions
            waiting += custom[one].inherits
        elif one in TENANT_ROLES:
            found |= resolved(one)
    # What a release no longer knows permits nothing, and what operators may is not a tenant's.
    return frozenset(found & PERMISSIONS)


def check_name(name: str) -> None:
    """Check that a role may have this name.

    Raises:
        Invalid: it is one of those that come with Crossdock, or could be taken for one.
    """
    if name in BUILT_IN or name.startswith("platform-"):
        raise Invalid(None, Violation("/name", "Roles that come with Crossdock have this name."))


def check(name: str, custom: Definitions) -> None:
    """Check a role as it would be, among all others.

    Args:
        name: The role that is new or changed.
        custom: All custom roles, this one as it would be.

    Raises:
        Invalid: it names permissions or roles that don't exist, builds on itself, or too deeply.
    """
    role = custom[name]
    found = [
        Violation("/permissions", f"{permission!r} is no permission.")
        for permission in sorted(role.permissions - PERMISSIONS)
    ]
    found += [
        Violation(f"/inherits/{index}", f"There is no role {parent!r}.")
        for index, parent in enumerate(role.inherits)
        if parent not in custom and parent not in TENANT_ROLES
    ]
    if not found:
        found = _check_shape(name, custom)
    if found:
        raise Invalid(None, *found)


def _check_shape(name: str, custom: Definitions) -> list[Violation]:
    if cycle := find_cycle(name, custom):
        way = " → ".join(cycle)
        return [Violation("/inherits", f"A role can't build on itself: {way}.")]
    depths: dict[str, int] = {}
    if max(_depth(one, custom, depths) for one in custom) > MAX_DEPTH:
        limit = f"Roles may build on each other {MAX_DEPTH} deep, not deeper."
        return [Violation("/inherits", limit)]
    return []


def find_cycle(name: str, custom: Definitions) -> tuple[str, ...]:
    """Return a way from a role back to itself, or nothing."""
    ways: list[tuple[str, ...]] = [(name,)]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        for parent in custom[way[-1]].inherits:
            if parent == name:
                return (*way, name)
            if parent in custom and parent not in seen:
                seen.add(parent)
                ways.append((*way, parent))
    return ()


def _depth(name: str, custom: Definitions, known: dict[str, int]) -> int:
    """Return how many custom roles are in the longest chain from one; there are no cycles."""
    if name not in known:
        parents = [parent for parent in custom[name].inherits if parent in custom]
        known[name] = 1 + max((_depth(parent, custom, known) for parent in parents), default=0)
    return known[name]


def check_held(wanted: Collection[str], held: frozenset[str]) -> None:
    """Check that somebody may hand on these permissions, or take them from whoever has them.

    Raises:
        Forbidden: they do not hold all of them.
    """
    if missing := sorted(frozenset(wanted) - held):
        raise Forbidden(f"Nobody grants or changes what they do not hold: {', '.join(missing)}.")
