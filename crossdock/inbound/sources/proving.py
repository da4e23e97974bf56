"""Why to believe that a recipe is right: an example that verifies by it, or its owner's word."""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from crossdock import native
from crossdock.errors import Invalid, RecipeMismatch, Violation
from crossdock.inbound.model import Recipe, Scheme
from crossdock.inbound.sources.examples import Pasted
from crossdock.inbound.sources.recipes import Checked, hints, tried
from crossdock.inbound.sources.recipes.trial import Attempt
from crossdock.inbound.sources.rules import complete_recipe


class Proof(msgspec.Struct, frozen=True):
    """What is brought forward for a recipe."""

    example: Pasted | None = None
    unchecked: bool = False
    """Its owner has no example, and knows that nothing was checked."""


UNCHECKED: Final = Proof(unchecked=True)


async def check(scheme: Scheme, recipe: Recipe, secrets: Sequence[str], proof: Proof) -> None:
    """Check a recipe before it is saved.

    Args:
        scheme: Of the source.
        recipe: A new one of the scheme `hmac`, or any with an example.
        secrets: The live ones that were given; one that was made here has signed nothing yet.
        proof: What is brought forward for it.

    Raises:
        Invalid: there is neither an example nor a word, or no secret that could have signed it.
        RecipeMismatch: the example does not verify; the violations say what would.
    """
    if proof.example is None:
        if scheme == "hmac" and not proof.unchecked:
            detail = "Paste a webhook that the provider sent, or say `unchecked`."
            raise Invalid(None, Violation("/example", detail))
        return
    if not secrets and scheme != "none":
        detail = "The example was signed with a secret of the provider's: it is needed here."
        raise Invalid(None, Violation("/secrets", detail))
    found = await attempt(scheme, recipe, secrets, proof.example)
    if not found.verified:
        raise RecipeMismatch(None, *_violations(found))


async def attempt(
    scheme: Scheme, recipe: Recipe, secrets: Sequence[str], example: Pasted
) -> Checked:
    """Try a recipe on an example, at the example's own time; say what would fit if it does not.

    Raises:
        Invalid: the recipe and the secrets are nothing to verify by.
    """
    try:
        source = native.Source(complete_recipe(scheme, recipe, secrets))
    except native.RecipeError as error:
        raise Invalid(None, Violation("/recipe", f"{error}.")) from error
    one = Attempt(scheme, recipe, tuple(secrets), example)
    found = tried(source, one)
    if found.verified:
        return found
    # Some thousand hashes at most; other requests need not wait for them.
    return msgspec.structs.replace(found, hints=await asyncio.to_thread(hints, one))


def _violations(found: Checked) -> list[Violation]:
    """Return what did not fit, and then what would: never what was expected."""
    pointer = "/example/body" if found.refusal == "body-malformed" else "/example/headers"
    fault = Violation(pointer, f"{(found.detail or 'it does not verify').capitalize()}.")
    return [fault, *(Violation(hint.pointer, hint.detail) for hint in found.hints)]
