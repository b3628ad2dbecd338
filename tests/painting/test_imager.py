"""The imager: scikit-learn's checks, tables of every kind, names, files, and refusals."""

import io
import json
import os
import subprocess
import sys
import tracemalloc

import anndata
import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.sparse import csc_array, csr_array, csr_matrix
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

import expressionist
from expressionist import ExpressionImager
from expressionist.errors import Refusal
from expressionist.painting import sample_table
from expressionist.painting.sample_table import ImagerError

N_GENES = 11
# Checks of scikit-learn that do not fit, each with its reason: none of those that `check_estimator` runs.
EXPECTED_FAILED = {}


def make_table(n_samples=9, n_genes=N_GENES, seed=1):
    values = np.random.default_rng(seed).gamma(2, 2, (n_samples, n_genes)).astype(np.float32)
    return pd.DataFrame(values, columns=[f"GENE{place}" for place in range(n_genes)])


def make_anndata(table):
    var = pd.DataFrame(index=table.columns)
    var["chromosome"] = [["X", "2", "10", None][place % 4] for place in range(len(var))]
    var["start"] = np.arange(len(var))[::-1]
    return anndata.AnnData(X=table.to_numpy().copy(), var=var)


def shuffle_columns(table, seed=2):
    return table[list(np.random.default_rng(seed).permutation(table.columns))]


def save_bytes(imager, tmp_path):
    imager.save(tmp_path / "imager.npz")
    return (tmp_path / "imager.npz").read_bytes()


@parametrize_with_checks(
    [ExpressionImager(), ExpressionImager("random", n_genes=2, shape=(1, 3))],
    expected_failed_checks=lambda _: EXPECTED_FAILED,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_n_features_in_after_fitting,
        pytest.param(
            estimator_checks.check_transformer_get_feature_names_out,
            marks=pytest.mark.xfail(
                strict=True, raises=AssertionError, reason="an image's second axis is rows, not pixels"
            ),
        ),
        pytest.param(
            estimator_checks.check_dataframe_column_names_consistency,
            marks=pytest.mark.xfail(
                strict=True, raises=AssertionError, reason="genes in another order are matched by name"
            ),
        ),
    ],
)
def test_checks_that_scikit_learn_keeps_for_itself(check):
    check("ExpressionImager", ExpressionImager())


@pytest.mark.parametrize("shape", [None, (4, 4), (3, 5), (1, 11), (11, 1), (2, 3), (1, 1)])
def test_images_against_their_definition(shape):
    table = make_table()
    imager = ExpressionImager(shape=shape).fit(table.iloc[:5])
    images = imager.transform(table)
    assert images.dtype == np.float32
    assert images.shape == (9, *(shape or (4, 4)), 1)
    low, high = table.iloc[:5].min(), table.iloc[:5].max()
    scaled = (table - low) / (high - low)
    for row in range(images.shape[1]):
        for column in range(images.shape[2]):
            genes = imager.genes_at(row, column)
            expected = scaled[genes].mean(axis=1) if genes else np.zeros(9)
            np.testing.assert_allclose(images[:, row, column, 0], expected, rtol=1e-5, atol=1e-6)
            assert imager.padding_[row, column] == (not genes)
            assert imager.overlap_[row, column] == len(genes)


def test_other_rows_are_not_clipped():
    imager = ExpressionImager("random").fit(np.array([[0.0], [2.0]]))
    assert_array_equal(imager.transform(np.array([[-2.0], [6.0]])).ravel(), [-1, 3])


def test_no_logarithm_is_taken():
    imager = ExpressionImager("random").fit(np.array([[0.0], [100.0]]))
    assert imager.transform(np.array([[50.0]])).item() == 0.5


@pytest.mark.parametrize("layout", ["random", "coexpression"])
def test_order_of_genes_does_not_matter(layout):
    table = make_table()
    expected = ExpressionImager(layout, n_genes=7).fit(table)
    other = ExpressionImager(layout, n_genes=7).fit(shuffle_columns(table))
    assert_array_equal(other.layout_.genes, expected.layout_.genes)
    images = expected.transform(table).tobytes()
    assert other.transform(table).tobytes() == images
    assert other.transform(shuffle_columns(table, 3)).tobytes() == images


def test_order_of_genes_does_not_matter_by_chromosome():
    table = make_anndata(make_table())
    order = np.random.default_rng(5).permutation(N_GENES)
    expected = ExpressionImager("chromosome").fit(table)
    other = ExpressionImager("chromosome").fit(table[:, order].copy())
    assert other.transform(table).tobytes() == expected.transform(table).tobytes()
    # 2 before 10 before X before what has no position; by start within a chromosome.
    in_order = expected.layout_.genes[np.argsort(expected.layout_.pixel)]
    assert [int(name.removeprefix("GENE")) for name in in_order] == [9, 5, 1, 10, 6, 2, 8, 4, 0, 3, 7]


def test_seed_decides():
    table = make_table()
    first = ExpressionImager("random", random_state=3).fit(table).layout_.pixel
    assert_array_equal(ExpressionImager("random", random_state=3).fit(table).layout_.pixel, first)
    assert (ExpressionImager("random", random_state=4).fit(table).layout_.pixel != first).any()
    state = np.random.RandomState(7)
    drawn = [ExpressionImager("random", random_state=state).fit(table).layout_.pixel for _ in range(2)]
    assert (drawn[0] != drawn[1]).any()


@pytest.mark.parametrize(
    "turn",
    [
        pd.DataFrame.to_numpy,
        lambda table: np.asfortranarray(table.to_numpy(np.float64)),
        lambda table: table.to_numpy().tolist(),
        lambda table: csr_array(table.to_numpy()),
        lambda table: csc_array(table.to_numpy()),
        lambda table: table.set_axis(range(N_GENES), axis=1),
        lambda table: table.astype(object),
        lambda table: table.astype("Float32"),
        make_anndata,
        lambda table: anndata.AnnData(X=csr_matrix(table.to_numpy()), var=pd.DataFrame(index=table.columns)),
    ],
    ids=[
        "float32",
        "float64",
        "list",
        "csr",
        "csc",
        "numbered",
        "object",
        "nullable",
        "anndata",
        "sparse h5ad",
    ],
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_every_kind_of_table(turn):
    table = make_table()
    imager = ExpressionImager().fit(table)
    expected = imager.transform(table)
    assert_array_equal(imager.transform(turn(table)), expected)
    fitted = ExpressionImager().fit(turn(table))
    known = table if hasattr(fitted, "feature_names_in_") else table.to_numpy()
    assert_array_equal(fitted.transform(turn(table)), ExpressionImager().fit_transform(known))


def test_backed_anndata(tmp_path):
    table = make_table()
    make_anndata(table).write_h5ad(tmp_path / "table.h5ad")
    backed = anndata.read_h5ad(tmp_path / "table.h5ad", backed="r")
    imager = ExpressionImager("chromosome").fit(backed)
    assert_array_equal(
        imager.transform(backed), ExpressionImager("chromosome").fit(make_anndata(table)).transform(table)
    )
    backed.file.close()


def test_tables_of_other_libraries_are_matched_by_name():
    class Frame:
        def __init__(self, table):
            self.table, self.columns, self.shape = table, list(table.columns), table.shape

        def __array__(self, dtype=None, copy=None):
            return self.table.to_numpy(dtype)

    table = make_table()
    imager = ExpressionImager().fit(Frame(table))
    assert_array_equal(imager.transform(Frame(shuffle_columns(table))), imager.transform(table))


def test_whole_numbers_as_names_are_names():
    table = make_table(n_genes=3).set_axis([7157, 4609, 1956], axis=1)
    imager = ExpressionImager("random").fit(table)
    assert_array_equal(imager.transform(table[[1956, 7157, 4609]]), imager.transform(table))
    assert imager.genes_at(*imager.pixel_of("7157")) == ["7157"]


def test_further_columns_are_ignored():
    table = make_table()
    imager = ExpressionImager().fit(table)
    assert_array_equal(imager.transform(table.assign(tumour_type="BRCA", GENE99=1)), imager.transform(table))


def test_genes_that_are_not_painted_may_be_missing():
    table = make_table()
    imager = ExpressionImager(n_genes=4).fit(table)
    assert_array_equal(imager.transform(table[list(imager.layout_.genes)]), imager.transform(table))


def test_missing_genes_are_refused_with_five_names():
    imager = ExpressionImager().fit(make_table())
    with pytest.raises(ImagerError, match="7 are missing: GENE10, GENE4, GENE5, GENE6, GENE7 and 2 more"):
        imager.transform(make_table().iloc[:, :4])


def test_columns_without_names_are_counted():
    imager = ExpressionImager().fit(make_table().to_numpy())
    with pytest.raises(ValueError, match="X has 4 features, but ExpressionImager is expecting 11"):
        imager.transform(make_table().to_numpy()[:, :4])


def test_mixing_names_and_positions_warns():
    table = make_table()
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        ExpressionImager().fit(table).transform(table.to_numpy())
    for named in (table, make_anndata(table)):
        with pytest.warns(UserWarning, match="was fitted without feature names"):
            ExpressionImager().fit(table.to_numpy()).transform(named)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_not_finite_are_refused_by_name(value):
    table = make_table().astype(np.float64)
    imager = ExpressionImager().fit(table)
    table.loc[7, "GENE3"] = value
    for call in (ExpressionImager().fit, imager.transform):
        with pytest.raises(ImagerError, match="1 genes have NaN or infinite values in rows 0 to 8: GENE3"):
            call(table)


def test_genes_that_are_not_painted_may_be_nan():
    table = make_table()
    imager = ExpressionImager(n_genes=4).fit(table)
    other = next(name for name in table if name not in imager.layout_.genes)
    assert_array_equal(imager.transform(table.assign(**{other: np.nan})), imager.transform(table))


@pytest.mark.parametrize("size", [(0, 0), (0, 3), (3, 0)])
@pytest.mark.parametrize("turn", [pd.DataFrame, np.zeros, lambda size: make_anndata(make_table(*size))])
def test_empty_tables_are_refused(size, turn):
    table = pd.DataFrame(np.zeros(size)) if turn is pd.DataFrame else turn(size)
    with pytest.raises(ValueError, match=r"0 sample|0 feature|shape \((0, 0|0, 3|3, 0)\)"):
        ExpressionImager().fit(table)


def test_text_and_repeats_are_refused():
    with pytest.raises(ImagerError, match="1 columns do not: tumour_type"):
        ExpressionImager().fit(make_table().assign(tumour_type="BRCA"))
    with pytest.raises(ImagerError, match="1 stand more often: GENE0"):
        ExpressionImager().fit(make_table().rename(columns={"GENE4": "GENE0"}))
    with pytest.raises(ImagerError, match="without X"):
        ExpressionImager().fit(anndata.AnnData(obs=pd.DataFrame(index=["a"]), var=pd.DataFrame(index=["b"])))


def test_chosen_genes_are_the_most_variable():
    table = make_table() * np.arange(1, N_GENES + 1)
    expected = table.var().nlargest(5).index
    assert set(ExpressionImager(n_genes=5).fit(table).layout_.genes) == set(expected)


def test_constant_genes_are_painted_only_where_all_are():
    table = make_table(n_genes=4).assign(GENE2=5.0)
    assert ExpressionImager(n_genes=4).fit(table).layout_.genes.tolist() == ["GENE0", "GENE1", "GENE3"]
    imager = ExpressionImager().fit(table)
    row, column = imager.pixel_of("GENE2")
    assert_array_equal(imager.transform(table)[:, row, column], 0)
    assert not imager.padding_[row, column]
    with pytest.raises(ImagerError, match="one of the 3 painted"):
        ExpressionImager(n_genes=4).fit(table).pixel_of("GENE2")


@pytest.mark.parametrize("layout", ["random", "coexpression"])
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (2, 2)])
def test_smallest_tables(layout, size):
    table = make_table(*size)
    images = ExpressionImager(layout).fit_transform(table)
    assert len(images) == size[0]
    assert np.isfinite(images).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"layout": "rand"}, "method must be one of"),
        ({"layout_options": {"colour": 1}}, "no key 'colour'"),
        ({"layout": "chromosome"}, "chromosome and start"),
        ({"n_genes": 0}, "n_genes must be"),
        ({"n_genes": True}, "n_genes must be"),
        ({"n_genes": 2.0}, "n_genes must be"),
        ({"shape": (0, 3)}, "height must be"),
        ({"shape": (3, 2.5)}, "width must be"),
        ({"shape": 9}, "shape must be"),
        ({"shape": (3, None)}, "shape must be"),
    ],
)
def test_params_are_refused_on_fit(params, message):
    imager = ExpressionImager(**params)
    with pytest.raises(ImagerError, match=message) as caught:
        imager.fit(make_table())
    assert isinstance(caught.value, Refusal)
    assert isinstance(caught.value, ValueError)


def test_pixels_and_genes_find_each_other():
    imager = ExpressionImager(shape=(2, 4)).fit(make_table())
    for gene in imager.feature_names_in_:
        assert gene in imager.genes_at(*imager.pixel_of(gene))
    for pixel in ((2, 0), (0, 4), (-1, 0)):
        with pytest.raises(ImagerError, match="2 × 4"):
            imager.genes_at(*pixel)
    with pytest.raises(ImagerError, match="11 painted ones, but got 'TP53'"):
        imager.pixel_of("TP53")


def test_feature_names_are_those_of_the_flat_image():
    table = make_table(n_genes=5)
    imager = ExpressionImager("random", shape=(2, 3)).fit(table)
    names = imager.get_feature_names_out()
    for place, name in enumerate(names):
        genes = imager.genes_at(place // 3, place % 3)
        assert name == (genes[0] if genes else f"padding_{place // 3}_{place % 3}")
    flat = pd.DataFrame(imager.transform(table).reshape(len(table), -1), columns=names)
    low, high = table.min(), table.max()
    np.testing.assert_allclose(flat[table.columns], (table - low) / (high - low), atol=1e-6)
    crowded = ExpressionImager("random", shape=(1, 1)).fit(table.to_numpy())
    assert crowded.get_feature_names_out().tolist() == ["x0+x1+x2+x3+x4"]
    assert crowded.get_feature_names_out(list("abcde")).tolist() == ["a+b+c+d+e"]
    with pytest.raises(ValueError, match="input_features is not equal"):
        imager.get_feature_names_out(list("abcde"))


def test_unfitted_imagers_say_so(tmp_path):
    imager = ExpressionImager()
    calls = [
        lambda: imager.transform(make_table()),
        lambda: imager.write(make_table(), tmp_path / "images.npy"),
        lambda: imager.genes_at(0, 0),
        lambda: imager.pixel_of("GENE0"),
        imager.get_feature_names_out,
        lambda: imager.save(tmp_path / "imager.npz"),
    ]
    for call in calls:
        with pytest.raises(NotFittedError):
            call()
    assert list(tmp_path.iterdir()) == []


def test_a_refused_fit_leaves_the_imager_as_it_was(tmp_path):
    imager = ExpressionImager("random").fit(make_table())
    before = save_bytes(imager, tmp_path)
    with pytest.raises(ImagerError):
        imager.fit(make_table(n_genes=3) * np.nan)
    assert save_bytes(imager, tmp_path) == before


def test_refit_forgets_names():
    imager = ExpressionImager("random").fit(make_table())
    assert_array_equal(imager.feature_names_in_, make_table().columns)
    assert not hasattr(imager.fit(make_table().to_numpy()), "feature_names_in_")


def test_transform_learns_nothing(tmp_path):
    table = make_table()
    imager = ExpressionImager().fit(table.iloc[:5])
    before = save_bytes(imager, tmp_path)
    given = table.copy()
    imager.transform(table.iloc[5:] * 100)
    imager.write(table, tmp_path / "images.npy")
    assert save_bytes(imager, tmp_path) == before
    pd.testing.assert_frame_equal(table, given)
    assert save_bytes(ExpressionImager().fit(table.iloc[:5], y=np.arange(5)), tmp_path) == before


@pytest.mark.parametrize("turn", [pd.DataFrame.copy, pd.DataFrame.to_numpy, make_anndata])
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_blocks_do_not_show(turn, monkeypatch):
    table = make_table()
    imager = ExpressionImager().fit(table)
    expected = imager.transform(turn(table)).tobytes()
    for n_values in (1, 2 * N_GENES, 5 * N_GENES):
        monkeypatch.setattr(sample_table, "_N_VALUES_AT_ONCE", n_values)
        assert imager.transform(turn(table)).tobytes() == expected
        assert ExpressionImager().fit(table).transform(turn(table)).tobytes() == expected


def test_memory_beside_input_and_output_is_flat(tmp_path, monkeypatch):
    monkeypatch.setattr(sample_table, "_N_VALUES_AT_ONCE", 1 << 14)
    imager = ExpressionImager("random").fit(make_table(20, 100).to_numpy())
    peaks = []
    for n_samples in (1_000, 20_000):
        np.save(tmp_path / "table.npy", np.ones((n_samples, 100), np.float32))
        table = np.load(tmp_path / "table.npy", mmap_mode="r")
        tracemalloc.start()
        imager.write(table, tmp_path / "images.npy")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] < 2_000_000


def test_write_and_transform_agree(tmp_path):
    table = make_table()
    imager = ExpressionImager().fit(table)
    imager.write(table, tmp_path / "images.npy")
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert images.dtype == np.float32
    assert_array_equal(images, imager.transform(table))


def test_images_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(sample_table, "_N_VALUES_AT_ONCE", 2 * N_GENES)
    table = make_table()
    imager = ExpressionImager().fit(table)
    imager.write(table, tmp_path / "images.npy")
    table.iloc[8, 0] = np.nan
    with pytest.raises(ImagerError, match="rows 8 to 8"):
        imager.write(table, tmp_path / "images.npy")
    assert np.isfinite(np.load(tmp_path / "images.npy")).all()
    assert [path.name for path in tmp_path.iterdir()] == ["images.npy"]


@pytest.mark.parametrize("named", [True, False])
def test_save_and_load(tmp_path, named):
    table = make_table().rename(columns={"GENE1": "β-catenin", "GENE2": ""})
    given = table if named else table.to_numpy()
    imager = ExpressionImager("random", n_genes=6, shape=(2, 4), random_state=9).fit(given)
    path = tmp_path / "here" / "imager.npz"
    imager.save(str(path))
    loaded = ExpressionImager.load(str(path))
    assert loaded.get_params() == imager.get_params()
    assert loaded.transform(given).tobytes() == imager.transform(given).tobytes()
    assert_array_equal(loaded.get_feature_names_out(), imager.get_feature_names_out())
    assert vars(loaded).keys() == vars(imager).keys()
    assert save_bytes(loaded, tmp_path) == path.read_bytes()
    assert [file.name for file in path.parent.iterdir()] == ["imager.npz"]


def test_load_refuses_other_files(tmp_path):
    path = tmp_path / "imager.npz"
    with pytest.raises(FileNotFoundError):
        ExpressionImager.load(path)
    others = [b"", b"{}", b"PK\x03\x04", b"\x80\x04N."]
    ours = {"kind": "expressionist.ExpressionImager", "format": 1, "params": {}}
    texts = [json.dumps(ours | change).encode() for change in ({"kind": "another"}, {"format": 99})]
    headers = [np.array([{"any": "object"}], dtype=object), *(np.frombuffer(text, "u1") for text in texts)]
    for save, arrays in [(np.savez, {"header": header}) for header in headers] + [
        (np.save, {"arr": np.ones(3)})
    ]:
        stream = io.BytesIO()
        save(stream, **arrays)
        others.append(stream.getvalue())
    for content in others:
        path.write_bytes(content)
        with pytest.raises(ImagerError, match=r"must be an imager that ExpressionImager\.save wrote"):
            ExpressionImager.load(path)


def test_load_refuses_damage(tmp_path):
    """A changed byte is refused, or lies where it does not matter; a file cut short is always refused."""
    table = make_table(n_genes=4)
    content = save_bytes(ExpressionImager("random").fit(table), tmp_path)
    images = ExpressionImager.load(tmp_path / "imager.npz").transform(table)
    path = tmp_path / "damaged.npz"
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        with pytest.raises(ImagerError, match="must be an imager"):
            ExpressionImager.load(path)
    n_refused = 0
    for place in range(0, len(content), 11):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            loaded = ExpressionImager.load(path)
        except ImagerError:
            n_refused += 1
        else:
            assert_array_equal(loaded.transform(table), images)
    assert n_refused > 0.5 * len(range(0, len(content), 11))


def test_what_cannot_be_saved_leaves_the_file(tmp_path):
    imager = ExpressionImager("random").fit(make_table())
    before = save_bytes(imager, tmp_path)
    imager.set_params(random_state=np.random.RandomState(1))
    with pytest.raises(ImagerError, match="but got a RandomState"):
        imager.save(tmp_path / "imager.npz")
    assert (tmp_path / "imager.npz").read_bytes() == before


def test_clone_and_params():
    params = {"layout": "random", "n_genes": 3, "shape": (2, 2), "layout_options": {}, "random_state": None}
    imager = ExpressionImager().set_params(**params)
    assert clone(imager.fit(make_table())).get_params() == params
    with pytest.raises(NotFittedError):
        clone(imager).transform(make_table())


def test_search_over_layouts():
    table, types = make_table(n_samples=24), np.tile(["BRCA", "LUAD"], 12)
    table.loc[types == "BRCA", "GENE5"] += 50
    flatten = FunctionTransformer(lambda images: images.reshape(len(images), -1))
    pipeline = make_pipeline(ExpressionImager(), flatten, LogisticRegression(C=100))
    search = GridSearchCV(pipeline, {"expressionimager__layout": ["random", "coexpression"]}, cv=3)
    search.fit(table, types)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.score(shuffle_columns(table), types) == 1


def test_images_never_become_tables():
    assert not hasattr(ExpressionImager(), "set_output")
    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(ExpressionImager().fit_transform(make_table()), np.ndarray)


def test_unknown_names_of_the_package_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'ExpressionImagers'"):
        _ = expressionist.ExpressionImagers


def test_neither_package_nor_imager_load_what_they_do_not_need():
    program = """
import sys
import expressionist
light = {"numpy", "pandas", "sklearn"} & set(sys.modules)
if light:
    sys.exit(f"import expressionist loads {light}")
from expressionist import ExpressionImager
import numpy as np
table = np.random.default_rng(1).random((6, 20))
images = ExpressionImager().fit(table).transform(table)
heavy = {"tensorflow", "keras", "mlflow", "optuna", "shap"} & set(sys.modules)
if heavy or images.shape != (6, 5, 5, 1):
    sys.exit(f"{heavy}, {images.shape}")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=dict(os.environ), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_genes_share_pixels_if_asked():
    table = make_table(n_samples=20, n_genes=60)
    alone, sharing = (
        ExpressionImager("pca", layout_options={"overlap": word}).fit(table) for word in ("single", "average")
    )
    assert alone.overlap_.max() == 1
    assert sharing.overlap_.max() > 1
    assert sharing.overlap_.sum() == 60


def test_gene_sets_go_with_the_imager():
    table = make_table(n_samples=20)
    sets = {"one": ["GENE7", "GENE2"], "two": ["GENE5"]}
    fitted = ExpressionImager("pathway", shape=(1, 11), layout_options={"gene_sets": sets}).fit(table)
    assert abs(fitted.pixel_of("GENE7")[1] - fitted.pixel_of("GENE2")[1]) == 1
    assert {fitted.pixel_of(gene)[1] for gene in ("GENE7", "GENE2", "GENE5")} == {0, 1, 2}


# The imager on tables and images of any shape: what a gene does, and what nothing but the names decides.


any_size = st.integers(1, 8)


@settings(deadline=None)
@given(any_size, st.integers(1, 12), any_size, any_size, st.booleans(), st.integers(0, 2**32 - 1))
def test_any_shape(n_samples, n_genes, height, width, coarse, seed):
    """Oblong, 1×n, too large, too small, constant genes, equal genes."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 3, (n_samples, n_genes)) if coarse else rng.normal(size=(n_samples, n_genes))
    table = pd.DataFrame(values, columns=[f"gene {place}" for place in rng.permutation(n_genes)])
    layout = rng.choice(["random", "coexpression"])
    imager = ExpressionImager(layout, shape=(height, width), random_state=seed).fit(table)
    images = imager.transform(table)

    assert images.shape == (n_samples, height, width, 1)
    assert images.min() >= 0
    assert images.max() <= 1
    assert not images[:, imager.padding_].any()
    assert imager.overlap_.sum() == n_genes
    assert imager.overlap_.max() <= -(-n_genes // (height * width))

    shuffled = table[list(rng.permutation(table.columns))]
    other = ExpressionImager(layout, shape=(height, width), random_state=seed).fit(shuffled)
    assert other.transform(table).tobytes() == images.tobytes()

    gene = table.columns[0]
    raised = imager.transform(table.assign(**{gene: table[gene] + 1000})) != images
    row, column = imager.pixel_of(gene)
    assert raised[:, row, column].all()
    assert raised.sum() == n_samples
