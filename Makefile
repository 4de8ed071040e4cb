# Everything runs in a virtual environment of its own, .venv: uv makes it, else pip.
.PHONY: help demo test emulator gmail test-bigquery fuzz reliability lint format docs pictures lock audit bench bench-check clean
.DEFAULT_GOAL := help

# Tests start many processes; each would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready
TOOLS := .venv/tools
UV := 'uv>=0.9,<1'

help: ## what can be typed here
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(STAMP) ## ingest the sample mailbox and look at it
	@$(BIN)/python -m examples.demo

test: emulator gmail ## the whole test suite
	$(BIN)/python -m pytest -n auto --dist worksteal -q

# The servers that the tests need, made once for a machine.
emulator gmail: $(STAMP)
	@$(BIN)/python -m tests.$@.environment > /dev/null

test-bigquery: $(STAMP) ## the real BigQuery: PROJECT=... DATASET=..., which is made and removed
	LORCHESTRA_LIVE_PROJECT=$(PROJECT) LORCHESTRA_LIVE_DATASET=$(DATASET) \
	  $(BIN)/python -m pytest -q -p no:cacheprovider tests/live/bigquery.py

fuzz: $(STAMP) ## look for input that breaks a promise: TARGETS="mbox toml" MINUTES=10 for each
	@$(BIN)/python -c "import atheris" 2>/dev/null || $(BIN)/python -m tests.fuzz.environment
	@for target in $(or $(TARGETS),$$($(BIN)/python -m tests.fuzz.targets)); do \
	  echo "$$target"; $(BIN)/python -m tests.fuzz $$target $(or $(MINUTES),10) || exit 1; done

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

pictures: $(STAMP) ## take the pictures of the page in docs/images/; needs Chromium
	$(BIN)/python -m docs.screenshots

lock: $(TOOLS)/.ready ## the newest versions of all dependencies, with their hashes, into requirements.txt
	$(TOOLS)/bin/uv pip compile --quiet --no-config --default-index https://pypi.org/simple --upgrade \
	  --universal --python-version 3.11 --all-extras --group build --generate-hashes \
	  --custom-compile-command "make lock" --output-file requirements.txt pyproject.toml

audit: $(TOOLS)/.ready ## known vulnerabilities of what requirements.txt installs; asks pypi.org
	$(TOOLS)/bin/pip-audit --strict --require-hashes --disable-pip --requirement requirements.txt

bench: $(STAMP) ## speed beside the raw engine and others: a page under .venv/, or with SIZE=full docs/performance.md
	$(BIN)/python -m benchmarks $(if $(filter full,$(SIZE)),--full) $(if $(PARTS),--only $(PARTS))

bench-check: $(STAMP) ## fails when loading became dearer by a quarter: for a nightly run, two minutes
	$(BIN)/python -m benchmarks.check

clean: ## remove the virtual environment and what the demo left
	rm -rf .venv .lorchestra lorchestra.duckdb lorchestra.duckdb.wal lorchestra.duckdb.tmp

$(TOOLS)/.ready: $(STAMP)
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.9,<3' $(UV)
	@touch $@

# pip takes ten times as long as uv, but may still fetch where uv cannot (a proxy's certificate, say).
$(STAMP): pyproject.toml
	@if ! { command -v uv >/dev/null 2>&1 \
	        && uv venv --quiet --allow-existing .venv \
	        && uv pip install --quiet --compile-bytecode --python $(BIN)/python --group dev -e .; }; then \
	  $(PYTHON) -m venv .venv; \
	  if ! { $(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV) \
	         && $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --group dev -e .; }; then \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1' \
	    && $(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev -e .; \
	  fi; \
	fi
	@touch $@
