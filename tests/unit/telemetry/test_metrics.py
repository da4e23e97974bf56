"""A tallied histogram exposes what a plain one would."""

from prometheus_client import CollectorRegistry, Histogram, generate_latest

from crossdock.telemetry.metrics import TalliedHistogram

BOUNDS = (0.001, 0.01, 0.1)
VALUES = (0.0, 0.001, 0.0011, 0.05, 0.1, 7.0)


def _exposed(registry: CollectorRegistry) -> list[bytes]:
    return [line for line in generate_latest(registry).splitlines() if b"_created" not in line]


def test_a_tally_is_exposed_like_plain_observations() -> None:
    plain_registry, tallied_registry = CollectorRegistry(), CollectorRegistry()
    plain = Histogram("h", "h", buckets=BOUNDS, registry=plain_registry)
    tallied = TalliedHistogram("h", "h", buckets=BOUNDS, registry=tallied_registry)
    for value in VALUES:
        plain.observe(value)
        tallied.tally(value)
    tallied.hand_over()
    assert _exposed(tallied_registry) == _exposed(plain_registry)


def test_handing_over_twice_counts_once() -> None:
    registry = CollectorRegistry()
    tallied = TalliedHistogram("h", "h", buckets=BOUNDS, registry=registry)
    tallied.tally(0.5)
    tallied.hand_over()
    tallied.hand_over()
    assert b"h_count 1.0" in generate_latest(registry)
