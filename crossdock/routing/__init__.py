"""Which destinations want an event, and why the others don't: source, type, filter, order's line.

`model` is what is judged and what comes of it, `rules` checks a filter before it is saved and
judges by one call of `crossdock.native`. Whoever routes many events of a tenant keeps a `Matcher`.
"""

from crossdock.routing.model import Judged, Subject
from crossdock.routing.rules import check_filter, judge, judge_many, matcher

__all__ = ["Judged", "Subject", "check_filter", "judge", "judge_many", "matcher"]
