# Everything runs in a virtual environment of its own, .venv: uv makes it where there is one, else pip.
.PHONY: help demo test test-bigquery reliability lint format docs benchmark clean
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready

help: ## what can be typed here
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(STAMP) ## ingest the sample mailbox and look at it
	@$(BIN)/python -m examples.demo

test: $(STAMP) ## the whole test suite
	@$(BIN)/python -m tests.emulator.environment > /dev/null
	@$(BIN)/python -m tests.gmail.environment > /dev/null
	$(BIN)/python -m pytest -n auto --dist worksteal -q

test-bigquery: $(STAMP) ## the real BigQuery: PROJECT=... DATASET=..., which is made and removed
	LORCHESTRA_LIVE_PROJECT=$(PROJECT) LORCHESTRA_LIVE_DATASET=$(DATASET) \
	  $(BIN)/python -m pytest -q -p no:cacheprovider tests/live/bigquery.py

reliability: $(STAMP) ## every cell of the crash matrix, and docs/reliability.md from it
	$(BIN)/python -m tests.reliability.page

lint: $(STAMP) ## style, types, and which layer may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP) ## write the generated part of docs/
	$(BIN)/python -m docs.generate

benchmark: $(STAMP) ## speed against the raw engine
	$(BIN)/python benchmarks/upsert.py

clean: ## remove the virtual environment and what the demo left
	rm -rf .venv .lorchestra lorchestra.duckdb lorchestra.duckdb.wal

# Where uv is there but cannot fetch (a proxy's certificate, say), pip may still.
$(STAMP): pyproject.toml
	@if ! { command -v uv >/dev/null 2>&1 \
	        && uv venv --quiet --allow-existing .venv \
	        && uv pip install --quiet --python $(BIN)/python --group dev -e .; }; then \
	  $(PYTHON) -m venv .venv \
	  && $(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1' \
	  && $(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev -e .; \
	fi
	@touch $@
