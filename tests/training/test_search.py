import inspect
from collections import Counter

import optuna
import pytest

import toy
from expressionist.training import search
from expressionist.training.search import Outcome, Space, find_best_trial, name_study, run_search

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
    return Outcome(value, history, {"n_unfrozen_parameters": 10 * choice["depth"]}, pruned)


def run(storage, *, space=None, train=train, name="study", **changes):
    defaults = {"objective": "f1_macro", "n_trials": 100, "prune": False, "seed": 1}
    return run_search(name, space or Space(DEPTHS), train, storage=storage, **(defaults | changes))


def finished(trials):
    return [trial for trial in trials if trial["state"] in ("COMPLETE", "PRUNED")]


def choices(trials):
    return sorted(trial["depth"] for trial in finished(trials))


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
    drawn = [
        [
            trial["params"]
            for trial in run(
                f"sqlite:///{tmp_path / name}.db", space=Space(DEPTHS, **RANGES), n_trials=6, seed=seed
            )
        ]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert drawn[0] == drawn[1] != drawn[2]


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
    assert set(inspect.signature(run_search).parameters) == {
        *("study_name", "space", "train", "storage", "objective", "n_trials", "prune", "seed", "on_trial"),
        "on_progress",
    }


# --- pruning


def make_prunable(log):
    def train(choice, report):
        # The shallower, and so the later, the worse, from the first epoch on.
        value = choice["depth"] / 10
        history = []
        for epoch in range(1, 7):
            history.append({"epoch": epoch, "validation_f1_macro": value})
            if report(history[-1]):
                log.append(choice["depth"])
                return Outcome(value, history, {"cut": "x"}, pruned=True)
        return Outcome(value, history, {"cut": "x"})

    return train


def test_pruned_trials_are_recorded_as_such_and_count_as_finished(storage):
    pruned = []
    trials = run(storage, space=Space(tuple(range(8))), train=make_prunable(pruned), prune=True)
    by_state = Counter(trial["state"] for trial in trials)
    assert by_state == {"PRUNED": len(pruned), "COMPLETE": 8 - len(pruned)}
    assert 0 < len(pruned) < 8
    for trial in trials:
        assert (trial["state"] == "PRUNED") == (trial["depth"] in pruned)
        if trial["state"] == "PRUNED":
            assert len(trial["history"]) < 6
            assert trial["cut"] == "x"
    assert find_best_trial(trials, "f1_macro")["depth"] == 7


def test_nothing_is_pruned_by_the_median_of_fewer_than_five_trials(storage):
    pruned = []
    run(storage, space=Space(tuple(range(5))), train=make_prunable(pruned), prune=True)
    assert pruned == []


def test_without_pruning_every_trial_runs_to_its_end(storage):
    pruned = []
    trials = run(storage, space=Space(tuple(range(8))), train=make_prunable(pruned), prune=False)
    assert pruned == []
    assert {len(trial["history"]) for trial in trials} == {6}


# --- killed and failed


@pytest.mark.parametrize("n_before", range(len(DEPTHS)))
def test_a_killed_search_goes_on_and_ends_with_the_same_trials(storage, n_before):
    def die(choice, report):
        die.n += 1
        if die.n > n_before:
            report({"epoch": 1, "validation_f1_macro": 0.1})
            toy.kill_me()
        return train(choice, report)

    die.n = 0
    assert toy.fork(lambda: run(storage, train=die)) == -9
    left = [trial.state.name for trial in optuna.load_study(study_name="study", storage=storage).trials]
    assert [state for state in left if state != "WAITING"] == ["COMPLETE"] * n_before + ["RUNNING"]
    trials = run(storage)
    assert choices(trials) == list(DEPTHS)
    assert Counter(trial["state"] for trial in trials) == {"COMPLETE": 4, "FAIL": 1}
    assert trials[n_before]["state"] == "FAIL"


def test_a_search_killed_again_and_again_still_ends(storage):
    def die(choice, report):
        toy.kill_me()

    for _ in range(5):
        assert toy.fork(lambda: run(storage, train=die)) == -9
    trials = run(storage)
    assert choices(trials) == list(DEPTHS)
    assert "RUNNING" not in {trial["state"] for trial in trials}
    assert "WAITING" not in {trial["state"] for trial in trials}


def test_a_killed_search_over_ranges_ends_with_as_many_trials(storage):
    def die(choice, report):
        die.n += 1
        if die.n == 4:
            toy.kill_me()
        return train(choice, report)

    die.n = 0
    space = Space(DEPTHS, **RANGES)
    assert toy.fork(lambda: run(storage, space=space, train=die, n_trials=7)) == -9
    trials = run(storage, space=space, n_trials=7)
    assert Counter(trial["state"] for trial in trials) == {"COMPLETE": 7, "FAIL": 1}
    assert trials[4]["params"] == trials[3]["params"]


def fail_at(*depths):
    def fail(choice, report):
        if choice["depth"] in depths:
            raise MemoryError(f"depth {choice['depth']}")
        return train(choice, report)

    return fail


def test_a_failed_trial_stops_the_search_and_is_tried_again_by_the_next(storage):
    with pytest.raises(MemoryError, match="depth 1"):
        run(storage, train=fail_at(1))
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
    names = {
        name_study("toy", facts, Space(DEPTHS)),
        name_study("toy", facts, Space((0, 1, 2))),
        name_study("toy", facts, Space(DEPTHS, dropout=(0.1, 0.5))),
        name_study("toy", facts, Space(DEPTHS, learning_rate=(0.1, 0.5))),
        name_study("toy", facts | {"images": ["a", "c"]}, Space(DEPTHS)),
        name_study("toy", facts | {"training": {"epochs": 4}}, Space(DEPTHS)),
        name_study("toy", facts | {"objective": "accuracy"}, Space(DEPTHS)),
    }
    assert len(names) == 7
    assert all(name.startswith("toy-") for name in names)
    again = dict(reversed(facts.items()))
    assert name_study("toy", again, Space(DEPTHS)) == name_study("toy", facts, Space(DEPTHS))


# --- the best


def make_trial(number, depth, value, state="COMPLETE"):
    return {"number": number, "depth": depth, "value": value, "state": state}


@pytest.mark.parametrize(("objective", "expected"), [("f1_macro", 1), ("accuracy", 1), ("log_loss", 2)])
def test_the_best_trial_follows_the_objectives_direction(objective, expected):
    trials = [make_trial(0, 3, 0.5), make_trial(1, 2, 0.9), make_trial(2, 1, 0.1)]
    assert find_best_trial(trials, objective)["number"] == expected


@pytest.mark.parametrize("objective", ["f1_macro", "log_loss"])
def test_of_equals_the_cheaper_is_best_then_the_earlier(objective):
    trials = [make_trial(0, 3, 0.5), make_trial(1, 1, 0.5), make_trial(2, 2, 0.5), make_trial(3, 1, 0.5)]
    assert find_best_trial(trials, objective)["number"] == 1


def test_what_was_pruned_or_killed_is_never_best():
    trials = [make_trial(0, 0, 0.99, "PRUNED"), make_trial(1, 1, None, "FAIL"), make_trial(2, 2, 0.2)]
    assert find_best_trial(trials, "f1_macro")["number"] == 2


def test_log_loss_is_searched_downwards(storage):
    def train(choice, report):
        report({"epoch": 1, "validation_log_loss": choice["depth"] + 1.0})
        return Outcome(choice["depth"] + 1.0, [])

    trials = run(storage, train=train, objective="log_loss")
    assert find_best_trial(trials, "log_loss")["depth"] == 0
    study = optuna.load_study(study_name="study", storage=storage)
    assert study.direction == optuna.study.StudyDirection.MINIMIZE
