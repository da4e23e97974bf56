"""Trying a recipe on a webhook: does it verify, and if not, what would? Pure."""

from crossdock.inbound.sources.recipes.hints import hints
from crossdock.inbound.sources.recipes.trial import Checked, Hint, moment_of, tried

__all__ = ["Checked", "Hint", "hints", "moment_of", "tried"]
