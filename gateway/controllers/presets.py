"""`/v1/source-presets`: the catalogue of providers."""

from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar import Controller, Response, get
from litestar.params import PathParameter

from crossdock import presets
from crossdock.inbound.model import Recipe, Scheme
from crossdock.paging import Slice
from crossdock.presets import Preset
from gateway.request import ApiRequest
from gateway.wire import DEFAULT_LIMIT, Cursor, Limit, tagged

Name = Annotated[str, PathParameter(pattern="^[a-z0-9-]{1,64}$", description="The preset's name.")]

SERIAL: Final = "1"
MOMENT: Final = 1_700_000_000.0


class SecretHint(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider's secret looks like."""

    form: str
    found: str
    """Where the provider shows it."""


class PresetSample(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook as the provider would send it, without its signature."""

    name: str
    event_type: str
    """Empty where the provider names no types."""
    content_type: str
    headers: dict[str, str]
    payload: str


class PresetItem(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the catalogue, in a list."""

    name: str
    title: str
    scheme: Scheme
    docs_url: str
    """The provider's own page about its webhooks."""


class PresetOut(PresetItem, frozen=True, kw_only=True):
    """An entry of the catalogue."""

    recipe: Recipe
    """What a source made from it begins with."""
    headers: list[str]
    """By which its webhooks are checked."""
    signed: str
    """What is signed, and how it is written down."""
    tolerance_s: float | None
    """How old a webhook may be; `null` where no time is signed."""
    dedupe: str
    """What makes two webhooks the same event."""
    secret: SecretHint | None
    """`null` where there is nothing to check."""
    handshake: str | None
    """What the provider asks before it sends anything; the source answers by itself."""
    steps: list[str]
    """What to do at the provider's."""
    proof: str
    """By what it is shown to be right."""
    samples: list[PresetSample]


class PresetPage(msgspec.Struct, frozen=True):
    """The catalogue, in its own order."""

    items: list[PresetItem]
    next_cursor: str | None


class Place(msgspec.Struct, frozen=True):
    """An entry's place in the catalogue, as cursors tell it."""

    id: UUID
    preset: Preset


PLACES: Final = tuple(
    Place(UUID(int=number), preset) for number, preset in enumerate(presets.CATALOGUE.values())
)


class PresetController(Controller):
    """Presets."""

    path = "/v1/source-presets"
    tags = ("Sources",)

    @get("/", permissions={"sources:read"})
    async def list_source_presets(
        self, request: ApiRequest, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
    ) -> PresetPage:
        """List the providers that a source can be made for by name."""
        window = request.window("source-presets", limit, cursor, {})
        begin = 0 if window.after is None else window.after.int + 1
        found = Slice.cut(PLACES[begin : begin + window.fetch], window)
        return PresetPage(
            [_item(place.preset) for place in found.items],
            request.next_cursor("source-presets", found, {}),
        )

    @get("/{preset_name:str}", permissions={"sources:read"})
    async def get_source_preset(self, preset_name: Name) -> Response[PresetOut]:
        """Show how a provider signs, where its secret is found, and what it sends."""
        return tagged(_shown(presets.find(preset_name)))


def _item(preset: Preset) -> PresetItem:
    return PresetItem(
        name=preset.name, title=preset.title, scheme=preset.scheme, docs_url=preset.docs_url
    )


def _shown(preset: Preset) -> PresetOut:
    secret = preset.secret
    return PresetOut(
        name=preset.name,
        title=preset.title,
        scheme=preset.scheme,
        docs_url=preset.docs_url,
        recipe=preset.recipe,
        headers=list(preset.headers),
        signed=preset.signed,
        tolerance_s=preset.tolerance_s,
        dedupe=preset.dedupe,
        secret=None if secret is None else SecretHint(form=secret.form, found=secret.found),
        handshake=preset.handshake,
        steps=list(preset.steps),
        proof=preset.proof,
        samples=[_sample(sample) for sample in preset.samples],
    )


def _sample(sample: presets.Sample) -> PresetSample:
    written = sample.write(SERIAL, MOMENT)
    return PresetSample(
        name=sample.name,
        event_type=sample.event_type,
        content_type=written.content_type,
        headers=dict(written.headers),
        payload=written.body.decode(),
    )
