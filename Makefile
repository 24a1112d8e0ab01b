# Yizhan: every target makes what it needs. Needs git, make and Python 3.11 or newer with venv.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$p; break; }; done)
BIN := .venv/bin
# Where the machine keeps certificates of its own (a city's proxy has one), uv believes them too.
export UV_SYSTEM_CERTS := $(if $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt),true,false)
PEOPLE ?= 100000
LICENSES ?= 300
SEED ?= 20261122
ONLY ?= all

.PHONY: help demo test test-long check lint bench clean lock install

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

demo: install ## See the main job done; stays up until Ctrl-C (PEOPLE= LICENSES= SEED= ONCE=1 KEEP=1)
	@$(BIN)/yizhan demo run --people $(PEOPLE) --licenses $(LICENSES) --seed $(SEED) \
		$(if $(filter 1,$(ONCE)),--once) $(if $(filter 1,$(KEEP)),--keep)

test: install ## Run every test, the long suites small
	@$(BIN)/python -m pytest -q -p no:cacheprovider -n logical --maxprocesses 4 tests

test-long: install ## Run the long suites (kill rounds, mutations, fuzzing) in full
	@YIZHAN_TEST_LONG=1 $(BIN)/python -m pytest -q -p no:cacheprovider -m long tests

check: lint ## Everything that judges the code: format, lint, types, imports, tests
	@$(BIN)/python -m pytest -q -p no:cacheprovider -n logical --maxprocesses 4 tests

lint: install
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: install ## Measure (ONLY=libraries|city|exchange|vault|intake); prints a table, writes bench.json
	@$(BIN)/python -m tests.bench $(ONLY)

clean: ## Stop what still runs here, and remove what was made
	@if [ -x $(BIN)/yizhan ]; then $(BIN)/yizhan demo stop >/dev/null 2>&1 || true; fi
	@rm -rf .venv .yizhan .pytest_cache .mypy_cache .ruff_cache .hypothesis bench.json
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

install: .venv/installed

.venv/installed: requirements/lock.txt requirements/uv.txt pyproject.toml
	@if [ -z "$(PYTHON)" ]; then echo "Yizhan needs Python 3.11 or newer. On Debian or Ubuntu: sudo apt-get install python3 python3-venv" >&2; exit 1; fi
	@if [ ! -x $(BIN)/python ]; then \
		$(PYTHON) -m venv .venv 2>/dev/null || { rm -rf .venv; \
		echo "$(PYTHON) cannot make a virtual environment. On Debian or Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }; fi
	@echo "Installing the locked packages into .venv ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(BIN)/uv pip sync -q --python $(BIN)/python --require-hashes requirements/lock.txt requirements/uv.txt
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

lock: install ## Resolve the lock again (names, versions and hashes; no addresses)
	@$(BIN)/uv pip compile -q pyproject.toml --all-extras --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate -o requirements/lock.txt
	@echo 'datacontract-cli==1.2.8' | $(BIN)/uv pip compile -q - --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements/datacontract.txt
	@echo 'uv' | $(BIN)/uv pip compile -q - --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements/uv.txt
