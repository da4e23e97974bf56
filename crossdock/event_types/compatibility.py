"""What a change of a schema means for payloads and for those who read them. Pure."""

from typing import Final, Literal

import msgspec

from crossdock.event_types.containment import Finding, Proof
from crossdock.event_types.documents import Document, bare, canonical, parse

Policy = Literal["none", "backward", "full"]
Verdict = Literal["breaking", "compatible", "unknown"]

MAX_DIFFERENCES: Final = 100
_RANK: Final[dict[Verdict, int]] = {"breaking": 0, "unknown": 1, "compatible": 2}


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A place where one of two schemas refuses what the other accepts."""

    pointer: str
    """A JSON pointer into the schema that refuses it: the new one, unless only the old one did."""
    detail: str
    backward: Verdict
    """Whether all that the old one accepts is accepted by the new one, as far as this goes."""
    full: Verdict
    """Whether that is so the other way round as well."""


def compare(old: str, new: str) -> list[Difference]:
    """Return where two schemas differ in what they accept: what breaks most comes first.

    It is a proof that all is accepted which was accepted, wherever none of the differences is said
    to be `breaking` or `unknown`. There may be more than are returned; never of a kind that none of
    those returned is of.

    Args:
        old: JSON text of a schema that `crossdock.native.Schema` takes.
        new: another.

    Raises:
        Invalid: one of them is not JSON.
    """
    before, after = bare(parse(old)), bare(parse(new))
    if canonical(before) == canonical(after):
        return []
    documents = Document("old", before), Document("new", after)
    if any(document.has_resources for document in documents):
        detail = "Schemas with an `$id` below their root can't be compared."
        return [Difference(pointer="", detail=detail, backward="unknown", full="unknown")]
    left, right = (document.root for document in documents)
    refused, admitted = Proof().check((left,), right), Proof().check((right,), left)
    found = [
        Difference(pointer=one.place, detail=_refused(one), backward=one.kind, full=one.kind)
        for one in refused
    ]
    found += [
        Difference(pointer=one.place, detail=_admitted(one), backward="compatible", full=one.kind)
        for one in admitted
    ]
    return sorted(found, key=lambda one: (_RANK[one.backward], _RANK[one.full]))[:MAX_DIFFERENCES]


def against(differences: list[Difference], policy: Policy) -> list[Difference]:
    """Return the differences that a policy does not allow; what nobody knows is not allowed."""
    if policy == "none":
        return []
    return [
        one
        for one in differences
        if (one.backward if policy == "backward" else one.full) != "compatible"
    ]


def _refused(finding: Finding) -> str:
    if finding.kind == "unknown":
        return f"Nobody can tell whether {finding.what} refuses something that was accepted."
    return f"This refuses {finding.what}, which may have been accepted."


def _admitted(finding: Finding) -> str:
    if finding.kind == "unknown":
        return f"Nobody can tell whether {finding.what} refused something that is accepted now."
    return f"This refused {finding.what}, which may be accepted now."
