"""NATS, behind this package: no other module of Crossdock imports its client.

`connect` gives a `Bus`: streams declared (`streams`), a publisher that acknowledges
(`publisher`), the workers' pull consumer (`consumer`), key-value buckets (`kv`).
"""

from crossdock.bus.connection import Bus, connect

__all__ = ["Bus", "connect"]
