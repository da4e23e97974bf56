"""The catalogue's samples, ready to be sent: what `crossdock send`, the demo and the tests send."""

from crossdock.presets import CATALOGUE
from crossdock.presets.model import Written as Sample

__all__ = ["Sample", "sample"]


def sample(scheme: str, serial: str, now: float) -> Sample:
    """Return a webhook of a scheme, or of another preset; `serial` is what no other sample has."""
    return CATALOGUE[scheme].samples[0].write(serial, now)
