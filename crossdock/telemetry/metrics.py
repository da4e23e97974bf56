"""Every metric, in one place; names follow Prometheus' rules, times are seconds.

Labels are few and bounded: never a tenant, a subject or anything else that a sender can choose.
"""

from bisect import bisect_left, bisect_right
from typing import Any, Final

from prometheus_client import Counter, Gauge, Histogram

_FAST: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_SLOW: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)


class TalliedHistogram(Histogram):
    """A histogram for hot paths: counts in plain lists, handed over now and then.

    `observe` of prometheus_client takes a lock and writes a mapped file, 2 µs a call; a tally is a
    bisection and two additions.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._tally = [0] * len(self._upper_bounds)
        self._tally_sum = 0.0

    def tally(self, seconds: float, count: int = 1) -> None:
        """Count a value, or several that are the same, in memory."""
        self._tally[bisect_left(self._upper_bounds, seconds)] += count
        self._tally_sum += seconds * count

    def tally_all(self, seconds: list[float]) -> None:
        """Count many values at once, which is several times cheaper than one by one."""
        seconds.sort()
        counted = 0
        for index, bound in enumerate(self._upper_bounds):
            reached = bisect_right(seconds, bound, counted)
            self._tally[index] += reached - counted
            counted = reached
        self._tally_sum += sum(seconds)

    def hand_over(self) -> None:
        """Add what was tallied to what is exposed."""
        for index, count in enumerate(self._tally):
            if count:
                self._buckets[index].inc(count)
                self._tally[index] = 0
        self._sum.inc(self._tally_sum)
        self._tally_sum = 0.0


INGEST_ACCEPTED: Final = Counter("crossdock_ingest_accepted", "Webhooks answered with 202.")
INGEST_REFUSED: Final = Counter(
    "crossdock_ingest_refused", "Webhooks refused, by reason.", ["reason"]
)
REFUSALS_FORGOTTEN: Final = Counter(
    "crossdock_refusals_forgotten", "Refusals that no source's list or count will show."
)
INGEST_SECONDS: Final = TalliedHistogram(
    "crossdock_ingest_seconds", "From a webhook's first byte to its 202.", buckets=_FAST
)
PUBLISH_SECONDS: Final = TalliedHistogram(
    "crossdock_publish_seconds", "From a publish to the broker's acknowledgement.", buckets=_FAST
)
PUBLISH_PENDING: Final = Gauge(
    "crossdock_publish_pending",
    "Webhooks that wait for the broker's word.",
    multiprocess_mode="livesum",
)

PERSIST_SECONDS: Final = Histogram(
    "crossdock_persist_seconds", "One batch, from decoding to its commit.", buckets=_FAST
)
PERSIST_EVENTS: Final = Counter(
    "crossdock_persist_events", "Events persisted, by outcome.", ["outcome"]
)

FILTER_ERRORS: Final = Counter(
    "crossdock_filter_errors",
    "Filters that could not be judged by an event, which their destination then did not get.",
)

DELIVERY_ATTEMPTS: Final = Counter(
    "crossdock_delivery_attempts", "Attempts to deliver, by outcome.", ["outcome"]
)
DELIVERY_SECONDS: Final = TalliedHistogram(
    "crossdock_delivery_seconds", "One attempt's HTTP exchange.", buckets=_SLOW
)
DELIVERY_LATENCY_SECONDS: Final = TalliedHistogram(
    "crossdock_delivery_latency_seconds", "From acceptance to a delivery's success.", buckets=_SLOW
)
DEAD_LETTERS: Final = Counter("crossdock_dead_letters", "Dead letters, by reason.", ["reason"])

BREAKER_CHANGES: Final = Counter(
    "crossdock_breaker_changes", "Breakers that opened or closed here.", ["state", "why"]
)
BREAKERS_OPEN: Final = Gauge(
    "crossdock_breakers_open",
    "Breakers that are open or half-open, as one process knows them.",
    multiprocess_mode="livemax",
)
BREAKER_PROBES: Final = Counter(
    "crossdock_breaker_probes", "Probes of half-open breakers, by what they said.", ["outcome"]
)
BREAKER_LOCAL: Final = Counter(
    "crossdock_breaker_local",
    "Times that breakers were judged by one process alone: `permit` is a probe without the others'"
    " leave, `away` a state that could not be told yet, `untold` one that never will be, `full` a"
    " failing call that no breaker had room for.",
    ["reason"],
)
RATE_WAITS: Final = Counter(
    "crossdock_rate_waits", "Times that a destination was left alone for its own rate."
)

SCRIPTS: Final = Counter(
    "crossdock_scripts", "Transformations that were asked for, by what came of them.", ["outcome"]
)
SCRIPTS_KILLED: Final = Counter(
    "crossdock_scripts_killed", "Processes killed for a script that took too much."
)
SCRIPT_SECONDS: Final = Histogram(
    "crossdock_script_seconds", "One transformation, its wait for a turn included.", buckets=_FAST
)

SETTINGS_AGE_SECONDS: Final = Gauge(
    "crossdock_settings_age_seconds",
    "Since the settings were last known to be current, by shard.",
    ["shard"],
    multiprocess_mode="livemax",
)
SETTINGS_RESTARTS: Final = Counter(
    "crossdock_settings_restarts", "Restarts of the settings watch after missed heartbeats."
)
SETTINGS_FALLBACKS: Final = Counter(
    "crossdock_settings_fallbacks", "Reads of settings from PostgreSQL while the watch was away."
)

IDEMPOTENT_REQUESTS: Final = Counter(
    "crossdock_idempotent_requests",
    "Requests with an idempotency key, by what became of them.",
    ["outcome"],
)

DATABASE_CONNECTIONS: Final = Gauge(
    "crossdock_database_connections",
    "Connections that tenants' work holds, by pool: a shard's number, or all dedicated ones.",
    ["pool"],
    multiprocess_mode="livesum",
)
DATABASE_WAITING: Final = Gauge(
    "crossdock_database_waiting",
    "Tenants' work that waits for a connection, by pool.",
    ["pool"],
    multiprocess_mode="livesum",
)
DATABASE_WAIT_SECONDS: Final = Histogram(
    "crossdock_database_wait_seconds",
    "Waits for a connection, by tier; who need not wait is not counted.",
    ["tier"],
    buckets=_FAST,
)
DATABASE_REFUSED: Final = Counter(
    "crossdock_database_refused",
    "Tenants' work refused because none of its connections came free, by tier.",
    ["tier"],
)

LIMITS_DECISIONS: Final = Counter(
    "crossdock_limits_decisions",
    "Requests and webhooks that were counted against a policy, by verdict.",
    ["policy", "verdict"],
)
LIMITS_OPEN: Final = Counter(
    "crossdock_limits_open",
    "Times that a limit could not be held, and was not: `table` is a table that could not be"
    " opened, `crowded` a full one, `unknown-tenant` a tenant that is not known yet.",
    ["reason"],
)
LIMITS_NODES: Final = Gauge(
    "crossdock_limits_nodes",
    "Machines that count against the same limits, this one included.",
    multiprocess_mode="livemax",
)
LIMITS_EXCHANGE_AGE_SECONDS: Final = Gauge(
    "crossdock_limits_exchange_age_seconds",
    "Since this machine told others what it counted, as far as it was heard.",
    multiprocess_mode="livemax",
)

MAILS: Final = Counter("crossdock_mails", "Attempts to send a letter, by outcome.", ["outcome"])
