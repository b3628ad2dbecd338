import inspect
from collections import Counter
from datetime import datetime, timedelta

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

import toy
from expressionist.training import search
from expressionist.training.search import (
    Outcome,
    Space,
    compare_trials,
    describe,
    find_best_trial,
    name_study,
    run_search,
)

DEPTHS = (0, 1, 2, 3)
RANGES = {"learning_rate": (1e-4, 1e-2), "dropout": (0.1, 0.6)}


@pytest.fixture
def storage(tmp_path):
    return f"sqlite:///{tmp_path / 'studies.db'}"


def train(choice, report):
    """A training that needs no time: depth 2 is best."""
    value = 1 - abs(choice["depth"] - 2) / 10 - choice.get("dropout", 0) / 100
    history = [{"epoch": epoch, "validation_f1_macro": value * epoch / 3} for epoch in (1, 2, 3)]
    pruned = any([report(row) for row in history])
    facts = {"n_unfrozen_parameters": 10 * choice["depth"], "folds": [value] * 2}
    return Outcome(value, history, facts, pruned)


def run(storage, *, space=None, train=train, name="study", **changes):
    defaults = {"objective": "f1_macro", "n_trials": 100, "prune": False, "seed": 1}
    return run_search(name, space or Space(DEPTHS), train, storage=storage, **(defaults | changes))


def finished(trials):
    return [trial for trial in trials if trial["state"] in ("COMPLETE", "PRUNED")]


def choices(trials):
    return sorted(trial["depth"] for trial in finished(trials))


def run_and_die(storage, n_before, **changes):
    """In a copy of this process, which dies in the trial after so many."""

    def die(choice, report):
        done.append(choice)
        if len(done) > n_before:
            report({"epoch": 1, "validation_f1_macro": 0.1})
            toy.kill_me()
        return train(choice, report)

    done = []
    assert toy.fork(lambda: run(storage, train=die, **changes)) == -9


# --- what is tried


@pytest.mark.parametrize("seed", range(2))
def test_a_space_of_depths_is_tried_out_whole_and_each_depth_once(storage, seed):
    trials = run(storage, seed=seed)
    # The deepest first: what it freezes is frozen at every shallower depth too.
    assert [trial["depth"] for trial in trials] == sorted(DEPTHS, reverse=True)
    assert {trial["state"] for trial in trials} == {"COMPLETE"}


@pytest.mark.parametrize("n_trials", [1, 3])
def test_no_more_trials_than_asked_for(storage, n_trials):
    trials = run(storage, n_trials=n_trials)
    assert len(trials) == n_trials
    assert len(set(choices(trials))) == n_trials


def test_a_finished_search_is_not_begun_again(storage):
    def refuse(choice, report):
        raise AssertionError("nothing was left to try")

    first = run(storage)
    assert run(storage, train=refuse) == first


def test_more_trials_are_added_to_those_there_are(storage):
    first = run(storage, n_trials=2)
    trials = run(storage, n_trials=4)
    assert trials[:2] == first
    assert choices(trials) == list(DEPTHS)


def test_a_range_is_sampled_alike_after_a_kill(tmp_path):
    """What is drawn for a trial depends on the trials before it, not on how often the search was begun."""
    space = Space(DEPTHS, **RANGES)
    whole = run(f"sqlite:///{tmp_path / 'whole.db'}", space=space, n_trials=12)
    for n_trials in (3, 12):
        parts = run(f"sqlite:///{tmp_path / 'parts.db'}", space=space, n_trials=n_trials)
    assert [trial["params"] for trial in parts] == [trial["params"] for trial in whole]


def test_ranges_are_sampled_within_their_bounds(storage):
    trials = run(storage, space=Space(DEPTHS, **RANGES), n_trials=12)
    assert len(trials) == 12
    for name, (low, high) in RANGES.items():
        values = [trial["params"][name] for trial in trials]
        assert low <= min(values) < max(values) <= high
        assert len(set(values)) == 12
    assert {trial["depth"] for trial in trials} <= set(DEPTHS)
    # On a log scale: a uniform draw would hardly ever go below a tenth of the highest.
    assert min(trial["params"]["learning_rate"] for trial in trials) < 1e-3


def test_the_same_seed_makes_the_same_choices(tmp_path):
    def draw(name, seed):
        storage, space = f"sqlite:///{tmp_path / name}.db", Space(DEPTHS, **RANGES)
        return [trial["params"] for trial in run(storage, space=space, n_trials=6, seed=seed)]

    assert draw("a", 1) == draw("b", 1) != draw("c", 2)


def test_a_trial_is_recorded_with_all_that_came_of_it(storage):
    told = []
    trials = run(storage, on_trial=told.append)
    assert told == trials
    for trial in trials:
        assert set(trial) >= {"number", "state", "depth", "params", "value", "seconds", "started", "history"}
        assert trial["n_unfrozen_parameters"] == 10 * trial["depth"]
        assert [row["epoch"] for row in trial["history"]] == [1, 2, 3]
        assert trial["value"] == pytest.approx(1 - abs(trial["depth"] - 2) / 10)
        assert trial["seconds"] >= 0


def test_a_search_is_given_nothing_of_the_test_rows():
    """It sees a function of the choice and a function to report validation scores to; no rows at all."""
    named = "study_name space train storage objective n_trials prune seed on_begin on_trial on_progress"
    assert set(inspect.signature(run_search).parameters) == set(named.split())


# --- pruning


def run_prunable(storage, n_depths, *, prune):
    """Return the trials, and the depths that were broken off."""
    pruned = []

    def train(choice, report):
        # The shallower, and so the later, the worse, from the first epoch on.
        value, history = choice["depth"] / 10, []
        for epoch in range(1, 7):
            history.append({"epoch": epoch, "validation_f1_macro": value})
            if report(history[-1]):
                pruned.append(choice["depth"])
                return Outcome(value, history, {"cut": "x"}, pruned=True)
        return Outcome(value, history, {"cut": "x", "folds": [value] * 2})

    return run(storage, space=Space(tuple(range(n_depths))), train=train, prune=prune), pruned


def test_pruned_trials_are_recorded_as_such_and_count_as_finished(storage):
    trials, pruned = run_prunable(storage, 8, prune=True)
    by_state = Counter(trial["state"] for trial in trials)
    assert by_state == {"PRUNED": len(pruned), "COMPLETE": 8 - len(pruned)}
    assert 0 < len(pruned) < 8
    for trial in trials:
        assert (trial["state"] == "PRUNED") == (trial["depth"] in pruned)
        if trial["state"] == "PRUNED":
            assert len(trial["history"]) < 6
            assert trial["cut"] == "x"
    assert find_best_trial(trials, "f1_macro")["depth"] == 7


@pytest.mark.parametrize(("n_depths", "prune"), [(5, True), (8, False)])
def test_nothing_is_pruned_unasked_or_by_the_median_of_fewer_than_five_trials(storage, n_depths, prune):
    trials, pruned = run_prunable(storage, n_depths, prune=prune)
    assert pruned == []
    assert {len(trial["history"]) for trial in trials} == {6}


# --- killed and failed


@pytest.mark.parametrize("n_before", range(len(DEPTHS)))
def test_a_killed_search_goes_on_and_ends_with_the_same_trials(storage, n_before):
    run_and_die(storage, n_before)
    left = [trial.state.name for trial in optuna.load_study(study_name="study", storage=storage).trials]
    assert [state for state in left if state != "WAITING"] == ["COMPLETE"] * n_before + ["RUNNING"]
    trials = run(storage)
    assert choices(trials) == list(DEPTHS)
    assert Counter(trial["state"] for trial in trials) == {"COMPLETE": 4, "FAIL": 1}
    assert trials[n_before]["state"] == "FAIL"


def test_a_search_killed_again_and_again_still_ends(storage):
    for _ in range(5):
        run_and_die(storage, 0)
    trials = run(storage)
    assert choices(trials) == list(DEPTHS)
    assert not {"RUNNING", "WAITING"} & {trial["state"] for trial in trials}


def test_a_killed_search_over_ranges_ends_with_as_many_trials(storage):
    space = Space(DEPTHS, **RANGES)
    run_and_die(storage, 3, space=space, n_trials=7)
    trials = run(storage, space=space, n_trials=7)
    assert Counter(trial["state"] for trial in trials) == {"COMPLETE": 7, "FAIL": 1}
    assert trials[4]["params"] == trials[3]["params"]


def test_a_failed_trial_stops_the_search_and_is_tried_again_by_the_next(storage):
    def fail(choice, report):
        if choice["depth"] == 1:
            raise MemoryError("depth 1")
        return train(choice, report)

    with pytest.raises(MemoryError, match="depth 1"):
        run(storage, train=fail)
    trials = run(storage)
    assert choices(trials) == list(DEPTHS)
    assert [trial["depth"] for trial in trials if trial["state"] == "FAIL"] == [1]


@pytest.mark.parametrize("n_before", range(3))
def test_several_killed_trials_are_all_tried_again(storage, n_before):
    """Also when nothing else is left to try, which is when a search would like to stop."""
    if n_before:
        run(storage, n_trials=n_before)
    study = optuna.create_study(
        study_name="study", storage=storage, direction="maximize", load_if_exists=True
    )
    for depth in sorted(DEPTHS, reverse=True)[n_before:]:
        study.enqueue_trial({"depth": depth})
        trial = study.ask()
        Space(DEPTHS).suggest(trial)
        trial.set_user_attr(search._WORKER, "gone")
    trials = run(storage)
    assert choices(trials) == list(DEPTHS)
    assert {trial["state"] for trial in trials} == {"COMPLETE", "FAIL"}


def test_a_trial_that_was_never_taken_in_full_is_given_up(storage):
    """Killed between the beginning of a trial and its choice, or between its choice and its name."""
    study = optuna.create_study(study_name="study", storage=storage, direction="maximize")
    study.ask()
    Space(DEPTHS).suggest(study.ask())
    space = Space(DEPTHS, **RANGES)
    study.ask().suggest_categorical("depth", list(DEPTHS))
    trials = run(storage, space=space, n_trials=4)
    assert [trial["state"] for trial in trials] == ["FAIL"] * 3 + ["COMPLETE"] * 4


def test_what_was_queued_before_a_kill_is_not_queued_again(storage):
    study = optuna.create_study(study_name="study", storage=storage, direction="maximize")
    study.enqueue_trial({"depth": 3})
    assert [trial["depth"] for trial in run(storage)] == [3, 2, 1, 0]


def test_a_search_of_another_name_begins_from_nothing(storage):
    run(storage)
    assert len(run(storage, name="other")) == len(DEPTHS)


# --- names


def test_another_space_or_other_facts_give_another_study():
    facts = {"images": ["a", "b"], "training": {"epochs": 3}, "objective": "f1_macro"}
    spaces = [Space((0, 1, 2)), Space(DEPTHS, dropout=(0.1, 0.5)), Space(DEPTHS, learning_rate=(0.1, 0.5))]
    changes = [{}, {"images": ["a", "c"]}, {"training": {"epochs": 4}}, {"objective": "accuracy"}]
    names = {name_study("toy", facts, space) for space in spaces}
    names |= {name_study("toy", facts | each, Space(DEPTHS)) for each in changes}
    assert len(names) == 7
    assert all(name.startswith("toy-") for name in names)
    again = dict(reversed(facts.items()))
    assert name_study("toy", again, Space(DEPTHS)) == name_study("toy", facts, Space(DEPTHS))


# --- the best


def find_best(objective, *trials):
    """Return the number of the best of these trials: depth, values of two folds, and state."""
    known = [
        {"number": number, "depth": depth, "value": sum(folds) / 2, "folds": folds, "state": state}
        for number, (depth, folds, state) in enumerate(trials)
    ]
    return find_best_trial(known, objective)["number"]


@pytest.mark.parametrize(("objective", "expected"), [("f1_macro", 1), ("accuracy", 1), ("log_loss", 2)])
def test_the_best_trial_follows_the_objectives_direction(objective, expected):
    values = {3: 0.5, 2: 0.9, 1: 0.1}
    assert find_best(objective, *((depth, [n] * 2, "COMPLETE") for depth, n in values.items())) == expected


def test_depths_are_told_apart_fold_by_fold_though_folds_differ_more():
    folds = {0: [0.20, 0.60], 1: [0.23, 0.61], 2: [0.22, 0.63]}
    trials = [
        {"number": n, "depth": n, "value": sum(values) / 2, "folds": values, "state": "COMPLETE"}
        for n, values in folds.items()
    ]
    found = compare_trials([*trials, {"number": 3, "state": "FAIL"}], "f1_macro")
    np.testing.assert_allclose([each["behind"] for each in found[:3]], [0.025, 0.005, 0], atol=1e-9)
    np.testing.assert_allclose([each["error"] for each in found[:3]], [0.005, 0.015, 0], atol=1e-9)
    assert found[3] == {"number": 3, "state": "FAIL"}


def test_the_shallowest_within_one_standard_error_of_the_best_is_chosen():
    trials = [
        {"number": n, "depth": n, "value": value, "folds": [value] * 2, "standard_error": 0.02}
        for n, value in enumerate([0.90, 0.93, 0.94])
    ]
    trials = [trial | {"state": "COMPLETE"} for trial in trials]
    assert find_best_trial(trials, "f1_macro")["depth"] == 1
    trials[2]["standard_error"] = 0.05
    assert find_best_trial(trials, "f1_macro")["depth"] == 0


@pytest.mark.parametrize("objective", ["f1_macro", "log_loss"])
def test_of_equals_the_cheaper_is_best_then_the_earlier(objective):
    assert find_best(objective, *((depth, [0.5] * 2, "COMPLETE") for depth in (3, 1, 2, 1))) == 1


def test_what_was_pruned_or_killed_is_never_best():
    assert (
        find_best("f1_macro", (0, [0.99] * 2, "PRUNED"), (1, [0.9] * 2, "FAIL"), (2, [0.2] * 2, "COMPLETE"))
        == 2
    )


def test_log_loss_is_searched_downwards(storage):
    def train(choice, report):
        report({"epoch": 1, "validation_log_loss": choice["depth"] + 1.0})
        return Outcome(choice["depth"] + 1.0, [], {"folds": [choice["depth"] + 1.0] * 2})

    trials = run(storage, train=train, objective="log_loss")
    assert find_best_trial(trials, "log_loss")["depth"] == 0
    study = optuna.load_study(study_name="study", storage=storage)
    assert study.direction == optuna.study.StudyDirection.MINIMIZE


@pytest.mark.parametrize(("kept", "seconds"), [({"seconds": 2.0}, 2.0), ({}, 0.0)])
def test_what_a_trial_takes_does_not_follow_a_clock_that_is_set_back(kept, seconds):
    start = datetime(2026, 1, 2)
    facts = {"params": {}, "distributions": {}, "user_attrs": kept, "system_attrs": {}}
    facts |= {"intermediate_values": {}, "trial_id": 0, "number": 0, "state": TrialState.FAIL, "value": None}
    trial = FrozenTrial(datetime_start=start, datetime_complete=start - timedelta(hours=1), **facts)
    assert describe(trial)["seconds"] == seconds
