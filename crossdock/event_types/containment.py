"""Whether one schema accepts all that others accept together: a proof, or what stands against it.

Nothing is said to be accepted that isn't: what has no proof is a finding. Schemas may be recursive.
A claim about two of them may be assumed while it is being proved, where what it is assumed of is a
smaller part of the instance.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Literal

import msgspec

from crossdock.event_types import keywords, parts
from crossdock.event_types.claims import Clauses, accepts
from crossdock.event_types.documents import Node, made

BUDGET: Final = 50_000
"""Members of schemas that are looked at before the answer is that nobody knows."""
MAX_DEPTH: Final = 70
MAX_BRANCHES: Final = 100
_CONDITIONAL: Final = ("if", "then", "else")

Kind = Literal["breaking", "unknown"]
_State = tuple[frozenset[tuple[str, str]], tuple[str, str]]


class Finding(msgspec.Struct, frozen=True):
    """Something that is not proved."""

    place: str
    """A JSON pointer into the document that refuses it."""
    kind: Kind
    what: str
    """What is refused there, as a noun; of an unknown, the keyword that can't be judged."""


class Proof:
    """One proof; ask once."""

    def __init__(self) -> None:
        self._left = BUDGET
        self._level = 0
        """How many parts of parts the claim at hand is below the whole instance."""
        self._assumed: dict[_State, tuple[int, int]] = {}
        """How many had been assumed before it, and its level."""
        self._lowest = 0
        """The first assumption that was used of late, by its place among all."""
        self._known: dict[_State, Sequence[Finding]] = {}

    def check(self, given: Sequence[Node], wanted: Node) -> Sequence[Finding]:
        """Return what stands against it that `wanted` accepts all that all of `given` accept."""
        state = (frozenset(node.key for node in given), wanted.key)
        if state in self._known:
            return self._known[state]
        depth, outer = len(self._assumed), self._lowest
        if self._left < 0 or depth > MAX_DEPTH:
            return (_too_much(wanted),)
        if state in self._assumed:
            place, level = self._assumed[state]
            self._lowest = min(self._lowest, place)
            is_smaller = level < self._level
            return () if is_smaller else (Finding(wanted.place, "unknown", "a circle"),)
        self._assumed[state], self._lowest = (depth, self._level), depth
        found = self._prove(given, wanted)
        del self._assumed[state]
        if self._left >= 0 and self._lowest >= depth:
            self._known[state] = found
        self._lowest = min(outer, self._lowest)
        return found

    def _prove(self, given: Sequence[Node], wanted: Node) -> Sequence[Finding]:
        clauses = Clauses.of(given)
        self._left -= _cost(clauses, wanted)
        if self._left < 0:
            return (_too_much(wanted),)
        if wanted.schema is True or clauses.is_nothing or clauses.has(wanted):
            return ()
        if wanted.schema is False:
            return (Finding(wanted.place, "breaking", "whatever stands here"),)
        values = clauses.values
        if values is not None and wanted.is_closed:
            return _refused_values(clauses, values, wanted)
        found = tuple(dict.fromkeys(self._against(clauses, wanted)))
        cases = _cases(clauses) if found else ()
        if cases and not any(self.check((*clauses.nodes, case), wanted) for case in cases):
            return ()
        return found

    def _against(self, clauses: Clauses, wanted: Node) -> Iterator[Finding]:
        """Yield what stands against each of a schema's keywords."""
        for place, kind, what in keywords.simple(clauses, wanted):
            yield Finding(place, kind, what)
        for claim in parts.claims(clauses, wanted):
            yield from self._below(claim)
        given = clauses.nodes
        for one in wanted.each("allOf"):
            yield from self.check(given, one)
        if wanted.get("$ref") is not None:
            target = wanted.target()
            if target is not None:
                yield from self.check(given, target)
            else:
                yield Finding(wanted.at("$ref"), "unknown", "`$ref`")
        yield from self._branches(clauses, wanted)
        if (refused := wanted.one("not")) is not None:
            yield from self._refuses(clauses, wanted, refused)
        if wanted.get("if") is not None and not clauses.share(wanted, *_CONDITIONAL):
            for name in ("then", "else"):
                if (branch := wanted.one(name)) is not None and self.check(given, branch):
                    yield Finding(wanted.at(name), "unknown", "`if`")

    def _below(self, claim: parts.Claim) -> Sequence[Finding]:
        """Return what stands against a claim: against its first way, where none succeeds."""
        first: Sequence[Finding] | None = None
        self._level += claim.is_deeper
        for way in claim.ways:
            against = [one for given, wanted in way for one in self.check(given, wanted)]
            first = against if first is None or not against else first
        self._level -= claim.is_deeper
        return (Finding(claim.place, claim.kind, claim.what),) if first is None else first

    def _branches(self, clauses: Clauses, wanted: Node) -> Iterator[Finding]:
        """Yield what stands against `anyOf` and `oneOf`: one branch has to accept it all.

        Where the instance is one of several cases, the caller tries them one by one.
        """
        for keyword in ("anyOf", "oneOf"):
            if wanted.get(keyword) is None or clauses.share(wanted, keyword):
                continue
            branches = list(wanted.each(keyword))
            is_sure = keyword == "anyOf" or keywords.exclude_each_other(branches)
            # Of one case a branch is more easily found than of all.
            if not is_sure or _cases(clauses) or not self._finds(clauses, branches):
                yield Finding(wanted.at(keyword), "unknown", f"`{keyword}`")

    def _finds(self, clauses: Clauses, branches: Sequence[Node]) -> bool:
        """Tell whether one of these accepts it all; those that look the same are tried first."""
        known = {node.text for node in clauses.nodes}
        likely = sorted(branches, key=lambda one: one.text not in known)
        return any(not self.check(clauses.nodes, one) for one in likely)

    def _refuses(self, clauses: Clauses, wanted: Node, refused: Node) -> Iterator[Finding]:
        """Yield what stands against it that what `wanted` refuses was refused before."""
        if Clauses.of((*clauses.nodes, refused)).is_nothing:
            return
        before = (one for node in clauses.nodes if (one := node.one("not")) is not None)
        if all(self.check((refused,), one) for one in before):
            yield Finding(wanted.at("not"), "unknown", "`not`")


def _cost(clauses: Clauses, wanted: Node) -> int:
    """Return about how many members a claim makes one look at."""
    cost = 1 + wanted.size + sum(node.size for node in clauses.nodes)
    rules = sum(len(node.get("patternProperties") or ()) for node in clauses.nodes)
    if rules:
        names = sum(len(node.get("properties") or ()) for node in (*clauses.nodes, wanted))
        cost += rules * names
    values = clauses.values
    return cost if values is None else cost + len(values) * len(clauses.nodes)


def _too_much(wanted: Node) -> Finding:
    return Finding(wanted.place, "unknown", "a schema of this size")


def _refused_values(clauses: Clauses, values: Sequence[object], wanted: Node) -> Sequence[Finding]:
    """Return the values that a schema refuses and that are accepted by all that is known."""
    refused = (
        value
        for value in values
        if not accepts(wanted, value)
        and all(accepts(node, value) is not False for node in clauses.nodes if node.is_closed)
    )
    return tuple(
        Finding(wanted.place, "breaking", f"the value {keywords.shown(value)}") for value in refused
    )


def _cases(clauses: Clauses) -> Sequence[Node]:
    """Return cases of which one is sure to hold, where there are such that were not split yet."""
    known = {node.key for node in clauses.nodes}
    for node in clauses.nodes:
        for keyword in ("anyOf", "oneOf"):
            branches = list(node.each(keyword))
            if 0 < len(branches) <= MAX_BRANCHES and known.isdisjoint(one.key for one in branches):
                return branches
    names = keywords.type_names(clauses.kinds)
    return [made({"type": name}) for name in names] if len(names) > 1 else ()
