"""What the keywords with schemas below them need in proof: claims about parts of an instance."""

from collections.abc import Iterator, Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from crossdock.event_types.claims import Clauses, matches
from crossdock.event_types.documents import Node, made
from crossdock.event_types.keywords import number, shown

Way: TypeAlias = Sequence[tuple[tuple[Node, ...], Node]]
"""Pairs that all have to hold: what is known of a part, and what it has to be accepted by."""

_STRING: Final = {"type": "string"}


class Claim(msgspec.Struct, frozen=True):
    """That each instance fits below one keyword."""

    place: str
    ways: Sequence[Way]
    """Any one of them is enough."""
    what: str
    """What is refused where there is no way at all."""
    kind: Literal["breaking", "unknown"] = "breaking"
    is_deeper: bool = True
    """Whether it is about parts of the instance, not about itself."""


def claims(clauses: Clauses, wanted: Node) -> Iterator[Claim]:
    """Yield what has to be proved of an instance's parts."""
    if "object" in clauses.kinds:
        yield from _named(clauses, wanted)
        yield from _patterned(clauses, wanted)
        yield from _others(clauses, wanted)
        yield from _names(clauses, wanted)
        yield from _dependent(clauses, wanted)
    if "array" in clauses.kinds:
        yield from _items(clauses, wanted)
        yield from _contained(clauses, wanted)


def _named(clauses: Clauses, wanted: Node) -> Iterator[Claim]:
    for name, one in wanted.named("properties").items():
        if one.schema is not True:
            yield Claim(one.place, [[(_property(clauses, name), one)]], "")


def _property(clauses: Clauses, name: str) -> tuple[Node, ...]:
    """Return what is known of a property."""
    found: list[Node] = []
    for node in clauses.nodes:
        is_named = name in (node.get("properties") or ())
        if is_named:
            found.append(node.below("properties", name))
        fits = [(one, matches(rule, name)) for rule, one in node.named("patternProperties").items()]
        found += [one for one, does in fits if does]
        others = node.one("additionalProperties")
        if others is not None and not is_named and all(does is False for _, does in fits):
            found.append(others)
    return tuple(found)


def _patterned(clauses: Clauses, wanted: Node) -> Iterator[Claim]:
    for rule, one in wanted.named("patternProperties").items():
        ways: list[Way] = []
        for node in clauses.nodes:
            same = node.named("patternProperties").get(rule)
            if same is not None:
                ways.append([((same,), one)])
            if (others := node.one("additionalProperties")) is not None:
                named = [
                    (_property(clauses, name), one)
                    for name in node.named("properties")
                    if matches(rule, name) is not False
                ]
                some = [((known,), one) for known in node.named("patternProperties").values()]
                ways.append([*named, *some, ((others,), one)])
        yield Claim(one.place, ways, f"properties whose names match {shown(rule)}")


def _others(clauses: Clauses, wanted: Node) -> Iterator[Claim]:
    one = wanted.one("additionalProperties")
    if one is None or one.schema is True:
        return
    named, rules = wanted.named("properties"), wanted.named("patternProperties")
    ways: list[Way] = []
    for node in clauses.nodes:
        if (others := node.one("additionalProperties")) is None:
            continue
        more = [
            (_property(clauses, name), one)
            for name in node.named("properties")
            if name not in named and not any(matches(rule, name) for rule in rules)
        ]
        some = [
            ((known,), one)
            for rule, known in node.named("patternProperties").items()
            if rule not in rules
        ]
        ways.append([*more, *some, ((others,), one)])
    yield Claim(one.place, ways, "properties that are not named")


def _names(clauses: Clauses, wanted: Node) -> Iterator[Claim]:
    one = wanted.one("propertyNames")
    if one is None:
        return
    ways: list[Way] = []
    for node in clauses.nodes:
        if (known := node.one("propertyNames")) is not None:
            ways.append([((known, made(_STRING)), one)])
        if node.get("additionalProperties") is False and not node.named("patternProperties"):
            ways.append([((made({"const": name}),), one) for name in node.named("properties")])
    yield Claim(one.place, ways, "names of properties")


def _dependent(clauses: Clauses, wanted: Node) -> Iterator[Claim]:
    for name, one in wanted.named("dependentSchemas").items():
        known = [
            node.below("dependentSchemas", name)
            for node in clauses.nodes
            if name in (node.get("dependentSchemas") or ())
        ]
        given = (*clauses.nodes, *known, made({"required": [name]}))
        yield Claim(one.place, [[(given, one)]], "", is_deeper=False)


def _items(clauses: Clauses, wanted: Node) -> Iterator[Claim]:
    longest = min(
        (n for one in clauses.all("maxItems") if (n := number(one)) is not None), default=None
    )
    prefix = list(wanted.each("prefixItems"))
    for index, one in enumerate(prefix):
        if longest is None or index < longest:
            yield Claim(one.place, [[(_item(clauses, index), one)]], "")
    rest = wanted.one("items")
    if rest is None or rest.schema is True:
        return
    known = max((len(list(node.each("prefixItems"))) for node in clauses.nodes), default=0)
    way = [
        (_item(clauses, index), rest)
        for index in range(len(prefix), known)
        if longest is None or index < longest
    ]
    if longest is None or max(known, len(prefix)) < longest:
        way.append((tuple(filter(None, (node.one("items") for node in clauses.nodes))), rest))
    yield Claim(rest.place, [way], "")


def _item(clauses: Clauses, index: int) -> tuple[Node, ...]:
    """Return what is known of an array's item."""
    found = []
    for node in clauses.nodes:
        prefix = node.get("prefixItems")
        if isinstance(prefix, list) and index < len(prefix):
            found.append(node.below("prefixItems", index))
        elif (rest := node.one("items")) is not None:
            found.append(rest)
    return tuple(found)


def _contained(clauses: Clauses, wanted: Node) -> Iterator[Claim]:
    one = wanted.one("contains")
    if one is None:
        return
    least, most = _counts(wanted)
    if least == 0 and most is None:
        return
    ways: list[Way] = []
    has_some = False
    for node in clauses.nodes:
        if (known := node.one("contains")) is None:
            continue
        has_some = True
        before, limit = _counts(node)
        if before >= least and most is None:
            ways.append([((known,), one)])
        is_same = one.is_closed and one.text == known.text
        if before >= least and most is not None and limit is not None and is_same and limit <= most:
            ways.append([])
    kind: Literal["breaking", "unknown"] = "unknown" if has_some else "breaking"
    what = "`contains`" if has_some else "arrays that don't have the items they are to contain"
    yield Claim(one.place, ways, what, kind)


def _counts(node: Node) -> tuple[float, float | None]:
    """Return how many items are to be contained, and how many may be."""
    least, most = number(node.get("minContains")), number(node.get("maxContains"))
    return 1 if least is None else float(least), None if most is None else float(most)
