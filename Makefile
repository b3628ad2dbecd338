# Every target sets up what it needs: `make repro` in a fresh clone is all there is to it.
PYTHON ?= python3.11
PORT ?= 5000
SERVE_PORT ?= 5001
MODEL ?= models:/tumour-type@staging

BIN := .venv/bin
DATABASE := mlruns/mlflow.db
# What the stages write, without the raw files; tests/architecture/test_dvc_yaml.py holds this to dvc.yaml.
MADE := data/cache data/code data/cohort data/quality data/split.tsv data/layout data/images data/baselines data/search data/models data/novelty data/evaluation data/repeats.tsv data/metrics.json data/comparison data/ablation data/refit data/attributions data/report data/served

# A file's tests stay together, in the order that tests/conftest.py gives them.
PYTEST := $(BIN)/python -m pytest -q -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
# Where uv is neither on the path nor to be had, and where it cannot use what pip is set up for, pip installs the same.
UV := $(or $(shell command -v uv),$(BIN)/uv)

export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export TF_CPP_MIN_LOG_LEVEL := 3

.DEFAULT_GOAL := help
.PHONY: help setup repro test test-all lint format docs ui experiments serve lock audit clean clean-all

help:  ## Say what there is
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/\1#\2/p' Makefile | while IFS='#' read -r name what; do printf '  make %-11s %s\n' "$$name" "$$what"; done

setup: .venv/.done  ## Make .venv with exactly the packages of requirements.lock

.venv/.done: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) must be installed, but is not there. Install it, or name another: make PYTHON=..." >&2; exit 2; }
	@echo "Setting up .venv (once; about a minute)"
	@$(PYTHON) -m venv .venv
	@command -v $(UV) >/dev/null || { sed -n '/^uv==/,/[^\\]$$/p' requirements.lock >.venv/uv.lock && $(PIP) install --require-hashes -r .venv/uv.lock; } || true
	@$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock || $(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

repro: .venv/.done  ## Run the pipeline as far as something has changed
	@git rev-parse --git-dir >/dev/null 2>&1 || { echo "No git checkout: DVC runs without it." && $(BIN)/dvc config --quiet --local core.no_scm true; }
	@export PATH="$(CURDIR)/$(BIN):$$PATH" EXPRESSIONIST_BEGAN=$$(date +%s); dvc repro && expressionist times
	@echo "Report: data/report/report.html    Runs and models: make ui"

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

ui: .venv/.done  ## Show runs and models in the browser (PORT=5000)
	@test -f $(DATABASE) || { echo "There must be runs to show, but $(DATABASE) is not there. Run: make repro" >&2; exit 2; }
	@echo "Runs of every cohort, best first (stop with Ctrl-C):"
	@$(BIN)/python -c "from pathlib import Path; from expressionist.tracking.store import list_leaderboards, open_store; print(*list_leaderboards(open_store(Path()), 'http://127.0.0.1:$(PORT)'), sep='\n')"
	@MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow ui --backend-store-uri sqlite:///$(DATABASE) --host 127.0.0.1 --port $(PORT)

serve: .venv/.done  ## Answer tables over HTTP (MODEL=models:/tumour-type@staging SERVE_PORT=5001)
	@echo "http://127.0.0.1:$(SERVE_PORT)/invocations  (docs/serving.md; stop with Ctrl-C)"
	@EXPRESSIONIST_MODEL=$(MODEL) $(BIN)/uvicorn --factory expressionist.tracking.scoring_server:make_app --host 127.0.0.1 --port $(SERVE_PORT) --no-access-log

experiments: .venv/.done  ## Show DVC's experiments: what was changed, who won, and how good it is
	@$(BIN)/dvc exp show --only-changed --keep 'winner|f1_macro' --drop 'data/.*|src/.*|Created|State|Executor|accuracy|log_loss|.*baseline.*'

lock: .venv/.done  ## Refresh requirements.lock
	@$(UV) pip compile pyproject.toml --group dev --generate-hashes --python-version 3.11 --no-header --no-annotate --upgrade --quiet -o requirements.lock

# It asks for each package of the lock, and stops at the first that no database knows.
audit: .venv/.done  ## Look up known vulnerabilities of the locked packages, where a database answers
	@$(UV) tool run pip-audit -r requirements.lock --require-hashes --disable-pip --strict --progress-spinner off >.venv/audit.txt 2>&1; ended=$$?; \
	if grep -q 'could not be audited\|ConnectionError' .venv/audit.txt; then echo "No database of vulnerabilities answers here: the audit was broken off (.venv/audit.txt)."; exit 1; else cat .venv/audit.txt; exit $$ended; fi

clean:  ## Remove what the pipeline made; raw files, MLflow's store and .venv stay
	@rm -rf $(MADE)

clean-all: clean  ## Remove .venv and DVC's cache as well; raw files and MLflow's store stay
	@rm -rf .venv .dvc/cache .dvc/tmp dvc.lock .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
