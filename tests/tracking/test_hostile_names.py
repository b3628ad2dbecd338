"""MLflow takes experiments, studies and params under names of every kind."""

from pathlib import Path

from expressionist.tracking.card import _plain
from expressionist.tracking.runs import Dataset, begin
from expressionist.tracking.store import open_experiment, open_store
from expressionist.training.search import Space, name_study
from hostile_names import KEPT


def test_a_run_is_found_again_whatever_cohort_and_types_are_called(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    types = {name: ["06"] for name in KEPT}
    for cohort in KEPT[3::12]:
        experiment = open_experiment(store, cohort)
        key = name_study(f"{cohort}-mobilenet", {}, Space(depths=(0,)))
        run = begin(experiment, key, f"validate {cohort}", {"cohort": cohort})
        run.log_params({"cohort": cohort, "more_sample_types": types}, {})
        run.log_dataset(Dataset(cohort, "0" * 32))
        assert begin(experiment, key, "again", {}).id == run.id
        found = store.client.get_run(run.id)
        assert found.data.tags["cohort"] == cohort
        assert found.data.params["cohort"] == cohort
        assert found.inputs.dataset_inputs[0].dataset.name == cohort
        assert store.client.get_experiment_by_name(cohort).experiment_id == experiment.id
    below = store.folder / "artifacts"
    assert {path.parent for path in below.glob("*")} <= {below}


def test_a_card_shows_names_as_text() -> None:
    for name in KEPT:
        shown = _plain(name)
        assert "<" not in shown
        for mark in "[]`|":
            assert shown.count(mark) == shown.count(f"\\{mark}")
