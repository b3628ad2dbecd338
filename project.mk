# What is done with a project. `expressionist init` writes this file as the Makefile of a new one.
PORT ?= 5000
SERVE_PORT ?= 5001
MODEL ?= models:/tumour-type@staging

DATABASE := mlruns/mlflow.db
# What the stages write, without the raw files.
MADE := data/cache data/code data/cohort data/quality data/split.tsv data/layout data/images data/baselines data/search data/models data/novelty data/evaluation data/repeats.tsv data/metrics.json data/comparison data/ablation data/refit data/attributions data/report data/served

# DVC fails for a user without a name, as containers have them.
export LOGNAME ?= $(or $(USER),$(shell id -un 2>/dev/null || id -u))
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export TF_CPP_MIN_LOG_LEVEL := 3

# A checkout of the source enters its own environment; a project needs one that is active.
ENTER ?= command -v expressionist >/dev/null || { echo "expressionist must be on the path: activate the environment that it is installed in." >&2; exit 2; };

.DEFAULT_GOAL := help
.PHONY: help repro ui serve experiments clean

help:  ## Say what there is
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/\1#\2/p' $(MAKEFILE_LIST) | while IFS='#' read -r name what; do printf '  make %-12s %s\n' "$$name" "$$what"; done

repro:  ## Run the pipeline as far as something has changed
	@git rev-parse --git-dir >/dev/null 2>&1 || { echo "No git repository: DVC runs without it." && $(ENTER)dvc config --quiet --local core.no_scm true; }
	@$(ENTER)export EXPRESSIONIST_BEGAN=$$(date +%s); dvc repro && expressionist times
	@echo "Report: data/report/report.html    Runs and models: make ui"

ui:  ## Show runs and models in the browser (PORT=5000)
	@test -f $(DATABASE) || { echo "There must be runs to show, but $(DATABASE) is not there. Run: make repro" >&2; exit 2; }
	@echo "Runs of every cohort, best first (stop with Ctrl-C):"
	@$(ENTER)python -c "from pathlib import Path; from expressionist.tracking.store import list_leaderboards, open_store; print(*list_leaderboards(open_store(Path()), 'http://127.0.0.1:$(PORT)'), sep='\n')"
	@$(ENTER)MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false exec mlflow ui --backend-store-uri sqlite:///$(DATABASE) --host 127.0.0.1 --port $(PORT)

serve:  ## Answer tables over HTTP (MODEL=models:/tumour-type@staging SERVE_PORT=5001)
	@echo "http://127.0.0.1:$(SERVE_PORT)/invocations  (see serving.md; stop with Ctrl-C)"
	@$(ENTER)EXPRESSIONIST_MODEL=$(MODEL) exec uvicorn --factory expressionist.tracking.scoring_server:make_app --host 127.0.0.1 --port $(SERVE_PORT) --no-access-log

experiments:  ## Show DVC's experiments: what was changed, who won, and how good it is
	@$(ENTER)dvc exp show --only-changed --keep 'winner|f1_macro' --drop 'data/.*|src/.*|Created|State|Executor|accuracy|log_loss|.*baseline.*'

clean:  ## Remove what the pipeline made; raw files and MLflow's store stay
	@rm -rf $(MADE)
