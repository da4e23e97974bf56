# One command for everything. `make` alone lists them.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
# Tests wait more than they work. Those that kill whole stacks and watch the clock run alone, though.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest
# Real servers on a busy machine: what failed beside others runs once more alone, and must pass then.
AGAIN := $(PYTEST) --last-failed --last-failed-no-failures none
# Apart from the acceptance tests, whose stacks would idle beside them and take a core.
QUICK_TESTS := tests/unit tests/conformance tests/integration tests/soak
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
RUST := $(wildcard native/src/*.rs native/src/*/*.rs) native/Cargo.toml Cargo.toml Cargo.lock

.DEFAULT_GOAL := help
.PHONY: help setup demo up test test-faults soak lint fmt docs bench bench-ingest bench-persist bench-retention bench-native bench-delivery bench-fairness bench-order bench-replay bench-transforms bench-settings bench-identity bench-idempotency bench-events bench-api lock clean

help: ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

setup: $(STAMP) ## make .venv with the locked dependencies and the built extension

$(VENV)/.locked: requirements/dev.txt
	@command -v cargo >/dev/null || { echo 'Crossdock builds a Rust extension: install a Rust toolchain (cargo) first.'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Crossdock needs Python 3.11 or later; name one with PYTHON=…'; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

$(STAMP): $(VENV)/.locked $(RUST) pyproject.toml
	PATH="$(abspath $(BIN)):$$PATH" $(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## the main job on real servers: a live table; ONCE=1 ends by itself with one JSON line
	$(BIN)/crossdock demo $(if $(ONCE),--once)

up: setup ## start everything on this machine, data in .crossdock
	$(BIN)/crossdock up --port 8080

test: setup ## all tests, on real PostgreSQL and NATS
	cargo test --quiet --locked --workspace
	$(PYTEST) -n $(WORKERS) --dist loadfile $(QUICK_TESTS) || $(AGAIN) $(QUICK_TESTS)
	$(PYTEST) -n $(WORKERS) --dist loadfile tests/acceptance || $(AGAIN) tests/acceptance
	$(PYTEST) tests/faults || $(AGAIN) tests/faults

test-faults: setup ## the whole fault table: everything is killed, cut off and filled up while webhooks flow
	$(PYTEST) tests/faults

soak: setup ## ten minutes at half of what this machine can do; SOAK_S for other seconds
	$(BIN)/python -m tests.soak

lint: setup ## formats, lints, types, import contracts, the stub, the schema
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m mypy.stubtest crossdock._native
	$(BIN)/python -m pytest -q -p no:cacheprovider tests/integration/db/test_pgrls.py
	cargo fmt --check
	cargo clippy --quiet --locked --workspace --all-targets --all-features -- -D warnings

fmt: setup ## format Python and Rust
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cargo fmt

docs: setup ## write what follows from the code: the OpenAPI and AsyncAPI documents, the problems' pages, the client
	$(BIN)/python -m gateway.openapi
	$(BIN)/python -m gateway.problems.pages docs/problems
	$(BIN)/python -m tools.client
	$(BIN)/python -m proto.export

bench: bench-native bench-persist bench-retention bench-delivery bench-fairness bench-order bench-replay bench-transforms bench-identity bench-idempotency bench-ingest bench-events bench-api ## every benchmark, one after another

bench-ingest: setup ## rates and CPU of the ingest path against no work and the plain way
	$(BIN)/python -m bench.ingest
	$(BIN)/python -m bench.ingest.inbound

bench-persist: setup ## the persist step against a bare COPY
	$(BIN)/python -m bench.persist

bench-retention: setup ## dropping a partition of a million events while ingest goes on
	$(BIN)/python -m bench.retention

bench-native: setup ## native calls against their Python counterparts
	$(BIN)/python -m bench.native

bench-delivery: setup ## deliveries a second against a bare loop of the same HTTP client
	$(BIN)/python -m bench.delivery

bench-replay: setup ## a replay of a hundred thousand events: events a second, and the worker's memory
	$(BIN)/python -m bench.replay

bench-order: setup ## deliveries in ten thousand lines against none, and one deep line
	$(BIN)/python -m bench.order

bench-transforms: setup ## scripts a second, by size of the payload
	$(BIN)/python -m bench.transforms

bench-fairness: setup ## one tenant's latency while another is a hundred times as loud, or hangs
	$(BIN)/python -m bench.fairness

bench-settings: setup ## from commit to a gateway's memory, and memory per source
	$(BIN)/python -m bench.settings

bench-identity: setup ## what tenants, tokens and policies cost, and a storm of sign-ins beside ingest
	$(BIN)/python -m bench.identity

bench-events: setup ## lists at ten million events, and ingest while a thousand listen
	$(BIN)/python -m bench.events

bench-idempotency: setup ## a POST with an idempotency key against the same without
	$(BIN)/python -m bench.idempotency

bench-api: setup ## every endpoint of the API for a minute, the slowest statements, problems and validation
	$(BIN)/python -m bench.api

lock: ## resolve the dependencies again, with hashes and no index address
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 pyproject.toml --group dev -c requirements/runtime.txt -o requirements/dev.txt

clean: ## forget what was built here (data folders stay)
	rm -rf $(VENV) target dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
