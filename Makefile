# `make demo` and `make test` need nothing prepared: each makes .venv and installs what is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What is imported is compiled when it is first imported: of 32,000 installed modules a tenth ever are.
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --no-compile --constraint constraints.txt --editable
PACKAGES := cli common distribution finetune graph lorgnette mcp_server model page retrieval
QUESTION ?= How many objects are there?
PICTURE ?= examples/shapes.png
SUITES := build/suites

.PHONY: help demo test quick test-browser test-slow faults lint fix tiny benchmarks learning suites suites-short inspector bundle clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Lorgnette needs Python 3.11 or newer; run: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) .
	@touch $@

$(VENV)/installed-dev: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) '.[dev]'
	@touch $(VENV)/installed $@

demo: $(VENV)/installed ## ask a question about a picture in examples/
	$(BIN)/lorgnette ask "$(QUESTION)" $(PICTURE)

# Tests run in two processes of one thread each; tests/scheduling.py says which test in which.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

test: lint ## lint, types and all tests but the slow ones, with their coverage
	$(PYTEST) -m "not slow" --cov --cov-report=
	$(BIN)/python tests/coverage_floor.py

quick: $(VENV)/installed-dev ## what daily work needs: no training, no database, no process of its own (a minute or two)
	$(PYTEST) -q -m "not slow and not training and not database and not heavy and not browser"

test-slow: $(VENV)/installed-dev ## the slow tests: real shapes, real training
	$(PYTEST) -m slow

test-browser: $(VENV)/installed-dev ## the page in a real Chromium, all of it (Debian: apt-get install chromium)
	OMP_NUM_THREADS=1 $(BIN)/pytest -m browser

faults: $(VENV)/installed-dev ## 20 rounds of killed processes on one knowledge base (minutes)
	$(BIN)/python -m benchmarks.faults

lint: $(VENV)/installed-dev ## ruff, mypy and the order of imports
	$(BIN)/ruff check $(PACKAGES) tests benchmarks
	$(BIN)/ruff format --check $(PACKAGES) tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

fix: $(VENV)/installed-dev ## let ruff mend what it can
	$(BIN)/ruff check --fix $(PACKAGES) tests benchmarks
	$(BIN)/ruff format $(PACKAGES) tests benchmarks

tiny: $(VENV)/installed ## train the bundled checkpoint from scratch (hours; resumes by itself)
	$(BIN)/python -m finetune.tiny.train --out runs/tiny

benchmarks: $(VENV)/installed-dev ## every figure of the docs, measured again (an hour on two cores)
	$(BIN)/python -m benchmarks.ask
	$(BIN)/python -m benchmarks.scenes
	$(BIN)/python -m benchmarks.real_shapes
	$(BIN)/python -m benchmarks.adapter_counts
	$(BIN)/python -m benchmarks.shared_prefix
	$(BIN)/python -m benchmarks.prefix_memory
	$(BIN)/python -m benchmarks.sessions
	$(BIN)/python -m benchmarks.any_model
	$(BIN)/python -m benchmarks.faults
	$(BIN)/python -m benchmarks.server
	$(BIN)/python -m benchmarks.training_speed
	$(BIN)/python -m benchmarks.training_speed --tuners LoRA MoE-LoRA Multiway --trainers ours --questions 1 \
	  --dtypes float32 --name multiway_speed
	$(BIN)/python -m benchmarks.repetition
	$(BIN)/python -m benchmarks.review_calibration
	$(BIN)/python -m benchmarks.evidence
	$(BIN)/python -m benchmarks.report

learning: $(VENV)/installed-dev ## what adapters learn and forget, three seeds each, with a longer run (hours; resumes by itself)
	$(BIN)/python -m benchmarks.learning --work runs/learning --variants
	$(BIN)/python -m benchmarks.learning --work runs/learning-long --name learning_long --pictures 900 --steps 900 \
	  --seeds 0 1 --adapters lora "moe_lora, token, scale doubled" "moe_lora, modality"
	$(BIN)/python -m benchmarks.report

# Each suite's versions are in tests/suites; what conflicts with our own packages or each other has its own place.
$(SUITES)/%/installed: tests/suites/%.txt | $(BIN)/python
	$(BIN)/python -m venv $(SUITES)/$*
	$(SUITES)/$*/bin/python -m pip --disable-pip-version-check install --quiet --requirement $<
	@touch $@

$(SUITES)/npm/installed: tests/suites/package.json $(SUITES)/node/installed
	@mkdir -p $(@D)
	cp $< $(@D)
	PATH="$(CURDIR)/$(SUITES)/node/bin:$$PATH" npm install --prefix $(@D) --silent --no-fund --no-audit --no-package-lock
	@touch $@

suites: $(VENV)/installed-dev $(addprefix $(SUITES)/,python/installed old/installed scanner/installed npm/installed) ## every suite that others wrote, against the server (minutes; fetches Node by itself)
	$(BIN)/python -m benchmarks.suites

suites-short: $(VENV)/installed-dev $(addprefix $(SUITES)/,python/installed old/installed) ## those that take seconds, npm's only where npm can be reached
	-@$(MAKE) --no-print-directory $(SUITES)/npm/installed
	$(BIN)/python -m benchmarks.suites --short

inspector: $(VENV)/installed-dev $(SUITES)/npm/installed ## use everything with the official MCP Inspector, over stdio and HTTP
	$(BIN)/python -m benchmarks.suites --only inspector

bundle: $(VENV)/installed-dev $(SUITES)/bundle/installed $(SUITES)/npm/installed ## dist/*.mcpb for Claude Desktop; validates it and the entry of the MCP Registry
	rm -rf build/bundle
	$(BIN)/python -m distribution.bundle --out build/bundle
	set -eu; export PATH="$(CURDIR)/$(SUITES)/node/bin:$(CURDIR)/$(SUITES)/npm/node_modules/.bin:$$PATH"; \
	  mcpb unpack build/bundle/*.mcpb build/bundle/unpacked; mcpb validate build/bundle/unpacked/manifest.json
	$(SUITES)/bundle/bin/skillsaw lint --quiet --strict --type mcp-registry --rule mcp-registry-server-json-valid \
	  --rule mcp-registry-version-semver distribution
	@mkdir -p dist && mv build/bundle/*.mcpb dist/ && ls -l dist

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis *.egg-info
