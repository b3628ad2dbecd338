"""Words: names and lists as sentences hold them."""

from collections.abc import Iterable


def name(code: str) -> str:
    """Write a name of code as a reader says it.

    Examples
    --------
    >>> name("logistic_regression"), name("f1_macro")
    ('logistic regression', 'macro-F1')
    """
    return code.replace("_", " ").replace("svm", "SVM").replace("f1 macro", "macro-F1")


def join(names: Iterable[str]) -> str:
    """Join names into a list of a sentence.

    Examples
    --------
    >>> join(["COAD", "READ", "STAD"])
    'COAD, READ and STAD'
    """
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def count(n: int, thing: str, things: str = "") -> str:
    """Write a number with its noun.

    Examples
    --------
    >>> count(1, "sample"), count(1200, "sample"), count(2, "matrix", "matrices")
    ('1 sample', '1,200 samples', '2 matrices')
    """
    return f"{n:,} {thing if n == 1 else things or thing + 's'}"
