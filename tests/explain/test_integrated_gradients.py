import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toy
from explain.small_models import N_GENES, N_TYPES, make_crowded_layout, make_curved, make_samples
from expressionist.data.expression import Scale
from expressionist.explain.integrated_gradients import Attribution, IntegratedGradients
from expressionist.network.assembly import assemble, fit_ranks, image_front, logits_by_branch
from expressionist.network.backbones import randomise
from expressionist.network.cut import divide
from expressionist.network.head import attach_head, centre_head
from expressionist.network.tracing import trace_prediction
from expressionist.painting.layout import Layout
from expressionist.training.loop import Rows, fit_tail, predict_types
from rounds import count_rounds

N_MARKERS = 3


@pytest.fixture(scope="module")
def layout():
    return make_crowded_layout()


@pytest.fixture(scope="module")
def curved(layout):
    return make_curved(layout)


def explain(model, samples, references, targets, n_steps, *, batch_size=32, **kwargs):
    method = IntegratedGradients(model, batch_size=batch_size)
    return method.explain(samples, references, targets, n_steps, **kwargs)


def converge(model, samples, targets, n_steps, max_steps, median_gap=0, p95_gap=0, **kwargs):
    """From a reference of zeros."""
    gaps = {"median_gap": median_gap, "p95_gap": p95_gap}
    zero, steps = np.zeros(samples.shape[1]), {"n_steps": n_steps, "max_steps": max_steps}
    return IntegratedGradients(model).converge(samples, zero, targets, **steps, **gaps, **kwargs)


def assert_same(found, expected, rows=slice(None)):
    np.testing.assert_allclose(found.values, expected.values[rows], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.rise, expected.rise[rows], rtol=1e-4, atol=1e-5)


# --- what Integrated Gradients must be


def test_of_a_product_each_factor_gets_half():
    """f = a · b from 0, by hand; the midpoint rule is exact, as the gradient is linear on the path.

    What is explained of two logits is half of their difference.
    """
    pair = keras.Input((2,), name="maps")
    product = keras.layers.Multiply()([pair[:, :1], pair[:, 1:]])
    model = keras.Model({"maps": pair}, keras.layers.Concatenate()([product, 3 * pair[:, :1]]))
    samples = np.array([[2, 5], [2, 5], [-1, 4]], np.float32)
    found = explain(model, samples, np.zeros(2), np.array([0, 1, 0]), 3)
    np.testing.assert_allclose(found.values, [[-0.5, 2.5], [0.5, -2.5], [0.5, -1]], rtol=1e-5)
    np.testing.assert_allclose(found.rise, [2, -2, -0.5])


def test_they_follow_the_midpoint_rule(curved):
    """Against its definition, one gradient at a time, by finite differences."""
    samples, targets = make_samples(2)
    reference, n_steps = np.full(N_GENES, 0.3, np.float32), 3
    expected = np.zeros(samples.shape)
    for row, (sample, target) in enumerate(zip(samples, targets, strict=True)):
        for step in range(n_steps):
            point = reference + (step + 0.5) / n_steps * (sample - reference)
            nudged = np.concatenate([point + sign * 2e-3 * np.eye(N_GENES) for sign in (1, -1)])
            logits = curved(nudged.astype(np.float32)).numpy().astype(np.float64)
            up, down = (logits[:, target] - logits.mean(axis=1)).reshape(2, -1)
            expected[row] += (up - down) / 4e-3 / n_steps * (sample - reference)
    found = explain(curved, samples, reference, targets, n_steps)
    np.testing.assert_allclose(found.values, expected, atol=0.02 * np.abs(expected).max())


def test_the_gap_falls_with_the_steps(curved):
    samples, targets = make_samples(20)
    gaps = []
    for n_steps in (1, 4, 16, 64, 256):
        found = explain(curved, samples, np.zeros(N_GENES), targets, n_steps, batch_size=64)
        gaps.append(np.abs(found.delta).mean() / np.abs(found.rise).mean())
    assert all(later < 0.6 * earlier for earlier, later in zip(gaps, gaps[1:], strict=False))
    assert gaps[0] > 0.05
    assert gaps[-1] < 2e-3


def test_a_sample_at_its_baseline_has_none(curved):
    samples, targets = make_samples()
    found = explain(curved, samples, samples, targets, 4)
    for each in (found.values, found.rise, found.gap):
        np.testing.assert_array_equal(each, 0)


def test_a_gene_at_its_baseline_has_none(curved):
    samples, targets = make_samples()
    samples[:, 4] = 0
    found = explain(curved, samples, np.zeros(N_GENES), targets, 4)
    np.testing.assert_array_equal(found.values[:, 4], 0)
    assert np.abs(found.values[:, :4]).max() > 0.01


@pytest.mark.parametrize("batch_size", [1, 3, 7, 500])
def test_the_batch_size_changes_nothing(curved, batch_size):
    samples, targets = make_samples(5)
    given = curved, samples, np.full(N_GENES, 0.5), targets, 9
    assert_same(explain(*given, batch_size=batch_size), explain(*given))


def test_samples_do_not_touch_each_other(curved):
    """Any order, any company: a sample's row is its own, with its own target and reference."""
    samples, targets = make_samples(6)
    references = make_samples(6, seed=3)[0]
    explainer = IntegratedGradients(curved, batch_size=4)
    together = explainer.explain(samples, references, targets, 5)
    order = np.array([3, 0, 5, 5, 1])
    shuffled = explainer.explain(samples[order], references[order], targets[order], 5)
    assert_same(shuffled, together, order)
    assert np.abs(together.values[5] - together.values[3]).max() > 1e-2


def test_progress_counts_every_pair_once(curved):
    samples, targets = make_samples(5)
    told = []
    explain(curved, samples, samples * 0, targets, 7, batch_size=8, on_progress=told.append)
    assert sum(told) == 35
    assert max(told) == 8


def test_what_is_given_is_not_changed(curved):
    samples, targets = make_samples()
    before = samples.copy(), targets.copy()
    converge(curved, samples, targets, 1, 3)
    np.testing.assert_array_equal(samples, before[0])
    np.testing.assert_array_equal(targets, before[1])


# --- trebling


@pytest.fixture
def cubic():
    """x³ + y beside 0, of which the midpoint rule misses 1 / (4 n²) of what x³ rises."""
    pair = keras.Input((2,), name="maps")
    logit = keras.ops.power(pair[:, :1], 3) + pair[:, 1:]
    return keras.Model({"maps": pair}, keras.layers.Concatenate()([logit, 0 * logit]))


def test_trebling_goes_on_only_for_samples_that_need_it(cubic):
    """Half of the samples lie where the model is linear, and half where it is not."""
    samples, counted = np.array([[0, 2]] * 4 + [[2, 0]] * 4, np.float32), []
    found = converge(
        cubic, samples, np.zeros(8, int), 2, 64, median_gap=0.001, p95_gap=0.001, on_progress=counted.append
    )
    # 0.001 takes 16 steps. None is taken twice.
    assert found.n_steps.tolist() == [2] * 4 + [18] * 4
    np.testing.assert_allclose(found.gap[4:], 1 / (4 * 18**2), rtol=1e-2)
    assert sum(counted) == 4 * 2 + 4 * 18


def test_trebling_goes_on_only_for_the_worst_once_the_median_is_complete(cubic):
    samples = np.array([[0, 2]] * 6 + [[1, 2]] * 3 + [[2, 0]] * 2, np.float32)
    found = converge(cubic, samples, np.zeros(11, int), 2, 64, median_gap=0.005, p95_gap=0.03)
    # With two steps 0, 0.021 and 0.063 of the rise are missing.
    assert found.n_steps.tolist() == [2] * 9 + [6] * 2


def test_trebling_ends_with_what_explain_gives_at_those_steps(curved):
    samples, targets = make_samples(12)
    found = converge(curved, samples, targets, 2, 32, median_gap=0.01, p95_gap=0.05)
    assert len(set(found.n_steps)) > 1
    for n_steps in set(found.n_steps):
        rows = found.n_steps == n_steps
        alone = explain(curved, samples[rows], np.zeros(N_GENES), targets[rows], n_steps)
        np.testing.assert_allclose(found.values[rows], alone.values, rtol=1e-4, atol=1e-5)


def test_trebling_never_exceeds_its_bound(curved):
    samples, targets = make_samples(4)
    for max_steps, expected in ((3, 3), (26, 9), (27, 27)):
        assert converge(curved, samples, targets, 3, max_steps).n_steps.max() == expected


def test_the_gap_is_a_share_of_the_rise():
    values = np.array([[1.0, 2.0], [-1.0, 0.5]], np.float32)
    found = Attribution({"maps": values}, np.array([4.0, -1.0]), np.array([8, 8]))
    np.testing.assert_allclose(found.delta, [1.0, -0.5])
    np.testing.assert_allclose(found.gap, [0.25, 0.5])


# --- on a network that was trained


@pytest.fixture(scope="module", params=[False, True], ids=["maps alone", "maps, genes and ranks"])
def trained(request):
    """The whole way in small: three types, three planted markers each, fine-tuned, stitched together."""
    cohort = toy.make_cohort(n_per_type=40, n_genes=40, n_types=N_TYPES, n_markers=N_MARKERS)
    # A pixel for every gene: on a shared one, a marker's neighbours get their share of what it says.
    pixel = np.random.default_rng(3).permutation(49)[:40]
    laid = Layout(cohort.genes.index.to_numpy(str), pixel, (7, 7), "random")
    scale = Scale.fit(cohort.expression)
    scaled = scale.apply(cohort.expression)
    types = np.repeat(np.arange(N_TYPES), 40)
    front = image_front(laid.shape, 2, "tf")
    division = divide(toy.make_backbone((14, 14)), 1, (2, 4))
    images, ranks = laid.paint(scaled), fit_ranks(laid, scale) if request.param else None
    inputs = {name: part.numpy() for name, part in division.prefix(front(images)).items()}
    if ranks:
        inputs |= {"ranks": ranks(images).numpy(), "genes": images}
    held_out = np.arange(120) % 4 == 0
    training, validation = (
        Rows({name: part[rows] for name, part in inputs.items()}, types[rows])
        for rows in (~held_out, held_out)
    )
    shape = images.shape[1:] if ranks else None
    model = attach_head(division, N_TYPES, dropout=0.0, seed=1, genes=shape, ranks=shape, n_hidden=16)
    centre_head(model, training.blocks())
    fit_tail(model, training, validation, toy.training_params(epochs=12, batch_size=32))
    predicted = predict_types(trace_prediction(model), validation).argmax(axis=1)
    assert (predicted == validation.types).mean() > 0.9
    network = assemble(laid, scale, cohort.unit, front, division.prefix, model, ranks)
    return network, scaled[held_out], types[held_out], scaled[~held_out].mean(axis=0)


@pytest.fixture(scope="module")
def explained(trained):
    network, samples, types, reference = trained
    explainer = IntegratedGradients(logits_by_branch(network))
    return explainer.converge(
        samples, reference, types, n_steps=8, max_steps=256, median_gap=0.01, p95_gap=0.05
    )


def test_attributions_of_a_trained_network_are_complete(explained):
    assert np.median(explained.gap) <= 0.01
    assert np.percentile(explained.gap, 95) <= 0.05


def test_branches_add_up_and_each_says_what_it_alone_moves(trained, explained):
    network, samples, types, reference = trained
    model = logits_by_branch(network)
    np.testing.assert_allclose(sum(explained.branches.values()), explained.values)
    rows, start = (
        np.arange(len(samples)),
        {name: np.tile(reference, (len(samples), 1)) for name in model.input},
    )
    for name, values in explained.branches.items():
        moved = model({**start, name: samples}).numpy() - model(start).numpy()
        rise = moved[rows, types] - moved.mean(axis=1)
        np.testing.assert_allclose(values.sum(axis=1), rise, atol=0.05 * np.abs(explained.rise).max())


def test_a_pair_is_explained_by_the_difference_of_its_logits(trained):
    network, samples, types, reference = trained
    rivals = (types + 1) % N_TYPES
    method = IntegratedGradients(logits_by_branch(network))
    pairs = method.explain(samples, reference, np.column_stack([types, rivals]), 8)
    one, other = (method.explain(samples, reference, targets, 8) for targets in (types, rivals))
    np.testing.assert_allclose(pairs.values, one.values - other.values, atol=1e-4)
    np.testing.assert_allclose(pairs.rise, one.rise - other.rise, atol=1e-4)


def measure_against_served(network, samples, reference, types, found):
    """Compare what attributions add up to with logits of the served network, which takes expression."""
    rescale = network.get_layer("rescale")
    served = keras.Model(network.input, network.get_layer("temperature").output)

    def predict(scaled):
        log2 = scaled * rescale.span.numpy() + rescale.low.numpy()
        given = np.exp2(log2) - 1 if "log2" in [layer.name for layer in network.layers] else log2
        return served.predict(given.astype(np.float32), verbose=0)

    rows = np.arange(len(samples))
    logits = predict(samples) - predict(np.tile(reference, (len(samples), 1)))
    rise = logits[rows, types] - logits.mean(axis=1)
    return np.abs(rise - found.values.sum(axis=1)) / np.abs(rise)


BUGS = {
    "genes in another order": lambda network, samples, reference, types: (samples[:, ::-1], reference, types),
    "another scale": lambda network, samples, reference, types: (1.3 * samples, 1.3 * reference, types),
    "another type": lambda network, samples, reference, types: (samples, reference, (types + 1) % N_TYPES),
    "another reference": lambda network, samples, reference, types: (samples, 0 * reference, types),
}


def test_attributions_add_up_to_what_is_served(trained, explained):
    network, samples, types, reference = trained
    gap = measure_against_served(network, samples, reference, types, explained)
    assert np.median(gap) <= 0.015


@pytest.mark.parametrize("bug", [*BUGS, "a branch left out", "another temperature"])
def test_no_bug_on_the_way_goes_unnoticed(trained, explained, bug):
    network, samples, types, reference = trained
    found = explained
    if bug in BUGS:
        method = IntegratedGradients(logits_by_branch(network))
        found = method.explain(*BUGS[bug](network, samples, reference, types), 16)
    elif bug == "a branch left out":
        branches = dict(list(explained.branches.items())[1:]) or {"none": np.zeros_like(samples)}
        found = Attribution(branches, explained.rise, explained.n_steps)
    else:
        branches = {name: 1.3 * values for name, values in explained.branches.items()}
        found = Attribution(branches, explained.rise, explained.n_steps)
    assert np.median(measure_against_served(network, samples, reference, types, found)) > 0.05


def test_planted_markers_are_found(trained, explained):
    """Genes t, t + 3 and t + 6 of forty are raised in type t: they lead, averaged over its samples."""
    types = trained[2]
    for tumour_type in range(N_TYPES):
        mean = explained.values[types == tumour_type].mean(axis=0)
        planted = set(range(tumour_type, N_MARKERS * N_TYPES, N_TYPES))
        ranked = np.argsort(-mean)
        assert ranked[0] in planted
        assert planted <= set(ranked[: 3 * N_MARKERS])


def test_attributions_of_a_randomised_network_are_others(trained, explained, tmp_path):
    network, samples, types, reference = trained
    network.save(tmp_path / "model.keras")
    control = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    randomise(control, 5)
    found = explain(logits_by_branch(control), samples, reference, types, 32)
    # Deviations from the reference are common to both; gene by gene over samples, weights are what differs.
    related = [
        abs(np.corrcoef(one, other)[0, 1]) for one, other in zip(explained.values, found.values, strict=True)
    ]
    assert np.median(related) < 0.4
    for tumour_type in range(N_TYPES):
        one, other = (each.values[types == tumour_type].mean(axis=0) for each in (explained, found))
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.7
    # A copy was randomised: the network itself still explains as before.
    again = explain(logits_by_branch(network), samples[:2], reference, types[:2], 256)
    np.testing.assert_allclose(again.values.sum(axis=1), explained.rise[:2], rtol=0.05)


def test_gene_order_is_irrelevant(layout):
    """A gene keeps its attribution wherever it stands, as long as its pixel goes with it."""
    samples, targets = make_samples()
    order = np.random.default_rng(2).permutation(N_GENES)
    shuffled = Layout(layout.genes[order], layout.pixel[order], layout.shape, layout.method)
    expected = explain(make_curved(layout), samples, np.zeros(N_GENES), targets, 8)
    found = explain(make_curved(shuffled), samples[:, order], np.zeros(N_GENES), targets, 8)
    np.testing.assert_allclose(found.values, expected.values[:, order], rtol=1e-4, atol=1e-5)


# Integrated Gradients as algebra, on linear models with any overlap, shape and number of samples.


# Every example traces a graph of its own.
few = settings(max_examples=count_rounds(4, 8), deadline=None)


@st.composite
def cases(draw):
    shape = draw(st.one_of(st.tuples(st.integers(1, 4), st.integers(1, 4)), st.just((1, 7)), st.just((7, 1))))
    n_genes, n_types = draw(st.integers(1, 20)), draw(st.integers(2, 4))
    layout = toy.make_layout(n_genes, shape, seed=draw(st.integers(0, 99)))
    n_samples, n_steps = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    samples, references = rng.normal(size=(2, n_samples, n_genes)).astype(np.float32)
    return layout, n_types, samples, references, rng.integers(0, n_types, n_samples), n_steps


@few
@given(cases(), st.integers(1, 40))
def test_on_a_linear_model_they_are_exact_and_complete(case, batch_size):
    layout, n_types, samples, references, targets, n_steps = case
    model, matrix = toy.make_linear_model(layout, n_types)
    found = explain(model, samples, references, targets, n_steps, batch_size=batch_size)
    np.testing.assert_allclose(
        found.values, (matrix.T[targets] - matrix.mean(axis=1)) * (samples - references), rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(found.delta, 0, atol=1e-4)
    assert (found.n_steps == n_steps).all()


@few
@given(cases())
def test_swapping_sample_and_baseline_turns_every_sign(case):
    layout, n_types, samples, references, targets, n_steps = case
    explainer = IntegratedGradients(toy.make_linear_model(layout, n_types)[0])
    there = explainer.explain(samples, references, targets, n_steps)
    back = explainer.explain(references, samples, targets, n_steps)
    np.testing.assert_allclose(back.values, -there.values, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(back.rise, -there.rise, rtol=1e-3, atol=1e-4)
