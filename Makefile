# Every target sets up what it needs: `make repro` in a fresh clone is all there is to it.
PYTHON ?= python3.11

BIN := .venv/bin
# What recipes of project.mk begin with: in a project, the commands are those of whoever made it.
ENTER := export PATH="$(CURDIR)/$(BIN):$$PATH";

# A file's tests stay together, in the order that tests/conftest.py gives them.
PYTEST := $(BIN)/python -m pytest -q -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
# Where uv is neither on the path nor to be had, and where it cannot use what pip is set up for, pip installs the same.
UV := $(or $(shell command -v uv),$(BIN)/uv)

include project.mk

.PHONY: setup test test-all lint format docs site lock audit clean-all

# What they do stands in project.mk.
repro ui serve experiments: .venv/.done

setup: .venv/.done  ## Make .venv with exactly the packages of requirements.lock
	@echo "Enter it: . $(BIN)/activate    Then: make repro, or with a table of your own: expressionist init ../study --from FILE"

.venv/.done: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) must be installed, but is not there. Install it, or name another: make PYTHON=..." >&2; exit 2; }
	@echo "Setting up .venv (once; about a minute)"
	@$(PYTHON) -m venv .venv
	@command -v $(UV) >/dev/null || { sed -n '/^uv==/,/[^\\]$$/p' requirements.lock >.venv/uv.lock && $(PIP) install --require-hashes -r .venv/uv.lock; } || true
	@$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock || $(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

test: .venv/.done  ## Run every test on all cores, with few rounds of what is tried at random
	@EXPRESSIONIST_TEST_ROUNDS=small $(PYTEST)

test-all: .venv/.done  ## Run every test with as many rounds as CI
	@EXPRESSIONIST_TEST_ROUNDS=large $(PYTEST)

lint: .venv/.done  ## Check style, types and floors
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: .venv/.done  ## Write the code as `make lint` wants it
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

docs: .venv/.done  ## Write the tables of docs/params.md and params.yaml's JSON schema, from the code
	@$(BIN)/python -m expressionist.commands.params_docs

site: .venv/.done  ## Write the documentation as pages: site/index.html
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "Site: site/index.html    With search: .venv/bin/mkdocs serve"

lock: .venv/.done  ## Refresh requirements.lock
	@$(UV) pip compile pyproject.toml --extra all --group dev --generate-hashes --python-version 3.11 --no-header --no-annotate --upgrade --quiet -o requirements.lock

# It asks for each package of the lock, and stops at the first that no database knows.
audit: .venv/.done  ## Look up known vulnerabilities of the locked packages, where a database answers
	@$(UV) tool run pip-audit -r requirements.lock --require-hashes --disable-pip --strict --progress-spinner off >.venv/audit.txt 2>&1; ended=$$?; \
	if grep -q 'could not be audited\|ConnectionError' .venv/audit.txt; then echo "No database of vulnerabilities answers here: the audit was broken off (.venv/audit.txt)."; exit 1; else cat .venv/audit.txt; exit $$ended; fi

clean-all: clean  ## Remove .venv and DVC's cache as well; raw files and MLflow's store stay
	@rm -rf .venv .dvc/cache .dvc/tmp dvc.lock .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis site
