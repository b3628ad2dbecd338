import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from expressionist.serving import align


@st.composite
def tables(draw: st.DrawFn) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    n_genes, n_samples = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    ids = [
        str(number)
        for number in draw(st.lists(st.integers(1, 999), min_size=n_genes, max_size=n_genes, unique=True))
    ]
    genes = pd.DataFrame(
        {"symbol": [f"G{gene}" for gene in ids], "fill": np.arange(n_genes) + 0.5}, index=ids
    )
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
    aligned = align(renamed, genes, 0.0)
    np.testing.assert_array_equal(aligned.expression, table.to_numpy())
    assert aligned.n_missing_genes == 0
    assert aligned.n_by_symbol == (len(order) if naming == "symbol" else 0)


@settings(deadline=None)
@given(tables(), st.data())
def test_missing_genes_are_filled_and_counted(case: tuple, data: st.DataObject) -> None:
    table, genes, order = case
    n_missing = data.draw(st.integers(0, len(order) - 1))
    missing = order[:n_missing]
    aligned = align(table.drop(columns=table.columns[missing]), genes, n_missing / len(order))
    expected = table.to_numpy().copy()
    expected[:, missing] = genes["fill"].to_numpy()[missing]
    np.testing.assert_array_equal(aligned.expression, expected)
    assert aligned.n_missing_genes == n_missing
