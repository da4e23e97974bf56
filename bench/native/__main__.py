"""`make bench-native`: native calls against their Python counterparts, all in one run.

Prints a table of medians and, as its last line, as one JSON object:

- `ratio_verify`: `Source.verify` against standard-library Python with the same results (signature,
  clock, JSON check, type, dedupe hash).
- `ratio_verify_msgspec`: the same with msgspec instead of `json`.
- `ratio_verify_signature_alone`: the same whole native call against Python that checks only the
  signature and reads nothing of the body.
- `ratio_schema`, `ratio_schema_rs`, `ratio_schema_rs_msgspec`: holding nine bodies of 1 to 100 KiB
  to their schemas, from bytes, against `jsonschema` and against `jsonschema-rs`, both after
  `json.loads`, and the latter after msgspec.
- `ratio_take_with_schemas`: the time of `take_webhook` for these with their schemas, by without.
- `us_matching_10k`: the slowest of three events of 10 KiB, matched by 1,000 subscriptions of which
  50 are left to judge, in microseconds: 1,000 at most; `us_matching_slowest` the same of nine
  bodies up to 100 KiB.
- `ratio_matching`: the same nine against a loop in Python with the same filters, one call each: the
  smallest ratio.
- `ns_take_two_limits`: `LimitTable.take` of two limits, in nanoseconds; `_headers` with the list of
  header fields.
"""

import sys
import tempfile
from pathlib import Path

import msgspec
import pytest

HERE = Path(__file__).parent
_TEN = frozenset({"github-9K]", "shopify-9K]", "stripe-9K]"})
"""Ends of the names of tests with events of 10 KiB."""


class _Stats(msgspec.Struct):
    median: float


class _Benchmark(msgspec.Struct):
    name: str
    group: str | None
    stats: _Stats


class _Report(msgspec.Struct):
    benchmarks: list[_Benchmark]


def run() -> dict[str, float]:
    """Run the benchmarks and return each one's median, in nanoseconds."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        options = ["-q", "-p", "no:cacheprovider", "--benchmark-disable-gc", "--benchmark-quiet"]
        code = pytest.main([str(HERE), *options, f"--benchmark-json={report}"])
        if code != pytest.ExitCode.OK:
            sys.exit(code)
        benchmarks = msgspec.json.decode(report.read_bytes(), type=_Report).benchmarks
    return {benchmark.name: benchmark.stats.median * 1e9 for benchmark in benchmarks}


def main() -> None:
    """Print the table, the ratios and what limits cost."""
    medians = run()
    width = max(map(len, medians))
    print(f"\n{'median':>{width + 12}}")
    for name, median in medians.items():
        print(f"{name:{width}} {median:9.0f} ns")
    native = medians["test_native"]
    ratios = {
        "ratio_verify": medians["test_python[read_with_json]"] / native,
        "ratio_verify_msgspec": medians["test_python[read_with_msgspec]"] / native,
        "ratio_verify_signature_alone": medians["test_python_signature_alone"] / native,
        "ratio_sha256": medians["test_sha256_hashlib"] / medians["test_sha256_native"],
    }
    schema = medians["test_mixed[native]"]
    ratios["ratio_schema"] = medians["test_mixed[jsonschema]"] / schema
    ratios["ratio_schema_rs"] = medians["test_mixed[jsonschema_rs]"] / schema
    ratios["ratio_schema_rs_msgspec"] = medians["test_mixed[jsonschema_rs_msgspec]"] / schema
    ratios["ratio_take_with_schemas"] = medians["test_take[schemas]"] / medians["test_take[None]"]
    matching = {
        name.partition("[")[2]: median
        for name, median in medians.items()
        if name.startswith("test_matching[")
    }
    ratios["us_matching_10k"] = max(
        median / 1e3 for name, median in matching.items() if name in _TEN
    )
    ratios["us_matching_slowest"] = max(matching.values()) / 1e3
    ratios["ratio_matching"] = min(
        medians[f"test_matching_plain[{name}"] / median for name, median in matching.items()
    )
    ratios["ns_take_two_limits"] = medians["test_take_of_two_limits"]
    ratios["ns_take_two_limits_headers"] = medians["test_take_of_two_limits_and_headers"]
    rounded = {name: round(ratio, 2) for name, ratio in ratios.items()}
    print(msgspec.json.encode(rounded).decode())


if __name__ == "__main__":
    main()
