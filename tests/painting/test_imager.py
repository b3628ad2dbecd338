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


@pytest.fixture
def table():
    return make_table()


@pytest.fixture
def imager(table):
    """Fitted to all of the table."""
    return ExpressionImager().fit(table)


@parametrize_with_checks([ExpressionImager(), ExpressionImager("random", n_genes=2, shape=(1, 3))])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def fails(check, reason):
    return pytest.param(check, marks=pytest.mark.xfail(strict=True, raises=AssertionError, reason=reason))


PRIVATE = [
    estimator_checks.check_n_features_in_after_fitting,
    fails(estimator_checks.check_transformer_get_feature_names_out, "an image's second axis is rows"),
    fails(estimator_checks.check_dataframe_column_names_consistency, "genes are matched by name"),
]


@pytest.mark.parametrize("check", PRIVATE)
def test_checks_that_scikit_learn_keeps_for_itself(check):
    check("ExpressionImager", ExpressionImager())


@pytest.mark.parametrize("shape", [None, (4, 4), (3, 5), (1, 11), (11, 1), (2, 3), (1, 1)])
def test_images_against_their_definition(table, shape):
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


@pytest.mark.parametrize(("highest", "given", "shown"), [(2, [-2, 6], [-1, 3]), (100, [50], [0.5])])
def test_other_rows_are_not_clipped_and_no_logarithm_is_taken(highest, given, shown):
    imager = ExpressionImager("random").fit(np.array([[0.0], [highest]]))
    assert_array_equal(imager.transform(np.array(given)[:, None]).ravel(), shown)


@pytest.mark.parametrize("layout", ["random", "coexpression"])
def test_order_of_genes_does_not_matter(table, layout):
    expected = ExpressionImager(layout, n_genes=7).fit(table)
    other = ExpressionImager(layout, n_genes=7).fit(shuffle_columns(table))
    assert_array_equal(other.layout_.genes, expected.layout_.genes)
    images = expected.transform(table).tobytes()
    assert other.transform(table).tobytes() == images
    assert other.transform(shuffle_columns(table, 3)).tobytes() == images


def test_genes_of_a_table_with_positions_run_by_chromosome_in_any_order(table):
    annotated = make_anndata(table)
    order = np.random.default_rng(5).permutation(N_GENES)
    expected, other = (
        ExpressionImager("chromosome").fit(each) for each in (annotated, annotated[:, order].copy())
    )
    assert other.transform(annotated).tobytes() == expected.transform(annotated).tobytes()
    # 2 before 10 before X before what has no position; by start within a chromosome.
    in_order = expected.layout_.genes[np.argsort(expected.layout_.pixel)]
    assert [int(name.removeprefix("GENE")) for name in in_order] == [9, 5, 1, 10, 6, 2, 8, 4, 0, 3, 7]


def test_seed_decides(table):
    def place(seed):
        return ExpressionImager("random", random_state=seed).fit(table).layout_.pixel

    assert_array_equal(place(3), place(3))
    assert (place(4) != place(3)).any()
    state = np.random.RandomState(7)
    assert (place(state) != place(state)).any()


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
    ids="float32 float64 list csr csc numbered object nullable anndata sparse_h5ad".split(),
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_every_kind_of_table(table, imager, turn):
    assert_array_equal(imager.transform(turn(table)), imager.transform(table))
    fitted = ExpressionImager().fit(turn(table))
    known = table if hasattr(fitted, "feature_names_in_") else table.to_numpy()
    assert_array_equal(fitted.transform(turn(table)), ExpressionImager().fit_transform(known))


def test_backed_anndata(table, tmp_path):
    make_anndata(table).write_h5ad(tmp_path / "table.h5ad")
    backed = anndata.read_h5ad(tmp_path / "table.h5ad", backed="r")
    found = ExpressionImager("chromosome").fit_transform(backed)
    backed.file.close()
    assert_array_equal(found, ExpressionImager("chromosome").fit(make_anndata(table)).transform(table))


def test_tables_of_other_libraries_are_matched_by_name(table):
    class Frame:
        def __init__(self, table):
            self.table, self.columns, self.shape = table, list(table.columns), table.shape

        def __array__(self, dtype=None, copy=None):
            return self.table.to_numpy(dtype)

    imager = ExpressionImager().fit(Frame(table))
    assert_array_equal(imager.transform(Frame(shuffle_columns(table))), imager.transform(table))


def test_whole_numbers_as_names_are_names():
    table = make_table(n_genes=3).set_axis([7157, 4609, 1956], axis=1)
    imager = ExpressionImager("random").fit(table)
    assert_array_equal(imager.transform(table[[1956, 7157, 4609]]), imager.transform(table))
    assert imager.genes_at(*imager.pixel_of("7157")) == ["7157"]


@pytest.mark.parametrize(
    "change",
    [
        lambda table, _: table.assign(tumour_type="BRCA", GENE99=1),
        lambda table, unpainted: table.drop(columns=unpainted),
        lambda table, unpainted: table.assign(**dict.fromkeys(unpainted, np.nan)),
    ],
    ids=["further columns", "missing", "nan"],
)
def test_what_is_not_painted_is_not_looked_at(table, change):
    imager = ExpressionImager(n_genes=4).fit(table)
    changed = change(table, [name for name in table if name not in imager.layout_.genes])
    assert_array_equal(imager.transform(changed), imager.transform(table))


def test_missing_genes_are_refused_with_five_names(table, imager):
    with pytest.raises(ImagerError, match="7 are missing: GENE10, GENE4, GENE5, GENE6, GENE7 and 2 more"):
        imager.transform(table.iloc[:, :4])


def test_columns_without_names_are_counted_and_mixing_names_and_positions_warns(table, imager):
    unnamed = ExpressionImager().fit(table.to_numpy())
    with pytest.raises(ValueError, match="X has 4 features, but ExpressionImager is expecting 11"):
        unnamed.transform(table.to_numpy()[:, :4])
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        imager.transform(table.to_numpy())
    for named in (table, make_anndata(table)):
        with pytest.warns(UserWarning, match="was fitted without feature names"):
            unnamed.transform(named)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_not_finite_are_refused_by_name(table, imager, value):
    table = table.astype(np.float64)
    table.loc[7, "GENE3"] = value
    for call in (ExpressionImager().fit, imager.transform):
        with pytest.raises(ImagerError, match="1 genes have NaN or infinite values in rows 0 to 8: GENE3"):
            call(table)


@pytest.mark.parametrize("kind", ["Float64", "Int64", "boolean", "double[pyarrow]", "object"])
def test_a_gap_of_any_kind_of_column_is_refused_by_name(table, imager, kind):
    if "pyarrow" in kind:
        pytest.importorskip("pyarrow")
    table = (table > 5).astype(int).astype(kind)
    table.loc[7, "GENE3"] = pd.NA
    for each in (table, table.assign(GENE4=table["GENE4"].astype(float))):
        with pytest.raises(ImagerError, match="1 genes have NaN or infinite values in rows 0 to 8: GENE3"):
            imager.transform(each)


@pytest.mark.parametrize("size", [(0, 0), (0, 3), (3, 0)])
@pytest.mark.parametrize("turn", [pd.DataFrame, np.zeros, lambda size: make_anndata(make_table(*size))])
def test_empty_tables_are_refused(size, turn):
    table = pd.DataFrame(np.zeros(size)) if turn is pd.DataFrame else turn(size)
    with pytest.raises(ValueError, match=r"0 sample|0 feature|shape \((0, 0|0, 3|3, 0)\)"):
        ExpressionImager().fit(table)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.assign(tumour_type="BRCA"), "1 columns do not: tumour_type"),
        (lambda table: table.rename(columns={"GENE4": "GENE0"}), "1 stand more often: GENE0"),
        (lambda table: anndata.AnnData(obs=table[[]], var=table.T[[]]), "without X"),
    ],
)
@pytest.mark.filterwarnings("ignore:Transforming to str index")
def test_text_and_repeats_are_refused(table, change, message):
    with pytest.raises(ImagerError, match=message):
        ExpressionImager().fit(change(table))


def test_chosen_genes_are_the_most_variable(table):
    table = table * np.arange(1, N_GENES + 1)
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
def test_params_are_refused_on_fit(table, params, message):
    imager = ExpressionImager(**params)
    with pytest.raises(ImagerError, match=message) as caught:
        imager.fit(table)
    assert isinstance(caught.value, Refusal)
    assert isinstance(caught.value, ValueError)


def test_pixels_and_genes_find_each_other(table):
    imager = ExpressionImager(shape=(2, 4)).fit(table)
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


@pytest.mark.parametrize(
    "call",
    [
        lambda imager, folder: imager.transform(make_table()),
        lambda imager, folder: imager.write(make_table(), folder / "images.npy"),
        lambda imager, folder: imager.genes_at(0, 0),
        lambda imager, folder: imager.pixel_of("GENE0"),
        lambda imager, folder: imager.get_feature_names_out(),
        lambda imager, folder: imager.save(folder / "imager.npz"),
    ],
)
def test_unfitted_imagers_say_so(tmp_path, call):
    with pytest.raises(NotFittedError):
        call(ExpressionImager(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_fit_leaves_the_imager_as_it_was_and_another_forgets_names(table, imager, tmp_path):
    before = save_bytes(imager, tmp_path)
    with pytest.raises(ImagerError):
        imager.fit(make_table(n_genes=3) * np.nan)
    assert save_bytes(imager, tmp_path) == before
    assert_array_equal(imager.feature_names_in_, table.columns)
    assert not hasattr(imager.fit(table.to_numpy()), "feature_names_in_")


def test_transform_learns_nothing(table, tmp_path):
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
def test_blocks_do_not_show(table, imager, turn, monkeypatch):
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


def test_images_are_written_as_transformed_whole_or_not_at_all(table, imager, tmp_path, monkeypatch):
    monkeypatch.setattr(sample_table, "_N_VALUES_AT_ONCE", 2 * N_GENES)
    path, expected = tmp_path / "images.npy", imager.transform(table)
    imager.write(table, path)
    table.iloc[8, 0] = np.nan
    with pytest.raises(ImagerError, match="rows 8 to 8"):
        imager.write(table, path)
    images = np.load(path, mmap_mode="r")
    assert images.dtype == np.float32
    assert_array_equal(images, expected)
    assert [file.name for file in tmp_path.iterdir()] == ["images.npy"]


@pytest.mark.parametrize("named", [True, False])
def test_save_and_load(table, tmp_path, named):
    table = table.rename(columns={"GENE1": "β-catenin", "GENE2": ""})
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
    ours = {"kind": "expressionist.ExpressionImager", "format": 1, "params": {}}
    texts = [json.dumps(ours | change).encode() for change in ({"kind": "another"}, {"format": 99})]
    headers = [np.array([{"any": "object"}], dtype=object), *(np.frombuffer(text, "u1") for text in texts)]
    streams = [io.BytesIO() for _ in range(4)]
    np.save(streams[0], np.ones(3))
    for stream, header in zip(streams[1:], headers, strict=True):
        np.savez(stream, header=header)
    for content in (b"", b"{}", b"PK\x03\x04", b"\x80\x04N.", *(stream.getvalue() for stream in streams)):
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


def test_what_cannot_be_saved_leaves_the_file(imager, tmp_path):
    before = save_bytes(imager, tmp_path)
    imager.set_params(random_state=np.random.RandomState(1))
    with pytest.raises(ImagerError, match="but got a RandomState"):
        imager.save(tmp_path / "imager.npz")
    assert (tmp_path / "imager.npz").read_bytes() == before


def test_clone_and_params(table):
    params = {"layout": "random", "n_genes": 3, "shape": (2, 2), "layout_options": {}, "random_state": None}
    imager = ExpressionImager().set_params(**params)
    assert clone(imager.fit(table)).get_params() == params
    with pytest.raises(NotFittedError):
        clone(imager).transform(table)


def test_search_over_layouts():
    table, types = make_table(n_samples=24), np.tile(["BRCA", "LUAD"], 12)
    table.loc[types == "BRCA", "GENE5"] += 50
    flatten = FunctionTransformer(lambda images: images.reshape(len(images), -1))
    pipeline = make_pipeline(ExpressionImager(), flatten, LogisticRegression(C=100))
    search = GridSearchCV(pipeline, {"expressionimager__layout": ["random", "coexpression"]}, cv=3)
    search.fit(table, types)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.score(shuffle_columns(table), types) == 1


def test_images_never_become_tables(table, imager):
    assert not hasattr(imager, "set_output")
    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(imager.fit_transform(table), np.ndarray)


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
