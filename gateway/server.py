"""Granian, the HTTP server: N processes of the application under one parent.

What it lacks by itself: its parent stops for good when one process is killed, its processes outlive
a killed parent, and a stalled body waits for ever. So failed processes are respawned, each dies
with the parent (`crossdock.process`), and bodies have a deadline (`gateway.edge.body`).
"""

import multiprocessing
from contextlib import ExitStack
from typing import Final

from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings
from granian.server import Server

from crossdock import process
from crossdock.config import GatewaySettings, Settings
from crossdock.limits.shared import between_processes
from crossdock.telemetry import logs, multiprocess
from gateway.edge.addresses import Proxies
from gateway.edge.cors import Cors

BACKLOG: Final = 4096
KILL_AFTER_S: Final = 15
HEADER_READ_TIMEOUT_MS: Final = 10_000
HEADERS_MAX_BYTES: Final = 64 * 1024


def run(settings: Settings, *, application: str = "gateway.app:from_environment") -> None:
    """Serve until SIGTERM or SIGINT; requests under way are finished.

    Args:
        settings: those of this process; its children read theirs from the environment.
        application: names what makes the ASGI application; `bench.ingest` compares others.

    Raises:
        ConfigurationError: an origin or a network in the settings is none.
    """
    _check(settings.gateway)
    logs.configure(settings.log, "gateway")
    folder = multiprocess.prepare()
    # A forked child of a process with threads is a gamble; a spawned one starts clean.
    multiprocessing.set_start_method("spawn", force=True)
    process.take_turns()
    gateway = settings.gateway
    stack = ExitStack()
    stack.callback(multiprocess.forget, folder)
    with stack:
        stack.enter_context(between_processes(settings.limits))
        multiprocess.serve(gateway.metrics_host, gateway.metrics_port)
        Server(
            application,
            factory=True,
            address=gateway.host,
            port=gateway.port,
            interface=Interfaces.ASGI,
            workers=gateway.processes,
            loop=Loops.uvloop,
            # Its Rust side on a thread beside the loop's: a seventh less CPU per webhook here.
            runtime_mode=RuntimeModes.mt,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(
                header_read_timeout=HEADER_READ_TIMEOUT_MS, max_buffer_size=HEADERS_MAX_BYTES
            ),
            websockets=False,
            backlog=BACKLOG,
            backpressure=BACKLOG,
            log_dictconfig=logs.granian_config(settings.log),
            respawn_failed_workers=True,
            workers_kill_timeout=KILL_AFTER_S,
        ).serve()


def _check(gateway: GatewaySettings) -> None:
    """Refuse settings that no child could serve with, once and before any is started."""
    Cors(gateway.cors_origins)
    Proxies(gateway.trusted_proxies)
