import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expressionist.data import AS_IS_UNIT
from expressionist.data.nomenclature import Nomenclature
from expressionist.errors import RegistryError
from expressionist.evaluation.novelty import Novelty
from expressionist.files.store import write_json
from expressionist.tracking.model_folder import DIGESTS_FILE, NOVELTY_FILE, check_list, seal
from expressionist.tracking.serving import (
    OUTPUTS,
    Aligned,
    Served,
    align,
    load_model,
    predict,
    prepare_table,
    read_served,
    write_served,
)

GENES = pd.DataFrame(
    {"symbol": ["TP53", "KRAS", "SLC35E2", "SLC35E2", "?"], "fill": [1.0, 2.0, 3.0, 4.0, 5.0]},
    index=pd.Index(["7157", "3845", "9906", "728661", "100130426"], name="gene"),
)


def make_served(genes: pd.DataFrame, missing_genes: float, unit: str = "TPM") -> Served:
    return Served(genes, (), unit, missing_genes, synthetic=False, weights="RANDOM", cohort="toy", about={})


def lay(table: pd.DataFrame, genes: pd.DataFrame, missing_genes: float, unit: str = "TPM") -> Aligned:
    return align(table, make_served(genes, missing_genes, unit))


def table(**columns: float) -> pd.DataFrame:
    return pd.DataFrame({name: [value] for name, value in columns.items()}, index=["a"])


@pytest.mark.parametrize(
    ("name", "row", "by_symbol"),
    [
        ("7157", 0, 0),
        (7157, 0, 0),
        ("TP53|7157", 0, 0),
        ("KRAS", 1, 1),
        ("SLC35E2|728661", 3, 0),
        ("?|100130426", 4, 0),
    ],
)
def test_a_column_finds_its_gene(name: object, row: int, by_symbol: int) -> None:
    aligned = lay(pd.DataFrame({name: [9.0]}), GENES, 0.8)
    expected = GENES["fill"].to_numpy(np.float32)
    expected[row] = 9.0
    np.testing.assert_array_equal(aligned.expression, [expected])
    assert (aligned.n_missing_genes, aligned.n_by_symbol) == (4, by_symbol)


@pytest.mark.parametrize("name", ["SLC35E2", "?", "TP53|999", "MYC", "|"])
def test_an_ambiguous_or_unknown_column_is_no_gene(name: str) -> None:
    assert lay(pd.DataFrame({name: [9.0]}), GENES, 1.0).n_missing_genes == 5


OLDER = GENES.iloc[:2]
NAMED = pd.DataFrame(
    {
        "symbol": ["TP53", "MLL2", "?", "ENSG00000228794"],
        "entrez": ["7157", "8085", "55016", ""],
        "ensembl": ["ENSG00000141510", "ENSG00000167548", "", "ENSG00000228794"],
        "fill": [1.0, 2.0, 3.0, 4.0],
    },
    index=pd.Index(["7157", "8085", "55016", "ENSG00000228794"], name="gene"),
)


@pytest.mark.parametrize(
    ("genes", "names"),
    [
        (NAMED, ["ENSG00000141510.18", "ENSG00000167548.1", "ENSG00000145416.14", "ENSG00000228794.12"]),
        (NAMED, ["LFS1", "KMT2D", "MARCH1", "ENSG00000228794"]),
        (NAMED, ["7157", "KMT2D|999999999", "MARCHF1", "ENSG00000228794.1"]),
        (OLDER, ["ENSG00000141510", "ENSG00000133703.2"]),
        (OLDER.set_axis(["TP53", "KRAS2"]).assign(symbol=["TP53", "KRAS2"]), ["7157", "KRAS"]),
    ],
)
def test_a_model_takes_ids_of_another_kind_and_symbols_of_any_year(
    genes: pd.DataFrame, names: list[str]
) -> None:
    values = np.arange(len(names), dtype=np.float32)[::-1] + 10
    aligned = lay(pd.DataFrame([values], columns=names), genes, 0.0)
    np.testing.assert_array_equal(aligned.expression, [values])
    assert (aligned.n_missing_genes, aligned.n_ambiguous) == (0, 0)


@pytest.mark.parametrize(
    ("columns", "kept", "n_ambiguous"),
    [
        (["LFS1", "7157"], "7157", 0),
        (["TP53", "LFS1"], "TP53", 0),
        (["KMT2D", "TNRC21"], "KMT2D", 0),
        (["TNRC21", "CAGL114"], None, 2),
        (["CAGL114"], "CAGL114", 0),
        (["OS"], None, 0),
        (["ER"], None, 1),
        (["ENSG00000141510.18_PAR_Y"], None, 0),
        (["LFS1", "centre"], "LFS1", 0),
    ],
)
def test_the_surer_name_wins_and_ambiguous_ones_are_counted(
    columns: list[str], kept: str | None, n_ambiguous: int
) -> None:
    values = [float(place) + 10 for place in range(len(columns))]
    aligned = lay(pd.DataFrame([values], columns=columns), NAMED, 1.0)
    changed = aligned.expression[0] != NAMED["fill"].to_numpy(np.float32)
    assert aligned.expression[0][changed].tolist() == ([] if kept is None else [values[columns.index(kept)]])
    assert (aligned.n_ambiguous, aligned.n_missing_genes) == (n_ambiguous, 4 - int(changed.sum()))


def test_two_present_names_of_one_gene_are_refused() -> None:
    with pytest.raises(RegistryError, match="1 have more: KMT2D and ENSG00000167548"):
        lay(pd.DataFrame([[1.0, 2.0]], columns=["KMT2D", "ENSG00000167548"]), NAMED, 1.0)


def test_what_a_model_knows_are_names_of_any_kind() -> None:
    served = make_served(NAMED, 0.0)
    names = ["LFS1", " 8085", "ENSG00000145416.1", "BRCA1", "s1", "OS"]
    assert served.knows(names).tolist() == [True, True, True, False, False, False]


def test_a_table_of_names_of_its_own_finds_a_genes_new_name() -> None:
    columns = ["symbol", "previous", "alias", "entrez", "ensembl", "mirbase"]
    newer = Nomenclature(pd.DataFrame([["NEWNAME1", "TP53", "", "7157", "", ""]], columns=columns))
    served = make_served(NAMED, 1.0)
    assert served.knows(["NEWNAME1"]).tolist() == [False]
    assert served.knows(["NEWNAME1", "7157"], newer).tolist() == [True, True]
    prepared, counts, _ = prepare_table(served, table(NEWNAME1=42.0), nomenclature=newer)
    assert prepared["7157"].tolist() == [42]
    assert counts["n_missing_genes"].tolist() == [3]


def test_ids_that_are_symbols_match_the_part_before_the_bar() -> None:
    genes = GENES.iloc[:2].set_axis(["TP53", "KRAS"])
    np.testing.assert_array_equal(lay(table(**{"TP53|7157": 8.0}), genes, 0.5).expression, [[8.0, 2.0]])


def test_too_many_missing_genes_are_refused_in_a_short_message() -> None:
    names = [f"ENSG{number:011d}" for number in range(20_000)]
    genes = pd.DataFrame({"symbol": names, "fill": 0.0}, index=names)
    with pytest.raises(RegistryError, match="19999 are missing: ENSG00000000001.* and 19994 more") as refused:
        lay(table(ENSG00000000000=1.0), genes, 0.05)
    assert len(str(refused.value)) < 400


def test_the_share_of_missing_genes_is_inclusive() -> None:
    columns = {"7157": 1.0, "3845": 1.0, "9906": 1.0, "728661": 1.0}
    assert lay(table(**columns), GENES, 0.2).n_missing_genes == 1
    with pytest.raises(RegistryError, match="1 are missing"):
        lay(table(**columns), GENES, 0.19)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("high", "be numbers.*TP53"),
        ("", "be numbers.*TP53"),
        (float("inf"), "be finite.*TP53"),
        (1e39, "be finite.*TP53"),
        (-0.5, "not be negative.*TP53"),
        (True, "be numbers.*TP53"),
    ],
)
def test_what_is_no_expression_is_refused(value: object, message: str) -> None:
    with pytest.raises(RegistryError, match=message):
        lay(pd.DataFrame({"TP53": [1.0, value], "KRAS": [1.0, 2.0]}), GENES, 0.8)


@pytest.mark.parametrize("value", [None, float("nan"), pd.NA])
def test_a_value_that_is_missing_is_filled_and_counted_as_far_as_it_may_be(value: object) -> None:
    gappy = pd.DataFrame({"TP53": [1.0, value], "KRAS": [1.0, 2.0]}, index=["whole", "gappy"])
    aligned = lay(gappy, GENES, 0.8)
    assert (aligned.n_missing_genes, aligned.filled.sum(axis=1).tolist()) == (3, [3, 4])
    assert aligned.expression[:, 0].tolist() == [1, GENES["fill"].iloc[0]]
    with pytest.raises(RegistryError, match="lack 3 of the model's 5 genes, but 1 samples lack more.*gappy"):
        lay(gappy, GENES, 0.6)


@pytest.mark.parametrize(("value", "unit"), [("3.5", "TPM"), (-0.5, AS_IS_UNIT)])
def test_text_may_be_a_number_and_a_unit_may_go_below_0(value: object, unit: str) -> None:
    aligned = lay(pd.DataFrame({"TP53": [value], "KRAS": [2]}), GENES, 0.8, unit)
    np.testing.assert_array_equal(aligned.expression[:, :2], [[float(value), 2.0]])


def test_a_bad_value_in_an_extra_column_does_not_matter() -> None:
    assert lay(pd.DataFrame({"TP53": [1.0], "centre": ["Oslo"]}), GENES, 0.8).n_missing_genes == 4


@pytest.mark.parametrize(
    "columns", [["TP53", "TP53"], ["TP53", "7157"], ["TP53|7157", "7157"]], ids=lambda names: " ".join(names)
)
def test_a_gene_that_stands_twice_is_refused(columns: list[str]) -> None:
    with pytest.raises(RegistryError, match="1 have more"):
        lay(pd.DataFrame([[1.0, 2.0]], columns=columns), GENES, 0.8)


@pytest.mark.parametrize("empty", [pd.DataFrame(), pd.DataFrame({"TP53": []}), pd.DataFrame(index=["a"])])
def test_a_table_without_samples_or_genes_is_refused(empty: pd.DataFrame) -> None:
    with pytest.raises(RegistryError, match="must have samples and genes"):
        lay(empty, GENES, 0.8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> object:
    import keras

    from expressionist.network.layers import Temperature

    folder = tmp_path_factory.mktemp("served")
    inputs = keras.Input((5,))
    drawn = keras.initializers.GlorotUniform(1)
    logits = Temperature(name="temperature")(keras.layers.Dense(3, kernel_initializer=drawn)(inputs))
    network = keras.Model(inputs, keras.layers.Softmax()(logits))
    network.save(folder / "model.keras")
    log2 = np.log2(np.random.default_rng(0).gamma(2, size=(60, 5)).astype(np.float32) + 1)
    novelty = Novelty.fit(log2, np.arange(60) % 3, None, rng=np.random.default_rng(0))
    np.savez(folder / NOVELTY_FILE, **novelty.calibrate(novelty.measure(log2), false_alarms=0.05).to_arrays())
    write_served(
        folder,
        Served(
            genes=GENES.assign(fill=np.float32([0.1, 1 / 3, 3, 4, 5])),
            tumour_types=("BRCA", "KIRC", "NA"),
            unit="RSEM",
            missing_genes=0.2,
            synthetic=True,
            weights="RANDOM",
            cohort="toy",
            about={"depth": 2},
            abstain_below=0.5,
            temperature=2.0,
        ),
    )
    seal(folder)
    return folder


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(folder, tmp_path / "copied")


@pytest.mark.parametrize("name", ["model.keras", "model.json", "genes.tsv", NOVELTY_FILE])
def test_a_file_that_changed_or_is_gone_is_refused_by_its_name(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(RegistryError, match=f"but {name} in .* changed since"):
        load_model(copied)
    (copied / name).unlink()
    with pytest.raises(RegistryError, match=f"but {name} in .* changed since"):
        load_model(copied)


def test_a_folder_must_list_its_files_and_the_list_be_that_of_the_version(copied: Path) -> None:
    sealed = seal(copied)
    check_list(copied, sealed)
    write_json(copied / DIGESTS_FILE, {})
    with pytest.raises(RegistryError, match="but genes.tsv, model.json, model.keras, novelty.npz in"):
        load_model(copied)
    with pytest.raises(RegistryError, match="must be the one that was registered"):
        check_list(copied, sealed)
    (copied / DIGESTS_FILE).unlink()
    with pytest.raises(RegistryError, match="but .* has none. Run the stage register again"):
        load_model(copied)


def test_a_network_that_holds_code_is_refused(copied: Path) -> None:
    import keras

    inputs = keras.Input((5,))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2)(inputs)).save(copied / "model.keras")
    seal(copied)
    with pytest.raises(RegistryError, match="Lambda"):
        load_model(copied)


def test_samples_that_are_named_twice_are_refused(folder: Path) -> None:
    twice = pd.DataFrame([["a", "b", *[1.0] * 5]], columns=["sample", "sample", *GENES.index])
    with pytest.raises(RegistryError, match="one column sample, but got 2"):
        predict(*load_model(folder), twice)


def test_what_is_written_is_read_back(folder: object) -> None:
    served = read_served(folder)
    assert served.tumour_types == ("BRCA", "KIRC", "NA")
    assert (served.abstain_below, served.temperature) == (0.5, 2.0)
    assert (served.missing_genes, served.synthetic) == (0.2, True)
    assert (served.weights, served.about) == ("RANDOM", {"depth": 2})
    pd.testing.assert_frame_equal(served.genes, GENES.assign(fill=np.float32([0.1, 1 / 3, 3, 4, 5])))


def test_ids_of_genes_are_written_where_they_are_known(folder: object, tmp_path: object) -> None:
    write_served(tmp_path, replace(read_served(folder), genes=NAMED.replace("", np.nan)))
    genes = read_served(tmp_path).genes
    assert genes["entrez"].tolist() == ["7157", "8085", "55016", ""]
    assert genes["ensembl"].tolist() == NAMED["ensembl"].tolist()


def test_predictions_are_the_networks_with_genes_shuffled(folder: object) -> None:
    served, network, novelty = load_model(folder)
    expression = np.random.default_rng(1).gamma(2, size=(4, 5)).astype(np.float32)
    frame = pd.DataFrame(expression, columns=GENES.index).iloc[:, [3, 1, 4, 0, 2]]
    frame.insert(0, "sample", list("dcba"))
    predicted = predict(served, network, novelty, frame)
    probabilities = network.predict(expression, verbose=0)
    assert list(predicted.columns) == [*OUTPUTS, "p_BRCA", "p_KIRC", "p_NA"]
    kinds = {"string": "object", "boolean": "bool", "float": "float32", "double": "float64", "long": "int64"}
    assert predicted.dtypes[list(OUTPUTS)].astype(str).tolist() == [kinds[kind] for kind in OUTPUTS.values()]
    np.testing.assert_allclose(predicted.iloc[:, len(OUTPUTS) :], probabilities, rtol=1e-6)
    likeliest = np.array(served.tumour_types)[probabilities.argmax(axis=1)]
    np.testing.assert_array_equal(predicted["tumour_type"], likeliest)
    np.testing.assert_allclose(predicted["probability"], probabilities.max(axis=1))
    untraced = predict(served, network, novelty, frame, once=True)
    pd.testing.assert_frame_equal(untraced, predicted, rtol=1e-5)
    assert predicted["sample"].tolist() == list("dcba")
    assert predict(served, network, novelty, frame.set_index("sample"))["sample"].tolist() == list("dcba")


def test_the_temperature_divides_the_logits_of_the_network_as_trained(folder: object) -> None:
    import keras

    trained = keras.saving.load_model(folder / "model.keras", compile=False)
    served, network, _ = load_model(folder)
    expression = np.random.default_rng(1).gamma(2, size=(4, 5)).astype(np.float32)
    logits = np.log(trained.predict_on_batch(expression)) / served.temperature
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(network.predict_on_batch(expression), expected, rtol=1e-5)
    assert not np.allclose(trained.predict_on_batch(expression), expected, rtol=1e-2)


def test_an_array_is_refused_because_its_genes_have_no_names(folder: object) -> None:
    with pytest.raises(RegistryError, match="gene names, but got ndarray"):
        predict(*load_model(folder), np.zeros((1, 5), np.float32))


def test_unsure_predictions_abstain_and_strange_samples_are_flagged(folder: object) -> None:
    served, network, novelty = load_model(folder)
    expression = np.random.default_rng(1).gamma(2, size=(40, 5)).astype(np.float32)
    expression[:5] *= 1e6
    middle = float(np.median(network.predict(expression, verbose=0).max(axis=1)))
    served = replace(served, abstain_below=middle)
    predicted = predict(served, network, novelty, pd.DataFrame(expression, columns=GENES.index))
    assert predicted["abstain"].tolist() == (predicted["probability"] < middle).tolist()
    assert predicted["abstain"].sum() == 20
    none = predicted["abstain"] | predicted["unlike_training"]
    assert ((predicted["answer"] == predicted["tumour_type"]) == ~none).all()
    joint = replace(served, tumour_types=("COAD", "CRC", "NA"), about={"merged": {"CRC": ["READ", "STAD"]}})
    told = predict(joint, network, novelty, pd.DataFrame(expression, columns=GENES.index))
    sums = told["p_COAD"] + told["p_CRC"]
    gut = (told["abstain"] & ~told["unlike_training"] & (sums >= middle)).to_numpy()
    assert gut.any()
    assert set(told["answer"][gut]) == {"core gastrointestinal"}
    np.testing.assert_allclose(predicted["novelty"], novelty.score(np.log2(expression + 1)), rtol=1e-3)
    assert predicted["unlike_training"].tolist() == (predicted["novelty"] > 1).tolist()
    assert predicted["unlike_training"][:5].all()
    assert not predicted["unlike_training"][5:].all()


# Invariants on awkward input.


@st.composite
def tables(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    n_genes, n_samples = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    numbers = st.lists(st.integers(1, 999), min_size=n_genes, max_size=n_genes, unique=True)
    ids = list(map(str, draw(numbers)))
    symbols = [f"G{gene}" for gene in ids]
    genes = pd.DataFrame({"symbol": symbols, "fill": np.arange(n_genes) + 0.5}, index=ids)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    expression = rng.gamma(1.0, 100.0, (n_samples, n_genes)).astype(np.float32)
    return pd.DataFrame(expression, columns=ids), genes, rng.permutation(n_genes)


@settings(deadline=None)
@given(tables(), st.sampled_from(["id", "symbol", "both"]))
def test_order_naming_and_extra_genes_change_nothing(case: tuple, naming: str) -> None:
    table, genes, order = case
    names = {"id": list(genes.index), "symbol": list(genes["symbol"])}
    names["both"] = [f"{symbol}|{gene}" for symbol, gene in zip(names["symbol"], names["id"], strict=True)]
    renamed = table.set_axis(names[naming], axis=1).iloc[:, order]
    renamed.insert(len(order) // 2, "extra", "text")
    aligned = lay(renamed, genes, 0.0)
    np.testing.assert_array_equal(aligned.expression, table.to_numpy())
    assert aligned.n_missing_genes == 0
    assert aligned.n_by_symbol == (len(order) if naming == "symbol" else 0)


@settings(deadline=None)
@given(tables(), st.data())
def test_missing_genes_are_filled_and_counted(case: tuple, data: st.DataObject) -> None:
    table, genes, order = case
    n_missing = data.draw(st.integers(0, len(order) - 1))
    missing = order[:n_missing]
    aligned = lay(table.drop(columns=table.columns[missing]), genes, n_missing / len(order))
    expected = table.to_numpy().copy()
    expected[:, missing] = genes["fill"].to_numpy()[missing]
    np.testing.assert_array_equal(aligned.expression, expected)
    assert aligned.n_missing_genes == n_missing
