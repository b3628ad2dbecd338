"""What the head sees, and how it is centred."""

import numpy as np
import pytest

from expressionist.network.head import attach_head, centre_head
from expressionist.network.layers import Centre
from network.parts import N_TYPES, divide_nothing, make_parts, run, teach


def find_centres(model):
    return [layer for layer in model.layers if isinstance(layer, Centre)]


@pytest.mark.parametrize("genes", [True, False])
@pytest.mark.parametrize(("average", "n_features"), [(False, 5 * 4 * 6 + 3 * 2 * 12), (True, 6 + 12)])
def test_a_head_sees_every_place_or_only_their_mean(average, n_features, genes):
    _, _, model = make_parts(average=average, genes=genes)
    assert model.get_layer("classifier").kernel.shape == (n_features, N_TYPES)
    assert ("linear_classifier" in model.output) is genes
    assert all(logits.shape == (None, N_TYPES) for logits in model.output.values())


@pytest.mark.parametrize("average", [False, True])
def test_only_a_head_that_keeps_places_tells_where_a_feature_is(average):
    features = np.random.default_rng(0).normal(size=(1, 3, 3, 2)).astype(np.float32)
    division = divide_nothing((3, 3, 2), average=average)
    model = attach_head(division, N_TYPES, dropout=0, seed=1)
    teach(model)
    seen = (run(division.prefix, {"a": each}) for each in (features, features[:, ::-1]))
    here, moved = (run(model, each)["classifier"] for each in seen)
    assert np.allclose(here, moved, atol=1e-5) == average


def test_an_untrained_classifier_prefers_no_type_and_its_dropout_comes_from_the_seed():
    division = divide_nothing((3, 3, 2))
    features = np.random.default_rng(0).normal(size=(2, 3, 3, 2)).astype(np.float32)
    dropped = []
    for seed in (1, 1, 2):
        model = attach_head(division, N_TYPES, dropout=0.5, seed=seed)
        np.testing.assert_array_equal(run(model, {"a": features})["classifier"], np.zeros((2, N_TYPES)))
        teach(model)
        dropped.append(model({"a": features}, training=True)["classifier"].numpy())
    np.testing.assert_array_equal(dropped[0], dropped[1])
    assert not np.array_equal(dropped[0], dropped[2])


@pytest.mark.parametrize("sizes", [[7], [3, 4], [1, 5, 1]])
def test_centring_takes_mean_and_spread_over_all_rows_whatever_the_blocks(sizes):
    model = attach_head(divide_nothing((2, 3, 4)), N_TYPES, dropout=0.5, seed=0)
    rows = np.random.default_rng(0).normal(5, 3, (7, 2, 3, 4)).astype(np.float32)
    centre_head(model, [{"a": block} for block in np.split(rows, np.cumsum(sizes)[:-1])])
    (centre,) = find_centres(model)
    flat = rows.reshape(7, -1).astype(np.float64)
    np.testing.assert_allclose(centre.mean, flat.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(centre.spread, np.sqrt(flat.var(axis=0).mean()), rtol=1e-5)
    centred = centre(flat.astype(np.float32)).numpy()
    np.testing.assert_allclose(centred.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(np.square(centred).mean(), 1, rtol=1e-4)


def test_maps_of_very_different_size_count_alike_once_centred():
    model = attach_head(divide_nothing((2, 2, 3), (1, 1, 5)), N_TYPES, dropout=0, seed=0)
    rng = np.random.default_rng(0)
    parts = [rng.normal(0, 1e-4, (20, 2, 2, 3)), rng.normal(0, 1e5, (20, 1, 1, 5))]
    centre_head(model, [{name: part.astype(np.float32) for name, part in zip("ab", parts, strict=True)}])
    for layer, part in zip(find_centres(model), parts, strict=True):
        assert np.square(layer(part.reshape(20, -1)).numpy()).mean() == pytest.approx(1, rel=1e-3)


def test_features_that_never_vary_do_not_make_nan():
    model = attach_head(divide_nothing((1, 1, 2), average=True), 2, dropout=0, seed=0)
    rows = np.full((3, 2), 7, np.float32)
    centre_head(model, [{"a": rows}])
    np.testing.assert_array_equal(run(model, {"a": rows})["classifier"], np.zeros((3, 2)))


def test_genes_are_standardised_one_by_one_but_for_those_that_hardly_vary():
    (centre,) = [layer for layer in find_centres(make_parts()[2]) if layer.each]
    centre.fit(np.arange(20.0), np.r_[np.full(18, 4.0), 0.0, 1e-9])
    common = np.sqrt(18 * 4 / 20)
    np.testing.assert_allclose(centre.spread, np.r_[np.full(18, 2.0), [0.2 * common] * 2], rtol=1e-5)
    centred = centre(np.arange(20.0, dtype=np.float32)[np.newaxis] + 2)
    np.testing.assert_allclose(centred, 2 / centre.spread[np.newaxis], rtol=1e-5)
