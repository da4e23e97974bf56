"""Crossdock's domains: what the product does, with no HTTP framework and no consumer loop."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("crossdock")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"
