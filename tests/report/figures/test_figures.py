"""Figures show what they were given: values in place, padding apart from expression 0, nothing global."""

import io
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image
from scipy.stats import binomtest
from tests.report import made_up

from expressionist.report.figures import (
    attributions,
    cohort,
    faithfulness,
    images,
    learning,
    probabilities,
    recovery,
    scores,
)
from expressionist.report.figures.drawing import spread_boxes, stamp
from expressionist.report.figures.style import PADDING

TYPES = ["READ", "ACC", "COAD"]

BINS = pd.DataFrame({"confidence": [0.5, 0.9], "share_right": [0.4, 0.8], "n_samples": [3, 3]})
OVERLAP = np.ones((4, 5), int)
OVERLAP[3, 2:] = 0
MODELS = {"model": ["vgg19", "linear_svm", "resnet50"], "kind": ["network", "baseline", "network"]}
INTERVALS = {"f1_macro_low": [0.65, 0.75, 0.85], "f1_macro_high": [0.75, 0.85, 0.95]}
NAMES = {"integrated_gradients": "x", "fold_change": "$y_1$"}
CURVES = pd.DataFrame(
    {"ranking": np.repeat(list(NAMES), 2), "n_top": [10, 20] * 2, "share": [1.0, 0.5, 0.2, 0.1]}
)
CURVES = CURVES.assign(low=CURVES["share"] - 0.1, high=CURVES["share"] + 0.1, chance=0.05)
COMPARISON = pd.DataFrame({**MODELS, "f1_macro": [0.7, 0.8, 0.9], **INTERVALS})


def read(texts) -> list[str]:
    return [text.get_text() for text in texts]


def rasterise(figure: Figure) -> np.ndarray:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=figure.dpi)
    with Image.open(stream) as image:
        return np.asarray(image.convert("RGB"))


def count_colour(pixels: np.ndarray, colour: str) -> int:
    wanted = np.round(np.array(to_rgb(colour)) * 255).astype(np.uint8)
    return int((pixels == wanted).all(axis=-1).sum())


def make_trials(values: list[float], states: list[str], best: int) -> pd.DataFrame:
    trials = pd.DataFrame({"depth": [0, 1, 2], "value": values, "state": states})
    return trials.assign(backbone="vgg19", best=trials.index == best, standard_error=[0.01, 0.02, None])


def draw_every() -> dict[str, Figure]:
    shape, pixel = OVERLAP.shape, np.flatnonzero(OVERLAP)
    names = np.array(["1", "X", None, "10"] * 5)[: len(pixel)]
    points, groups = (
        np.random.default_rng(0).normal(size=(30, 2)),
        np.array([f"g{k % 15}" for k in range(30)]),
    )
    groupings = {"few": np.array(["a", "b", "$c_1$"] * 10), "more": groups}
    depths = pd.DataFrame({"backbone": ["vgg19"], "depth": [0], "deepest": [0], "n_unfrozen_parameters": [0]})
    markers = {"ACC": np.array([0, 4]), "READ": np.array([0]), "UVM": np.array([2])}
    sizes, types = np.geomspace(1e5, 1e7, 9), np.array(["ACC", "READ", "UVM"] * 3)
    recalls = pd.DataFrame({"type": TYPES, "n_samples": [3, 0, 9], "recall": [1.0, np.nan, 0.5]})
    found = pd.DataFrame({"integrated_gradients": [0.5, np.nan], "fold_change": [0.4, 0.2]})
    covered = pd.DataFrame({"coverage": [0.5, 1.0], "accuracy": [1.0, 0.5]})
    flagged = {"test": (1, 100), "shuffled": (9, 9)}
    changes = np.linspace(-1, 1, 20).reshape(1, *shape)
    losses = {"loss": [2.0, 1.0], "validation_log_loss": [2.1, 1.5]}
    history = pd.DataFrame({"epoch": [1, 2], **losses, "validation_f1_macro": [0.3, 0.6]})
    trials = make_trials([0.5, 0.6, np.nan], ["COMPLETE", "PRUNED", "FAIL"], best=0)
    counts = np.array([[3, 0, 1], [0, 2, 0], [0, 0, 0]])
    genes = pd.DataFrame(
        {"symbol": ["A", "$B_1$", "C"], "score": [0.4, 0.6, 0.1], "marker": [True, False, False]}
    )
    genes["speaks_by_being"] = ["high", "high", "low"]
    stable = pd.DataFrame({"shared_halves": [3, np.nan], "shared_fold_change": [0, 1]}, index=TYPES[:2])
    shared = dict(zip(stable, [("halves", "integrated_gradients"), ("fold", "fold_change")], strict=True))
    left = {"correlation": ("rank correlation", 1), "n_shared": ("shared", 3)}
    samples = pd.DataFrame({"tumour_type": ["ACC", "ACC", "READ"], "split": ["train", "test", "train"]})
    gaps = pd.DataFrame({"relative_gap": [0.0, 0.01, 0.2], "steps": [8, 16, 16]})
    return {
        "attribution": attributions.draw_attribution(np.ones(shape), np.zeros(shape), OVERLAP, "ACC"),
        "chromosomes": images.draw_chromosomes(pixel, names, shape),
        "clusters": images.draw_clusters(pixel, np.arange(len(pixel)) % 4, shape),
        "components": cohort.draw_components(points, [0.5, 0.25], groupings),
        "confusion": scores.draw_confusion(counts, TYPES),
        "overlap": images.draw_overlap(OVERLAP),
        "deltas": attributions.draw_deltas(gaps, median_limit=0.01, p95_limit=0.05),
        "depths": learning.draw_depths(depths),
        "differences": images.draw_differences(changes, [("ACC", "READ")], OVERLAP),
        "forest": scores.draw_forest(COMPARISON, level=0.95),
        "kept": cohort.draw_kept({"ACC": 9, "READ": 2, "UVM": 1}, {"ACC": 8, "READ": 2}),
        "library sizes": cohort.draw_library_sizes(sizes, types, "counts"),
        "markers": images.draw_markers(pixel, markers, TYPES, shape),
        "missing": cohort.draw_missing({"ACC": 0, "READ": 366}, 1071),
        "preview": images.draw_preview(np.zeros((3, *shape)), TYPES, OVERLAP),
        "recalls": scores.draw_recalls(recalls),
        "recovery controls": recovery.draw_recovery_controls(found, NAMES, chance=0.1),
        "recovery map": recovery.draw_recovery_map(np.array([[1, np.nan], [0, np.nan]]), TYPES[:2], n_top=20),
        "recovery curves": recovery.draw_truth_curves({"$a_1$": CURVES, "b": CURVES}, NAMES),
        "replaced": faithfulness.draw_replaced(made_up.make_faithfulness()),
        "randomised": faithfulness.draw_randomised(made_up.make_randomisation(), left),
        "siblings": attributions.draw_apart(made_up.make_siblings(), "T1", "T2"),
        "stability": recovery.draw_stability(stable, shared, n_top=3),
        "reliability": probabilities.draw_reliability({"test": {"before": BINS, "after": BINS}}),
        "coverage": probabilities.draw_coverage(covered, 0.0, None),
        "flagged": probabilities.draw_flagged(flagged, {"test": False, "shuffled": True}),
        "samples": cohort.draw_samples(samples),
        "search": learning.draw_search(trials, "macro-F1"),
        "top genes": attributions.draw_top_genes(genes),
        "training": learning.draw_training({"vgg19": history}),
    }


def test_every_figure_is_drawn_and_leaves_the_global_style_alone() -> None:
    before = dict(mpl.rcParams)
    for name, figure in draw_every().items():
        assert len(np.unique(rasterise(figure).reshape(-1, 3), axis=0)) > 3, name
    assert dict(mpl.rcParams) == before


def test_a_stamp_covers_nothing_of_the_figure() -> None:
    for name, figure in draw_every().items():
        stamp(figure, synthetic=True, random_weights=True)
        stamped = rasterise(figure)
        (text,) = [text for text in figure.texts if text.get_text() == "SYNTHETIC · RANDOM WEIGHTS"]
        box = text.get_window_extent()
        rows = slice(len(stamped) - int(box.y1) - 1, len(stamped) - int(box.y0))
        columns = slice(int(box.x0), int(box.x1) + 1)
        assert box.x0 > 0, name
        assert (stamped[rows, columns] != 255).any(), name
        text.remove()
        bare = rasterise(figure)
        assert (bare[rows, columns] == 255).all(), name


def test_a_true_cohort_and_pretrained_networks_are_not_stamped() -> None:
    figure = stamp(Figure(layout="constrained"), synthetic=False)
    assert not figure.texts
    assert figure.get_figheight() == Figure().get_figheight()


def test_pyplot_is_never_loaded() -> None:
    code = "import sys, expressionist.report; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_padding_is_not_taken_for_expression_zero() -> None:
    empty = rasterise(images.draw_preview(np.zeros((1, 4, 5)), ["ACC"], OVERLAP))
    full = rasterise(images.draw_preview(np.zeros((1, 4, 5)), ["ACC"], np.ones((4, 5), int)))
    magnify = round(170 / 5)
    assert count_colour(empty, PADDING) >= 3 * magnify**2
    assert count_colour(full, PADDING) == 0


@pytest.mark.parametrize("side", [7, 27])
def test_pixels_of_a_preview_cover_whole_figure_pixels(side: int) -> None:
    means = np.random.default_rng(0).choice([0.0, 1.0], (2, side, side))
    figure = images.draw_preview(means, ["ACC", "COAD"], np.ones((side, side), int))
    pixels = rasterise(figure).astype(int)
    magnify = round(170 / side)
    dark, bright = (np.array(mpl.colormaps["magma"](value)[:3]) * 255 for value in (0.0, 1.0))
    for mean, axes in zip(means, figure.axes, strict=False):
        box = axes.get_window_extent()
        left, top = round(box.x0), len(pixels) - round(box.y1)
        seen = pixels[top : top + side * magnify, left : left + side * magnify]
        expected = np.where(np.kron(mean, np.ones((magnify, magnify)))[..., None] == 1, bright, dark)
        assert np.abs(seen - expected).max() <= 1


def test_attribution_colours_are_centred_on_zero() -> None:
    attribution = np.linspace(-0.2, 1.0, 20).reshape(4, 5)
    figure = attributions.draw_attribution(np.zeros((4, 5)), attribution, OVERLAP, "ACC")
    scale = figure.axes[2].images[0].norm
    assert scale.vmin == -scale.vmax
    assert scale.vmax <= attribution[OVERLAP > 0].max()


def test_confusion_is_sorted_and_counts_stay_with_their_types() -> None:
    counts = np.array([[5, 0, 4], [0, 7, 0], [1, 0, 9]])
    axes = scores.draw_confusion(counts, TYPES).axes[0]
    assert read(axes.get_yticklabels()) == ["ACC", "COAD", "READ"]
    shares = axes.images[0].get_array()
    assert shares[2, 1] == pytest.approx(4 / 9)
    assert {(*map(int, text.get_position()), text.get_text()) for text in axes.texts} == {
        (0, 0, "7"), (1, 1, "9"), (2, 1, "1"), (1, 2, "4"), (2, 2, "5"),
    }  # fmt: skip


def test_the_forest_is_sorted_its_line_is_the_best_baseline_and_its_level_is_named() -> None:
    axes = scores.draw_forest(COMPARISON, level=0.9).axes[0]
    assert "90% interval" in axes.get_xlabel()
    assert read(axes.get_yticklabels()) == ["vgg19", "linear SVM", "resnet50"]
    assert list(axes.lines[0].get_xdata()) == [0.8, 0.8]


def test_the_forest_shows_other_splits_as_dots_and_its_own_once() -> None:
    rows = [(1, "vgg19", 0.9), (2, "vgg19", 0.7), (3, "vgg19", 0.95), (2, "linear_svm", 0.6)]
    splits = pd.DataFrame(rows, columns=["repeat", "model", "f1_macro"])
    axes = scores.draw_forest(COMPARISON, level=0.9, splits=splits).axes[0]
    (dots,) = (line for line in axes.lines if line.get_label() == "other splits")
    assert sorted(dots.get_xdata()) == [0.6, 0.7, 0.95]
    names = read(axes.get_yticklabels())
    rows = [names[round(height + 0.24)] for height in dots.get_ydata()]
    assert rows == ["vgg19", "vgg19", "linear SVM"]
    alone = scores.draw_forest(COMPARISON, level=0.9, splits=splits[:1]).axes[0]
    assert "other splits" not in [line.get_label() for line in alone.lines]


def test_the_chosen_trial_is_ringed_even_if_a_pruned_one_was_higher() -> None:
    trials = make_trials([0.5, 0.7, 0.9], ["COMPLETE", "COMPLETE", "PRUNED"], best=1)
    axes = learning.draw_search(trials, "macro-F1").axes[0]
    ring = next(item for item in axes.collections if item.get_label() == "chosen")
    assert ring.get_offsets().tolist() == [[1, 0.7]]


def test_a_finished_trial_has_a_bar_of_one_standard_error_either_way() -> None:
    axes = learning.draw_search(make_trials([0.5, 0.7, 0.9], ["COMPLETE"] * 3, best=1), "macro-F1").axes[0]
    (bars,) = axes.containers[0].get_children()[-1:]
    ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
    np.testing.assert_allclose(ends, [[0.49, 0.51], [0.68, 0.72], [0.9, 0.9]])


def test_top_genes_keep_the_first_of_either_side_best_on_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributions, "_N_GENES", {"high": 2, "low": 1})
    genes = pd.DataFrame({"symbol": list("abcde"), "score": [0.9, 0.5, 0.1, 0.7, 0.6], "marker": False})
    genes["speaks_by_being"] = ["high"] * 3 + ["low"] * 2
    axes = attributions.draw_top_genes(genes.replace("b", "$B_1$")).axes[0]
    heights = dict(zip(read(axes.get_yticklabels()), axes.get_yticks(), strict=True))
    assert sorted(heights, key=heights.get, reverse=True) == ["a", "$B_1$", "d"]
    assert not any(label.get_parse_math() for label in axes.get_yticklabels()), "names are no formulas"
    bars = {bar.get_width(): bar.get_facecolor()[:3] != (1, 1, 1) for bar in axes.patches}
    assert bars == {0.9: True, 0.5: True, 0.7: False}


def test_what_speaks_for_the_rival_points_left_and_genes_of_both_sides_have_one_line() -> None:
    axes = attributions.draw_apart(made_up.make_siblings(), "T1", "T2").axes[0]
    names = read(axes.get_yticklabels())
    assert sorted(names) == ["A", "B"]
    bars = {
        (names[round(bar.get_y() + bar.get_height() / 2)], bar.get_width()): bar.get_facecolor()[:3]
        != (1, 1, 1)
        for bar in axes.patches
    }
    assert bars == {("A", 0.3): True, ("B", 0.2): False, ("A", -0.4): False}


def test_deletion_and_insertion_have_a_panel_each_with_every_order() -> None:
    curves = made_up.make_faithfulness()
    deletion, insertion = faithfulness.draw_replaced(curves).axes
    assert [line.get_label() for line in deletion.lines] == list(curves["order"].unique())
    assert deletion.lines[0].get_xydata().tolist() == [
        [0, 0.9],
        [10, 0.7],
        [50, 0.5],
        [100, pytest.approx(0.3)],
    ]
    assert insertion.lines[0].get_ydata() == pytest.approx([0.05, 0.25, 0.45, 0.65])
    assert read(insertion.get_xticklabels()) == ["0", "10", "50", "100"]


def test_the_cascade_begins_where_nothing_is_randomised() -> None:
    left = {"correlation": ("rank correlation", 1), "n_shared": ("shared", 3)}
    correlation, shared = faithfulness.draw_randomised(made_up.make_randomisation(), left).axes
    assert list(correlation.lines[0].get_xdata()) == [1, 0.5, -0.02]
    assert list(shared.lines[0].get_xdata()) == [3, 2, 0]
    assert read(correlation.get_yticklabels())[0] == "nothing"


def test_stability_has_a_dot_for_what_each_other_ranking_shares() -> None:
    shared = pd.DataFrame({"halves": [3, 1], "test": [2, np.nan]}, index=["T0", "T1"])
    marks = {"halves": ("two halves", "integrated_gradients"), "test": ("test samples", "test_samples")}
    axes = recovery.draw_stability(shared, marks, n_top=3).axes[0]
    np.testing.assert_array_equal([line.get_ydata() for line in axes.lines], shared.T)
    assert np.round([line.get_xdata() for line in axes.lines]).tolist() == [[0, 1], [0, 1]]
    assert [line.get_markerfacecolor() == "white" for line in axes.lines] == [False, True]


def test_rankings_look_the_same_in_every_figure() -> None:
    bars = recovery.draw_recovery_controls(pd.DataFrame({"fold_change": [0.5]}), NAMES, chance=0.1)
    (curve,) = [
        line
        for line in recovery.draw_truth_curves({"a": CURVES, "b": CURVES}, NAMES).axes[0].lines
        if line.get_label() == NAMES["fold_change"]
    ]
    replaced = faithfulness.draw_replaced(made_up.make_faithfulness()).axes[0].lines[2]
    assert replaced.get_label() == "fold change"
    assert to_rgb(curve.get_color()) == to_rgb(replaced.get_color())
    assert bars.axes[0].patches[0].get_facecolor()[:3] == to_rgb(curve.get_color())


def test_recall_intervals_are_wilsons() -> None:
    per_type = pd.DataFrame({"type": ["ACC"], "n_samples": [10], "recall": [0.9]})
    (interval,) = scores.draw_recalls(per_type).axes[0].collections[0].get_segments()
    expected = binomtest(9, 10).proportion_ci(0.95, method="wilson")
    assert interval[:, 1] == pytest.approx([expected.low, expected.high], abs=1e-6)


def test_reliability_shows_every_bin_of_every_side_before_and_after() -> None:
    after = BINS.assign(share_right=[0.6, 0.9])
    stages = {"before": BINS, "after": after}
    panels = probabilities.draw_reliability({"validation": stages, "test": stages}).axes
    assert [panel.get_title(loc="left") for panel in panels] == ["validation samples", "test samples"]
    for panel in panels:
        diagonal, *curves = panel.lines
        for curve, table in zip(curves, (BINS, after), strict=True):
            np.testing.assert_array_equal(curve.get_xydata(), table[["confidence", "share_right"]])
        left, right = panel.get_xlim()
        assert left < 0.5 < 0.9 < right


def test_coverage_marks_what_was_chosen() -> None:
    curve = pd.DataFrame({"coverage": [0.25, 0.5, 1.0], "accuracy": [1.0, 1.0, 0.75]})
    axes = probabilities.draw_coverage(curve, 0.5, 1.0).axes[0]
    assert axes.lines[1].get_xydata().tolist() == [[0.5, 1.0]]
    assert axes.get_ylim()[0] < 0.75 < 1.0 < axes.get_ylim()[1]
    assert len(probabilities.draw_coverage(curve, 0.0, None).axes[0].lines) == 1


def test_flagged_shares_are_bars_with_their_counts() -> None:
    axes = probabilities.draw_flagged({"a": (1, 4), "b": (9, 10)}, {"a": False, "b": True}).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.25, 0.9]
    assert read(axes.texts) == ["25.0%  (1 of 4)", "90.0%  (9 of 10)"]
    assert axes.patches[0].get_y() > axes.patches[1].get_y(), "the first stands on top"


def test_every_ranking_has_its_curve_and_band_beside_chance() -> None:
    axes = recovery.draw_truth_curves({"a": CURVES, "b": CURVES}, NAMES).axes[1]
    assert [line.get_ydata().tolist() for line in axes.lines] == [[1.0, 0.5], [0.2, 0.1], [0.05, 0.05]]
    assert [line.get_label() for line in axes.lines] == ["x", "$y_1$", "chance"]
    assert axes.collections[1].get_paths()[0].get_extents().ymax == pytest.approx(0.3)
    assert read(axes.get_xticklabels()) == ["10", "20"]


def test_samples_are_stacked_by_split_largest_type_first() -> None:
    split = ["train", "test", "train", "train"]
    samples = pd.DataFrame({"tumour_type": ["A", "B", "B", "B"], "split": split})
    axes = cohort.draw_samples(samples).axes[0]
    assert read(axes.get_xticklabels()) == ["B", "A"]
    assert [[bar.get_height() for bar in bars] for bars in axes.containers] == [[2, 1], [1, 0]]


def test_chromosomes_stand_in_natural_order_whichever_way_they_are_written() -> None:
    figure = images.draw_chromosomes(np.arange(5), np.array(["chrX", "10", "2", "", "chr2"]), (2, 3))
    labels = read(figure.axes[0].get_legend().get_texts())
    assert labels == ["2", "10", "X", "not known", "no gene"]
    assert figure.axes[0].images[0].get_array().filled(-1).tolist() == [[3, 2, 1], [0, 1, -1]]


def test_neighbours_that_share_a_name_are_counted_beside_chance() -> None:
    # Pairs of named neighbours: a-a, a-b across; a-b, a-b down; the unnamed one takes no part.
    names = np.array(["a", "a", "b", "b", "b", ""])
    alike, by_chance = images.share_alike(np.arange(6), names, (2, 3))
    assert alike == pytest.approx(2 / 5)
    assert by_chance == pytest.approx((2 * 1 + 3 * 2) / (5 * 4))
    assert np.isnan(images.share_alike(np.arange(2), np.array(["", ""]), (1, 2))).all()


def test_names_of_places_do_not_lie_on_each_other_and_stay_inside() -> None:
    rng = np.random.default_rng(0)
    middles = np.concatenate([np.tile([[5.0, 5.0]], (9, 1)), rng.uniform(40, 90, (12, 2))])
    sizes = np.column_stack([rng.uniform(20, 40, 21), np.full(21, 9.0)])
    placed = spread_boxes(middles, sizes, np.array([0, 0, 300, 200]))
    apart = np.abs(placed[:, None] - placed[None]) - (sizes[:, None] + sizes[None]) / 2
    touching = (apart < -0.5).all(axis=2)
    assert np.flatnonzero(touching.sum(axis=1) > 1).size == 0
    assert (placed - sizes / 2 >= -1e-9).all()
    assert (placed + sizes / 2 <= [300, 200]).all()
    alone = np.array([[50.0, 50.0]])
    assert (spread_boxes(alone, sizes[:1], np.array([0, 0, 300, 200])) == alone).all()


def test_medians_of_groups_are_named_apart() -> None:
    points = np.random.default_rng(0).normal(size=(300, 2))
    figure = cohort.draw_components(
        points, [0.5, 0.25], {"type": np.array([f"T{k % 30:02}" for k in range(300)])}
    )
    figure.draw_without_rendering()
    boxes = [text.get_bbox_patch().get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 30
    assert not any(one.overlaps(other) for place, one in enumerate(boxes) for other in boxes[:place])
