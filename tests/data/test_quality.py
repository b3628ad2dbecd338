"""Entries of quality.json."""

from expressionist.data.quality import count_dropped, count_kept


def test_entries_count_and_give_examples():
    entry = count_dropped("sample type not kept", ["a", "b"], ["ACC", "ACC"])
    assert entry == {"rule": "sample type not kept", "n": 2, "examples": ["a", "b"], "by_type": {"ACC": 2}}
    kept = count_kept("gene without a symbol, kept", ["a"])
    assert kept == {"rule": "gene without a symbol, kept", "n": 0, "examples": ["a"], "n_kept": 1}
