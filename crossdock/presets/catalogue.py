"""Looking into the catalogue, and what a source gets from it."""

from typing import Final

import msgspec

from crossdock.errors import Invalid, NotFound, Violation
from crossdock.inbound.model import Recipe, Scheme, Source
from crossdock.presets.model import Preset
from crossdock.presets.providers import PRESETS
from crossdock.validation import convert

CATALOGUE: Final[dict[str, Preset]] = {preset.name: preset for preset in PRESETS}
"""By name, in the order of the documentation."""


class Chosen(msgspec.Struct, frozen=True):
    """What a new source begins with."""

    scheme: Scheme
    recipe: Recipe
    is_proven: bool
    """Whether its signatures are checked as the catalogue says, so nobody need show an example."""


def find(name: str) -> Preset:
    """Return an entry.

    Raises:
        NotFound: the catalogue has none of that name.
    """
    preset = CATALOGUE.get(name)
    if preset is None:
        raise NotFound
    return preset


def of_source(source: Source) -> Preset:
    """Return the entry that a source was made from, or else that of its scheme."""
    return CATALOGUE.get(source.preset or "") or CATALOGUE.get(source.scheme) or CATALOGUE["none"]


def chosen(name: str | None, scheme: Scheme | None, recipe: Recipe) -> Chosen:
    """Return what a new source begins with: what it is given, and the rest from its preset.

    Raises:
        Invalid: neither a preset nor a scheme is named, or no such preset, or they contradict one
            another; or the preset's scheme is `none`, which must be named.
    """
    if name is None:
        if scheme is None:
            raise Invalid(None, Violation("/scheme", "Name a scheme, or a preset."))
        return Chosen(scheme, recipe, is_proven=scheme != "hmac")
    preset = CATALOGUE.get(name)
    if preset is None:
        raise Invalid(None, Violation("/preset", "The catalogue has no preset of this name."))
    if scheme not in {None, preset.scheme}:
        raise Invalid(None, Violation("/scheme", f"This preset's scheme is `{preset.scheme}`."))
    if preset.scheme == "none" and scheme is None:
        detail = "Nothing would be checked: the scheme `none` must be chosen by name."
        raise Invalid(None, Violation("/scheme", detail))
    # Member by member: what is given of `hmac`, say, takes the place of all that the preset has.
    mixed = convert(msgspec.to_builtins(preset.recipe) | msgspec.to_builtins(recipe), Recipe)
    return Chosen(preset.scheme, mixed, is_proven=mixed.hmac == preset.recipe.hmac)
