"""Roles that build on roles."""

import itertools
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.access.permissions import PERMISSIONS, TENANT_ROLES, resolved
from crossdock.access.roles import rules
from crossdock.access.roles.model import Definition
from crossdock.errors import Forbidden, Invalid

NAMES = ("a", "b", "c", "d", "e")
SAMPLE = sorted(PERMISSIONS)[:6]

graphs = st.dictionaries(
    st.sampled_from(NAMES),
    st.builds(
        Definition,
        st.frozensets(st.sampled_from(SAMPLE), max_size=2),
        st.lists(st.sampled_from((*NAMES, "viewer")), max_size=3).map(tuple),
    ),
    min_size=1,
)


def role(*permissions: str, inherits: tuple[str, ...] = ()) -> Definition:
    return Definition(frozenset(permissions), inherits)


def reachable(name: str, custom: Mapping[str, Definition]) -> set[str]:
    """Return all roles that one builds on, itself only if it does: by brute force."""
    found = set(custom[name].inherits)
    for _ in custom:
        found |= {parent for one in found if one in custom for parent in custom[one].inherits}
    return found


@given(graphs)
def test_a_role_permits_what_all_below_it_do(custom: Mapping[str, Definition]) -> None:
    permits = rules.resolve(custom)
    for name in custom:
        expected = set(custom[name].permissions)
        for one in reachable(name, custom):
            if one in custom:
                expected |= custom[one].permissions
            elif one in TENANT_ROLES:
                expected |= resolved(one)
        assert permits[name] == expected


@given(graphs)
def test_a_circle_is_found_wherever_it_is(custom: Mapping[str, Definition]) -> None:
    for name in custom:
        way = rules.find_cycle(name, custom)
        assert bool(way) is (name in reachable(name, custom))
        if way:
            assert way[0] == way[-1] == name
            assert all(
                following in custom[one].inherits for one, following in itertools.pairwise(way)
            )


def test_a_role_permits_nothing_that_is_not_a_tenants() -> None:
    custom = {"odd": role("tenants:write", "gone:read", "events:read", inherits=("nobody",))}
    custom["operator"] = role(inherits=("platform-admin", "support"))
    assert rules.resolve(custom) == {"odd": {"events:read"}, "operator": frozenset()}


def test_a_wide_graph_is_resolved_in_no_time() -> None:
    """Each builds on both of the layer below: there are more ways than anyone could walk."""
    custom = {"l0-0": role("events:read"), "l0-1": role()}
    for layer in range(1, 50):
        below = (f"l{layer - 1}-0", f"l{layer - 1}-1")
        custom |= {f"l{layer}-{side}": role(inherits=below) for side in (0, 1)}
    assert rules.resolve(custom)["l49-1"] == {"events:read"}
    with pytest.raises(Invalid, match="breaks"):
        rules.check("l49-1", custom)


def test_depth_counts_the_longest_way() -> None:
    custom = {"r0": role()}
    for number in range(1, rules.MAX_DEPTH):
        custom[f"r{number}"] = role(inherits=(f"r{number - 1}", "owner"))
    rules.check(f"r{rules.MAX_DEPTH - 1}", custom)
    custom["low"] = role()
    custom["r0"] = role(inherits=("low",))
    with pytest.raises(Invalid):
        rules.check("r0", custom)


@pytest.mark.parametrize("name", ["owner", "viewer", "support", "platform-admin", "platform-"])
def test_names_that_mean_something_are_taken(name: str) -> None:
    with pytest.raises(Invalid):
        rules.check_name(name)


def test_nobody_hands_on_what_they_lack() -> None:
    rules.check_held({"a:read"}, frozenset({"a:read", "b:read"}))
    rules.check_held((), frozenset())
    with pytest.raises(Forbidden, match="b:read"):
        rules.check_held({"a:read", "b:read"}, frozenset({"a:read"}))
