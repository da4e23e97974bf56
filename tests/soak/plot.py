"""The picture of a soak: memory, backlog and latency over time."""

from pathlib import Path
from typing import Final

import matplotlib as mpl

from tests.soak.sampling import Sample

mpl.use("svg")

from matplotlib import pyplot as plt

MIB: Final = 1024**2


def draw(samples: list[Sample], title: str, path: Path) -> None:
    """Write an SVG."""
    mpl.rcParams["svg.hashsalt"] = "crossdock"
    times = [one.at_s for one in samples]
    figure, (memory, backlog, latency) = plt.subplots(
        3, 1, figsize=(9, 8), sharex=True, layout="constrained"
    )
    memory.plot(times, [one.gateway_bytes / MIB for one in samples], label="gateway")
    memory.plot(times, [one.worker_bytes / MIB for one in samples], label="worker")
    memory.set_ylabel("resident MiB")
    memory.set_ylim(bottom=0)
    backlog.plot(times, [one.ingest for one in samples], label="accepted, not persisted")
    backlog.plot(times, [one.pending for one in samples], label="deliveries pending")
    backlog.set_ylabel("backlog")
    backlog.set_ylim(bottom=0)
    latency.plot(times, [one.answer_p99_ms for one in samples], label="202, p99")
    latency.plot(times, [one.delivery_p50_ms for one in samples], label="delivered, p50")
    latency.plot(times, [one.delivery_p99_ms for one in samples], label="delivered, p99")
    latency.set_ylabel("ms")
    latency.set_yscale("symlog", linthresh=10)
    latency.set_xlabel("seconds")
    for panel in (memory, backlog, latency):
        panel.legend(loc="upper left", frameon=False)
        panel.grid(alpha=0.3)
    figure.suptitle(title)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
