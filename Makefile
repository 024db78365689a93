# `make demo` and `make test` need nothing prepared: each makes .venv and installs what is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PACKAGES := cli finetune graph mcp_server model retrieval
QUESTION ?= How many objects are there?
PICTURE ?= examples/shapes.png

.PHONY: help demo test test-slow faults lint fix tiny benchmarks inspector clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Lorgnette needs Python 3.11 or newer; run: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/installed-dev: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(VENV)/installed $@

demo: $(VENV)/installed ## ask a question about a picture in examples/
	$(BIN)/lorgnette ask "$(QUESTION)" $(PICTURE)

test: lint ## lint, types and all quick tests
	$(BIN)/pytest -m "not slow"

test-slow: $(VENV)/installed-dev ## the slow tests: real shapes, real training
	$(BIN)/pytest -m slow

faults: $(VENV)/installed-dev ## 20 rounds of killed processes on one knowledge base (minutes)
	$(BIN)/python -m benchmarks.faults

lint: $(VENV)/installed-dev ## ruff and mypy
	$(BIN)/ruff check $(PACKAGES) tests benchmarks
	$(BIN)/ruff format --check $(PACKAGES) tests benchmarks
	$(BIN)/mypy

fix: $(VENV)/installed-dev ## let ruff mend what it can
	$(BIN)/ruff check --fix $(PACKAGES) tests benchmarks
	$(BIN)/ruff format $(PACKAGES) tests benchmarks

tiny: $(VENV)/installed ## train the bundled checkpoint from scratch (hours; resumes by itself)
	$(BIN)/python -m finetune.tiny.train --out runs/tiny

benchmarks: $(VENV)/installed-dev ## every figure of the docs, measured again (an hour on two cores)
	$(BIN)/python -m benchmarks.ask
	$(BIN)/python -m benchmarks.scenes
	$(BIN)/python -m benchmarks.real_shapes
	$(BIN)/python -m benchmarks.shared_prefix
	$(BIN)/python -m benchmarks.prefix_memory
	$(BIN)/python -m benchmarks.sessions
	$(BIN)/python -m benchmarks.faults
	$(BIN)/python -m benchmarks.report

inspector: $(VENV)/installed-dev ## call ask_image with the official MCP Inspector (fetches Node by itself)
	sh tests/inspector.sh $(BIN)

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis *.egg-info
