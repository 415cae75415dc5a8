# Two commands for a newcomer: `make screen` runs the main job on the demo crystals,
# `make test` runs lint, types and tests. Both set up .venv first, once.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
RUN := $(BIN)/python -m

.PHONY: help setup screen test test-fast lint types unit docs web-check audit lock demo-crystals clean

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' Makefile | sed 's/:.*##/:/' | column -t -s:

setup: .venv/installed  ## Make .venv with the versions of requirements.lock

.venv/installed: requirements.lock pyproject.toml
	"$(PYTHON)" -m venv .venv
	$(RUN) pip install --quiet --disable-pip-version-check -r requirements.lock
	$(RUN) pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch .venv/installed

screen: setup  ## Screen the demo crystals into results/demo
	@# Exit code 1 tells of recorded failures.
	$(BIN)/chiralscreen screen data/demo --output results/demo --config data/demo.yaml \
	  || { [ $$? -eq 1 ] && [ -f results/demo/catalog/chirality.parquet ]; }

test: lint types unit  ## Lint, types and tests

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup
	$(BIN)/mypy

unit: setup
	@# Files stay whole: what a module sets up, a server or a potential, is set up once. They keep their
	@# order, in which the slow ones, those of flows, come early, and no process waits for another at the end.
	OMP_NUM_THREADS=1 $(RUN) pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-fast: setup  ## The tests that are not marked slow (no server, no browser, no real potential)
	OMP_NUM_THREADS=1 $(RUN) pytest --numprocesses 2 --dist loadfile -m "not slow"

web-check:  ## Types, format, lint and tests of web/, and whether its bundle is the committed one (needs npm)
	cd web && npm ci --no-audit --no-fund && npm run --silent check && node build.mjs ../build/web
	diff --recursive --brief build/web tasks/site/assets

docs: setup  ## Build the documentation into build/docs
	$(RUN) sphinx --fail-on-warning --keep-going --jobs auto --doctree-dir build/doctrees docs build/docs
	@echo "open build/docs/index.html"

audit:  ## Look for known vulnerabilities in requirements.lock (asks pypi.org)
	"$(PYTHON)" -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet pip-audit==2.10.1
	.venv-audit/bin/pip-audit --strict --no-deps --disable-pip -r requirements.lock; \
	  code=$$?; rm -rf .venv-audit; exit $$code

lock:  ## Write requirements.lock anew from pyproject.toml
	rm -rf .venv-lock
	"$(PYTHON)" -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet torch==2.13.0 setuptools wheel
	.venv-lock/bin/python -m pip install --quiet -e '.[test]'
	{ echo "# Written by 'make lock' from pyproject.toml. No hashes: torch's build differs by machine."; \
	  .venv-lock/bin/python -m pip freeze --all --exclude pip --exclude-editable | sed 's/+cpu//'; } > requirements.lock
	rm -rf .venv-lock

demo-crystals: setup  ## Write data/demo anew from data/demo_crystals.toml
	$(BIN)/python data/make_demo.py

clean:  ## Remove what can be made again
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
