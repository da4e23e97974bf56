"""The catalogue: providers whose webhooks a source takes without further study.

One module a provider, in `crossdock/presets/providers/`. Their samples are what `crossdock send`,
the demo, test sends and simulations send.
"""

from crossdock.presets.catalogue import CATALOGUE, Chosen, chosen, find, of_source
from crossdock.presets.model import Preset, Sample, Written

__all__ = [
    "CATALOGUE",
    "Chosen",
    "Preset",
    "Sample",
    "Written",
    "chosen",
    "find",
    "of_source",
]
