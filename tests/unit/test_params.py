"""params.yaml: what is shipped is valid, and whatever is wrong in it names itself."""

import re
from dataclasses import FrozenInstanceError, dataclass, field, fields
from pathlib import Path

import pytest
import yaml

from expressionist.errors import ParamsError
from expressionist.params import (
    CohortParams,
    ExpressionParams,
    LayoutParams,
    NetworkParams,
    Params,
    SearchParams,
    SplitParams,
    WeightsParams,
    parse,
    read_params,
)

SHIPPED = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture
def content():
    return yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))


def refuse(message):
    return pytest.raises(ParamsError, match=re.escape(message))


def test_shipped_params_are_valid(content):
    params = read_params(SHIPPED)
    assert params.cohort.source == content["cohort"]["source"]
    assert params.split == SplitParams(**content["split"])
    assert params.search.depths is None
    assert params.network.dropout == content["network"]["dropout"]
    assert params.registry.gate.accuracy == content["registry"]["gate"]["accuracy"]


def test_every_section_is_in_the_shipped_file(content):
    assert list(content) == [item.name for item in fields(Params)]


def test_params_are_not_changed():
    params = read_params(SHIPPED)
    with pytest.raises(FrozenInstanceError):
        params.split.seed = 2


@pytest.mark.parametrize("source", ["embedded", "tcga", "table"])
def test_options_are_those_of_the_chosen_source(content, source):
    content["cohort"]["source"] = source
    assert parse(Params, content, "params.yaml").cohort.options == content["cohort"][source]


def test_a_source_without_options_gets_none(content):
    content["cohort"]["source"] = "mine"
    assert parse(Params, content, "params.yaml").cohort.options == {}


def test_options_of_the_chosen_layout_method():
    content = {"method": "tsne", "seed": 1, "tsne": {"perplexity": 30}, "umap": {"n_neighbours": 5}}
    assert parse(LayoutParams, content, "layout").options == {"perplexity": 30}


@pytest.mark.parametrize("chosen", [None, 3, ["tcga"]])
def test_a_source_that_is_no_word(chosen):
    with refuse(f"cohort: source must be a word, but got {chosen!r}."):
        parse(CohortParams, {"source": chosen, "folder": "data"}, "cohort")


def test_unknown_section(content):
    with refuse("params.yaml has no key 'slpit'. Its keys are cohort, split,"):
        parse(Params, {**content, "slpit": {}}, "params.yaml")


def test_missing_section(content):
    del content["gate" if "gate" in content else "registry"]
    with refuse("params.yaml must have the key 'registry'."):
        parse(Params, content, "params.yaml")


def test_unknown_key_deep_down(content):
    content["registry"]["gate"]["acuracy"] = 1
    with refuse("params.yaml: registry: gate has no key 'acuracy'. Its keys are accuracy, f1_macro,"):
        parse(Params, content, "params.yaml")


def test_missing_key(content):
    del content["split"]["seed"]
    with refuse("params.yaml: split must have the key 'seed'. Add it."):
        parse(Params, content, "params.yaml")


@pytest.mark.parametrize("section", [None, 3, "a: 1", [1]])
def test_section_that_is_no_mapping(section):
    with refuse(f"split must be a mapping of keys to values, but got {section!r}."):
        parse(SplitParams, section, "split")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("validation", "0.1", "split: validation must be of type float, but got '0.1'."),
        ("validation", True, "split: validation must be of type float, but got True."),
        ("validation", None, "split: validation must be of type float, but got None."),
        ("validation", 0.6, "split: validation must be between 0.01 and 0.5, but got 0.6."),
        ("test", 0, "split: test must be between 0.01 and 0.5, but got 0.0."),
        ("test", float("nan"), "split: test must be between 0.01 and 0.5, but got nan."),
        ("seed", 1.5, "split: seed must be of type int, but got 1.5."),
        ("seed", True, "split: seed must be of type int, but got True."),
        ("repeats", 0, "split: repeats must be at least 1, but got 0."),
        ("repeats", 2.0, "split: repeats must be of type int, but got 2.0."),
    ],
)
def test_bad_numbers(key, value, message):
    with refuse(message):
        parse(SplitParams, {"validation": 0.1, "test": 0.1, "seed": 1, key: value}, "split")


def test_bound_on_one_side():
    with refuse("expression: n_genes must be at least 1, but got 0."):
        parse(ExpressionParams, {"n_genes": 0}, "expression")


def test_whole_numbers_do_for_fractions(content):
    content["registry"]["gate"]["accuracy"] = 1
    accuracy = parse(Params, content, "params.yaml").registry.gate.accuracy
    assert accuracy == 1.0
    assert isinstance(accuracy, float)


def test_word_not_among_those_allowed():
    with refuse("weights: source must be one of imagenet, random, but got 'imagnet'."):
        parse(WeightsParams, {"source": "imagnet", "folder": "w", "required": True, "seed": 1}, "weights")


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_only_true_and_false_are_yes_and_no(value):
    with refuse(f"weights: required must be of type bool, but got {value!r}."):
        parse(WeightsParams, {"source": "random", "folder": "w", "required": value, "seed": 1}, "weights")


@pytest.mark.parametrize(
    ("strides", "message"),
    [
        (8, "network: strides must be a list, but got 8."),
        ("8, 32", "network: strides must be a list, but got '8, 32'."),
        ([8, "32"], "network: strides must be of type int, but got '32'."),
    ],
)
def test_bad_lists(content, strides, message):
    with refuse(message):
        parse(NetworkParams, {**content["network"], "strides": strides}, "network")


@pytest.mark.parametrize(("depths", "parsed"), [(None, None), ([], ()), ([0, 3], (0, 3))])
def test_a_list_that_may_be_left_open(content, depths, parsed):
    assert parse(SearchParams, {**content["search"], "depths": depths}, "search").depths == parsed


def test_defaults_fill_in_and_extra_metadata_is_read_elsewhere_too():
    @dataclass(frozen=True)
    class Options:
        unit: str = field(default="RSEM", metadata={"words": ("RSEM", "RPM")})
        more: dict[str, int] = field(default_factory=dict)

    assert parse(Options, {}, "tcga") == Options("RSEM", {})
    assert parse(Options, {"more": {"SKCM": 6}}, "tcga").more == {"SKCM": 6}
    with refuse("tcga: more must be a mapping, but got [6]."):
        parse(Options, {"more": [6]}, "tcga")
    with refuse("tcga: unit must be one of RSEM, RPM, but got 'TPM'."):
        parse(Options, {"unit": "TPM"}, "tcga")


def test_file_that_is_not_there(tmp_path):
    with refuse("Params must be a readable YAML file, but got"):
        read_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    "text", [b"a: [1", b"a: 1\n b: 2", b"\xff\xfe\xfa", b"a: !!python/object:os.system {}"]
)
def test_file_that_is_no_yaml(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_bytes(text)
    with pytest.raises(ParamsError, match=r"readable YAML file, but got .*Correct .*params\.yaml") as caught:
        read_params(path)
    assert "\n" not in str(caught.value)


def test_empty_file(tmp_path):
    path = tmp_path / "params.yaml"
    path.touch()
    with pytest.raises(ParamsError, match=r"params\.yaml must be a mapping of keys to values, but got None"):
        read_params(path)
