# What a newcomer needs: make demo, make test. Every target makes .venv first where that is needed.
.DEFAULT_GOAL := help
SHELL := /bin/bash
# A machine that forbids Python to keep what it compiled would have every process here compile all of it anew.
unexport PYTHONDONTWRITEBYTECODE

# A PYTHON of your own wins: make setup PYTHON=/path/to/python3.12
# The search starts from / because .python-version, which is the platform's, would mislead a version manager here.
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell cd / && for one in python3 python3.13 python3.12 python3.11; do \
	"$$one" -c '$(FITS)' 2>/dev/null && { "$$one" -c 'import sys; print(sys.executable)'; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup demo up screenshots test test-wider test-rabbitmq chaos chaos-proof lint bench bench-quick costs lock clean

help:
	@echo "make demo   three deals, a fortnight, against simulated vendors (DEMO_ARGS=--exit ends by itself)"
	@echo "make up     everything on this machine (UP_ARGS=--sandbox for simulated vendors)"
	@echo "make test   all tests (TEST_ARGS are pytest's)"
	@echo "make test-wider   those that need Debian packages beside Python: a browser, two machines, curl"
	@echo "make test-rabbitmq   the tests that use a broker, on RabbitMQ (Debian: apt-get install rabbitmq-server)"
	@echo "make chaos  rehearsals of failure (SEEDS, SIGNALS, JOBS); make chaos-proof shows that they can fail"
	@echo "make screenshots   the pictures in docs/console (Debian: apt-get install chromium)"
	@echo "make lint   ruff, mypy, import contracts"
	@echo "make bench  throughput and latency beside peers, some 15 minutes (bench-quick: under 2); a quiet machine, please"
	@echo "make costs  take a benchmark's JSON over for revpipe capacity and docs/scale.md (COSTS_FILE for another one)"
	@echo "make lock   pin the requirements anew after a change in pyproject.toml"
	@echo "make clean  remove .venv, caches and the embedded servers' data"

setup: $(READY)

# Nothing is done while neither the pinned packages nor the project's own metadata have changed.
$(READY): requirements-dev.txt pyproject.toml
	@test -n "$(PYTHON)" && "$(PYTHON)" -c '$(FITS)' 2>/dev/null || { \
		echo "revpipe needs Python 3.11, 3.12 or 3.13; name one with: make setup PYTHON=/path/to/python3.12" >&2; \
		exit 1; }
	@echo "setting up $(VENV) with $$("$(PYTHON)" --version) …"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV) || { \
		rm -rf $(VENV); echo "this Python can't make virtual environments; on Debian: apt-get install python3-venv" >&2; \
		exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

demo: setup
	@$(BIN)/revpipe demo $(DEMO_ARGS)

up: setup
	@$(BIN)/revpipe up $(UP_ARGS)

# What needs more than Python, git and make: a browser, root and `ip`, curl and jq. Its packages are in .ci/run.
WIDER := tests/integration/browser tests/integration/test_api_docs.py tests/e2e/test_two_machines.py
test: setup
	@$(BIN)/pytest --numprocesses=5 --dist=loadfile $(addprefix --ignore=,$(WIDER)) $(TEST_ARGS)

test-wider: setup
	@$(BIN)/pytest --numprocesses=2 --dist=loadfile $(WIDER) $(TEST_ARGS)

# Left out are the tests that have no other broker than a Redis of their own making: its embedded server, the rates it
# keeps, links to it, the rehearsals of the drill, the two machines; and those of the ledger's migrations, which have
# none at all.
RABBITMQ_LEFT_OUT := $(addprefix --ignore=tests/,integration/test_embedded.py integration/test_gate.py \
	integration/test_drill_proxy.py integration/test_migrations.py e2e/chaos e2e/test_two_machines.py)
test-rabbitmq: export REVPIPE_TEST_BROKER = rabbitmq
test-rabbitmq: setup
	@$(BIN)/pytest --numprocesses=3 --dist=loadfile tests/integration tests/e2e $(RABBITMQ_LEFT_OUT) $(TEST_ARGS)

screenshots: export REVPIPE_SCREENSHOTS = docs/console
screenshots: setup
	@$(BIN)/pytest tests/integration/browser/test_screenshots.py

# Most of a rehearsal is waiting for the vendors' rates, so several run side by side.
SEEDS := 20
SIGNALS := 2000
JOBS := 4
chaos: setup
	@$(BIN)/revpipe drill --seeds $(SEEDS) --signals $(SIGNALS) --jobs $(JOBS) --hits 10 $(CHAOS_ARGS)

chaos-proof: setup
	@$(BIN)/pytest --numprocesses=3 tests/e2e/chaos/sabotage/proof.py

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup
	@$(BIN)/python -m tests.benchmarks.bench $(BENCH_ARGS)

bench-quick: setup
	@$(BIN)/python -m tests.benchmarks.bench --quick $(BENCH_ARGS)

COSTS_FILE := docs/benchmarks/latest.json
costs: setup
	@$(BIN)/python -m tests.benchmarks.costs $(COSTS_FILE)

# Nothing about where packages come from belongs into the files, hence the --no-emit options.
LOCK := --quiet --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header
lock: setup
	@$(BIN)/pip-compile $(LOCK) --output-file=requirements.txt pyproject.toml
	@$(BIN)/pip-compile $(LOCK) --extra=dev --extra=embedded --constraint=requirements.txt \
		--output-file=requirements-dev.txt pyproject.toml

clean:
	rm -rf $(VENV) .revpipe build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
