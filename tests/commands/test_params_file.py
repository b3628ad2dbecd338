"""params.yaml: what is shipped is valid, and whatever is wrong in it names itself before anything is done."""

import copy
import re
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest
import yaml

from expressionist.commands.params_file import check_params, find_options, read_params
from expressionist.errors import ParamsError
from expressionist.network.backbones import BACKBONES
from expressionist.params.sections import Params, SplitParams

SHIPPED = Path(__file__).parents[2] / "params.yaml"
CONTENT = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))


def change(changes):
    """Return what is shipped, changed under dotted names; `...` takes a key out."""
    content = copy.deepcopy(CONTENT)
    for dotted, value in changes.items():
        *sections, name = dotted.split(".")
        section = content
        for each in sections:
            section = section.setdefault(each, {})
        if value is ...:
            del section[name]
        else:
            section[name] = value
    return content


def list_faults(changes):
    with pytest.raises(ParamsError) as refusal:
        check_params(change(changes), "params.yaml")
    return str(refusal.value).splitlines()


def test_shipped_params_are_valid():
    params = read_params(SHIPPED)
    assert params.cohort.source == CONTENT["cohort"]["source"]
    assert params.split == SplitParams(**CONTENT["split"])
    assert params.search.depths is None
    assert params.network.dropout == CONTENT["network"]["dropout"]
    assert params.registry.gate.accuracy == CONTENT["registry"]["gate"]["accuracy"]


def test_every_section_is_in_the_shipped_file():
    assert list(CONTENT) == [item.name for item in fields(Params)]


def test_params_are_not_changed():
    params = read_params(SHIPPED)
    with pytest.raises(FrozenInstanceError):
        params.split.seed = 2


@pytest.mark.parametrize("source", ["embedded", "tcga", "table"])
def test_options_are_those_of_the_chosen_source(source):
    params = check_params(change({"cohort.source": source}), "params.yaml")
    assert params.cohort.options == CONTENT["cohort"][source]


def test_options_of_the_chosen_layout_method():
    params = check_params(change({"layout.method": "tsne", "layout.tsne.perplexity": 7}), "params.yaml")
    assert params.layout.options == {"perplexity": 7}


def test_what_is_not_in_use_may_be_left_out():
    trimmed = {f"cohort.{name}": ... for name in ("tcga", "table", "pancan-mrna", "pancan-mirna")}
    content = change(trimmed | {"layout.tsne": ..., "layout.umap": {}})
    assert check_params(content, "params.yaml").cohort.options == CONTENT["cohort"]["embedded"]


# What used to be found out hours later, by the stage that reads it.
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"backbones": ["resnet51"]}, r"backbones: entry 1 must be one of xception, .*, but got 'resnet51'"),
        ({"backbones": []}, r"backbones must name at least one, but got \[\]"),
        ({"backbones": ["vgg19", "vgg19"]}, "backbones must name each of them once, but got"),
        ({"baselines.models": ["xgboost"]}, "baselines: models: entry 1 must be one of logistic_regr"),
        ({"baselines.models": []}, r"baselines: models must name at least one, but got \[\]"),
        ({"layout.method": "tsnee"}, "layout: method must be one of chromosome, .*, but got 'tsnee'"),
        ({"layout.overlap": "averege"}, "layout: overlap must be one of single, average"),
        ({"layout.overlap": "average"}, "layout: overlap must be single for .* one of pca, tsne, umap"),
        ({"layout.method": "pathway"}, "layout: pathway: gene_sets must name a GMT file .*, but got None"),
        (
            {"layout.method": "umap", "layout.umap.n_neighbours": 1},
            "layout: umap: n_neighbours must be at le",
        ),
        ({"layout.pca": {"whiten": True}}, "layout: pca has no key 'whiten'. Its keys are none at all"),
        ({"cohort.source": "tgca"}, "cohort: source must be one of embedded, .*, but got 'tgca'"),
        ({"cohort.source": "tcga", "cohort.tcga.unit": "reads"}, "cohort: tcga: unit must be one of counts"),
        ({"cohort.source": "tcga", "cohort.tcga.samples": ...}, "cohort: tcga must have the key 'samples'"),
        ({"cohort.embedded.n_samples": 100}, "cohort: embedded: n_samples must be at least 264, but got 100"),
        ({"cohort.source": ["tcga"]}, r"cohort: source must be one of .*, but got \['tcga'\]"),
        (
            {"backbones": ["xception"], "search.depths": [99]},
            "search: depths .* 40 for xception, .* but got 99",
        ),
        ({"search.depths": []}, r"search: depths must name at least one, but got \[\]"),
        ({"search.depths": [-1]}, "search: depths: entry 1 must be at least 0, but got -1"),
        ({"search.learning_rate": [0.1, 0.001]}, r"search: learning_rate must be \[low, high\], low below"),
        ({"search.learning_rate": [0.1]}, r"search: learning_rate must be \[low, high\], low below"),
        ({"search.dropout": [0.1, 1.5]}, "search: dropout: entry 2 must be at most 0.95, but got 1.5"),
        ({"search.objective": "f1"}, "search: objective must be one of f1_macro, accuracy"),
        ({"search.storage": "mysql://host/db"}, r"search: storage must be sqlite:///.*, but got another"),
        ({"search.storage": "postgresql://me:pw@host/db"}, "search: storage must hold no password.*got one"),
        ({"search.storage": "postgresql://host/db?password=pw"}, "search: storage must hold no password"),
        ({"attribution.max_steps": 4}, r"attribution: max_steps must be at least steps \(12\), but got 4"),
        ({"split.validation": 0.5, "split.test": 0.5}, "split: validation and test must be together below 1"),
        ({"split.seed": -1}, "split: seed must be at least 0, but got -1"),
        ({"network.strides": [3]}, "network: strides: entry 1 must be one of 1, 2, 4, 8, 16, 32, but got 3"),
        ({"weights.source": "random", "weights.required": True}, "weights: required must be false where"),
        ({"registry.name": "mine/best"}, "registry: name must be a name without / : @ and quotes, but got"),
        ({"registry.name": "mine's"}, "registry: name must be a name without / : @ and quotes"),
        ({"registry.name": "best@home"}, "registry: name must be a name without / : @ and quotes"),
        ({"registry.gate.acuracy": 1}, "registry: gate has no key 'acuracy'. Its keys are accuracy,"),
        ({"split.seed": ...}, "split must have the key 'seed'. Add it."),
        ({"split.test": float("nan")}, "split: test must be at most 0.5, but got nan"),
        ({"split": 4}, "split must be a mapping of keys to values, but got 4"),
        ({"cohort": "embedded"}, "cohort must be a mapping of keys to values, but got 'embedded'"),
        ({"training.batch_size": None}, "training: batch_size must be a whole number, but got None. Give"),
    ],
)
def test_refused_at_the_start_in_one_line(changes, sentence):
    (fault,) = list_faults(changes)
    assert re.match(f"params.yaml: {sentence}", fault)
    assert re.search(r"\. [A-Z][^.]* .*\.$", fault), "it ends with what to do"


# A typo in what is not in use: harmless today, and a riddle on the day that it is chosen.
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"cohort.tcga.unti": "TPM"}, ": cohort: tcga has no key 'unti'. Its keys are expression, samples,"),
        ({"cohort.table.smallest_type": "5"}, ": cohort: table: smallest_type must be a whole number"),
        ({"cohort.pancan-mrna.mirror": "file:///etc"}, ": cohort: pancan-mrna: mirror must be an http or h"),
        ({"layout.tsne.perplexty": 3}, ": layout: tsne has no key 'perplexty'. Its keys are perplexity."),
        (
            {"cohort.tcag": {}},
            ": cohort has no key 'tcag'. Its keys are source, folder, merge_types, and embedded, ",
        ),
        ({"layout.sead": 1}, ": layout has no key 'sead'. Its keys are method, seed, overlap, and chromos"),
        ({"registry": ...}, " must have the key 'registry'. Add it."),
        ({"slpit": {}}, " has no key 'slpit'. Its keys are cohort, split,"),
    ],
)
def test_a_key_or_section_that_is_unknown_or_missing_names_itself(changes, sentence):
    (fault,) = list_faults(changes)
    assert fault.startswith(f"params.yaml{sentence}")


def test_all_faults_are_told_at_once():
    """Those of single keys, of keys of one section, and of keys in several."""
    expected = {
        "split: seed must": {"split.seed": "one"},
        "split has no key 'tset'": {"split.tset": 0.1},
        "training: epochs must": {"training.epochs": 0},
        "attribution: max_steps must": {"attribution.max_steps": 1},
        "depths must be at most 16 for vgg19": {"backbones": ["vgg19", "resnet50"], "search.depths": [17]},
        "tcga: unit must": {"cohort.tcga.unit": "reads"},
        "tsne: perplexity must": {"layout.tsne.perplexity": 0},
    }
    faults = list_faults({name: value for each in expected.values() for name, value in each.items()})
    assert len(faults) == len(expected)
    for part in expected:
        assert sum(part in fault for fault in faults) == 1


def test_a_depth_is_refused_for_the_backbones_that_lack_it_only():
    deepest = {name: row.n_layers for name, row in BACKBONES.items()}
    chosen = {"backbones": list(deepest)}
    reached = check_params(change(chosen | {"search.depths": [min(deepest.values())]}), "params.yaml")
    assert reached.search.depths == (min(deepest.values()),)
    faults = list_faults(chosen | {"search.depths": [0, max(deepest.values())]})
    assert len(faults) == len(deepest) - 1
    assert not any("densenet169" in fault for fault in faults)


def test_only_layouts_that_have_options_have_a_dataclass_for_them():
    assert find_options("layout", "igtd") is None
    assert find_options("layout", "pathway") is not None


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "+1e-3", "1.e-3", "1.0e-3", "0.001"])
def test_numbers_are_read_as_dvc_reads_them(tmp_path, text):
    """`1e-3` is text to YAML 1.1, and a number to YAML 1.2."""
    path = tmp_path / "params.yaml"
    shipped = SHIPPED.read_text(encoding="utf-8")
    changed, n_changed = re.subn(r"(?m)^  weight_decay: \S+", f"  weight_decay: {text}", shipped)
    path.write_text(changed, encoding="utf-8")
    assert n_changed == 1
    assert read_params(path).training.weight_decay == 0.001


@pytest.mark.parametrize(
    "text", [None, b"a: [1", b"a: 1\n b: 2", b"\xff\xfe\xfa", b"a: !!python/object:os.system {}"]
)
def test_file_that_is_not_there_or_no_yaml(tmp_path, text):
    path = tmp_path / "params.yaml"
    if text is not None:
        path.write_bytes(text)
    sentence = r"^Params must be a readable YAML file, but got .*Correct .*params\.yaml"
    with pytest.raises(ParamsError, match=sentence) as caught:
        read_params(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "- 1\n", "word\n"])
def test_file_that_holds_no_mapping(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ParamsError, match=r"params\.yaml must be a mapping of keys to values, but got"):
        read_params(path)


@pytest.mark.parametrize(
    ("old", "said"),
    [
        ({"layout.crowding": "single"}, "layout: crowding is called overlap since version 0.2.0. Change it."),
        ({"baselines.opponents": []}, "baselines: opponents is called models since version 0.2.0. Change it"),
        ({"network.channels": "copies"}, "network: channels is gone, as"),
        (
            {"network.head": "places"},
            "network: head: places is called flatten since version 0.2.0. Change it",
        ),
        ({"network.head": "pooled"}, "network: head: pooled is called global_average since version 0.2.0."),
    ],
)
def test_what_version_0_1_had_is_told_its_new_name_in_one_sentence(old, said):
    with pytest.raises(ParamsError, match=re.escape(said)) as refused:
        check_params(change(old), "params.yaml")
    assert len(str(refused.value).splitlines()) == 1
