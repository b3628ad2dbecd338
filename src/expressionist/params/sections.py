"""The sections of params.yaml: every key with what it may be and, as `make docs` tells, what it means."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from expressionist.errors import ParamsError, holds_password
from expressionist.params.parsing import Must, OneOf, Within, key, section
from expressionist.params.plug_ins import list_backbones, list_baselines, list_layouts, list_sources

# What NumPy, scikit-learn and Keras all take.
_MOST_SEED = 2**32 - 1
# The maps that every backbone has.
STRIDES = (1, 2, 4, 8, 16, 32)
# The network of the reference's protocol, and its rates: an averaged map is learned from at much greater ones
# (docs/experiments.md).
_REFERENCE = {
    "gain": False,
    "head": "global_average",
    "strides": (32,),
    "dropout": 0.2,
    "genes": False,
    "rank_units": 0,
}
_REFERENCE_RATE, _REFERENCE_TAIL_RATE = 1e-2, 1e-3
# Of another cohort; a greater one is better.
_EXTERNAL = ("accuracy", "f1_macro", "balanced_accuracy", "answered_accuracy")
# Of its own explanation; of gaps a smaller one is better.
_EXPLANATION = ("gap_median", "gap_p95", "shared_halves")
_METRICS = ("f1_macro", "accuracy", "balanced_accuracy", "log_loss")


def _one_of(*words: str) -> OneOf:
    return OneOf(lambda: words)


_ONCE = Must("name each of them once", lambda entries: len(set(entries)) == len(entries), "Take one out.")
_SOME = Must("name at least one", bool, "Name one.")
_RANGE = Must("be [low, high], low below high", lambda ends: len(ends) == 2 and ends[0] < ends[1])
_URL = Must(
    "be sqlite:///<path> or postgresql://<user>@<host>/<database>",
    lambda url: url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")),
    got="another",
)
_NO_PASSWORD = Must(
    "hold no password, since params are copied into dvc.lock and logs",
    lambda url: not holds_password(url),
    "Put it into ~/.pgpass or the variable PGPASSWORD.",
    got="one",
)
# MLflow addresses models by / : and @, and quotes names where it looks for them.
_NAME = Must(
    "be a name without / : @ and quotes", lambda name: name.strip() and not set("/:@'\"`") & set(name)
)
# Names of genes' planted markers are separated by commas.
_Type = Annotated[str, Must("be a name without a comma", lambda name: name.strip() and "," not in name)]
_MERGED_ONCE = Must(
    "merge every tumour type once",
    lambda merged: len(each := [label for labels in merged.values() for label in labels]) == len(set(each)),
    "Take one out.",
)


@section
class CohortParams:
    """Which cohort, from where; each source reads its own options."""

    source: Annotated[str, OneOf(list_sources)] = key(
        "`embedded`: simulated pan-cancer RNA-Seq, needs no data. `pancan-mrna`, `pancan-mirna`: the "
        "Pan-Cancer Atlas, downloaded. `gdc`: STAR counts of the GDC. `xena`: a matrix of UCSC Xena. `tcga`: "
        "a TCGA matrix and a samples table. `table`: your own matrix."
    )
    folder: str = key(
        "Where the files named below lie; may be outside the checkout. The stage `fetch` copies what the "
        "source needs to `data/raw/`, where DVC versions it. The embedded cohort reads none.",
        min_length=1,
    )
    options: Mapping[str, Any]
    merge_types: Annotated[Mapping[_Type, Annotated[tuple[str, ...], _SOME]], _MERGED_ONCE] | None = key(
        "Tumour types to learn as one, by their new name, such as `{CRC: [COAD, READ]}`: labels are renamed "
        "before types are counted (`smallest_type`) and the patients split (data.md). Null: none.",
        default=None,
    )


@section
class SplitParams:
    """Shares of patients held out, the seed that chooses them, and how often all is done anew."""

    validation: float = key(
        "Share of patients on whom everything is chosen, by tumour type.", ge=0.01, le=0.5
    )
    test: float = key("Share of patients on whom everything is scored, likewise.", ge=0.01, le=0.5)
    seed: int = key("Of the split.", ge=0, le=_MOST_SEED)
    repeats: int = key(
        "Splits of the patients. From 2 on, the stage `repeats` fits everything anew on each (genes, "
        "scale, layout, baseline models, networks, depths and hyper-parameters), and the comparison has "
        "means and standard deviations. The first split stays what everything else is about. n splits cost "
        "n − 1 times what `layout`, `baselines`, `tune` and `train` cost; what is done is kept in "
        "`data/cache/repeats/`, so a kill costs at most the model in work.",
        default=1,
        ge=1,
    )

    def __post_init__(self) -> None:
        if self.validation + self.test >= 1:
            raise ParamsError(
                f"validation and test must be together below 1, but got {self.validation:g} and "
                f"{self.test:g}. Leave samples to train on."
            )


@section
class ExpressionParams:
    """Gene choice."""

    n_genes: int = key(
        "At most so many genes, the most variable on training samples; 10,404 fill 102 × 102 pixels.", ge=1
    )
    genes: str | None = key(
        "Genes to choose from: a text file in `cohort.folder`, a name of any kind on each line. Null: all.",
        default=None,
        min_length=1,
    )


@section
class LayoutParams:
    """Layout method, its seed and its own options, and whether genes may share pixels."""

    method: Annotated[str, OneOf(list_layouts)] = key(
        "`coexpression`: similar genes side by side. `tsne`, `umap`, `pca`: genes where an embedding puts "
        "them, one to a pixel. `igtd`: distances on the image rank as those of the genes do. `pathway`: "
        "gene sets that you give, a region each. `chromosome`: genomic order, row by row. `random`: the "
        "null. Measured side by side in layouts.md."
    )
    seed: int = key("For methods that draw.", ge=0, le=_MOST_SEED)
    options: Mapping[str, Any]
    overlap: Annotated[str, _one_of("single", "average")] = key(
        "`single`: a pixel for every gene while there are enough. `average`, for `pca`, `tsne` and `umap`: "
        "genes share pixels as their points fall, and a pixel shows their mean, as in DeepInsight.",
        default="single",
    )


Backbones = Annotated[tuple[Annotated[str, OneOf(list_backbones)], ...], _SOME, _ONCE]


@section
class WeightsParams:
    """Where a backbone's weights come from, and whether random ones will do."""

    source: Annotated[str, _one_of("imagenet", "random")] = key("What a backbone starts from.")
    folder: str = key(
        "Looked into first; then Keras's cache; then downloaded. File names: data/weights/README.md.",
        min_length=1,
    )
    required: bool = key(
        "`true` refuses to run on random weights; `false` falls back to them, and marks every product."
    )
    seed: int = key("Of random weights.", ge=0, le=_MOST_SEED)

    def __post_init__(self) -> None:
        if self.required and self.source == "random":
            raise ParamsError(
                "required must be false where the source is random, but got true. Ask for imagenet, or for "
                "less."
            )


@section
class NetworkParams:
    """The network around the backbone: image size and head."""

    protocol: Annotated[str, _one_of("full", "reference")] = key(
        "`full`: as the keys below say. `reference`: images alone, the last map averaged over places, and a "
        "dense head on it; `gain`, `head`, `strides`, `dropout`, `genes` and `rank_units` are then false, "
        "global_average, [32], 0.2, false and 0, and in `training` `learning_rate` and "
        "`tail_learning_rate` 0.01 and 0.001, whatever stands there."
    )
    magnify: int = key(
        "Edge of the square that a pixel is drawn as; 0: that which comes nearest to `side`.", ge=0
    )
    side: int = key(
        "Edge of the images that a backbone sees, in pixels, as near as whole squares come to it.", ge=1
    )
    gain: bool = key(
        "Whether the backbone sees every pixel stretched by what logistic regression reads its genes for, "
        "fitted on training samples. Searches do without: their folds judge by some of these."
    )
    head: Annotated[str, _one_of("flatten", "global_average")] = key(
        "`flatten` keeps the places of the maps (a place means a gene), `global_average` averages over "
        "them (the reference's choice)."
    )
    strides: Annotated[tuple[Annotated[int, OneOf(lambda: STRIDES)], ...], _SOME, _ONCE] | None = key(
        "The maps that the head looks at: the last ones that are so many times smaller than the image. "
        "Null: 4 and 8 where they have no more places than genes and no more than 131,072 features, and "
        "the last."
    )
    dropout: float = key("Share of a map's features dropped while training.", ge=0, le=0.95)
    genes: bool = key(
        "Whether a classifier of the genes themselves, logistic regression, stands beside the picture's."
    )
    gene_dropout: float = key("Share of ranks dropped while training.", ge=0, le=0.95)
    rank_units: int = key(
        "Hidden units of a second classifier, which sees the genes' ranks within their sample; 0: none. It "
        "takes no part in searches, being the same at every depth.",
        ge=0,
    )
    precision: Annotated[str, _one_of("float16", "float32")] = key(
        "What frozen activations are kept as on disk; `float16` takes half the room (float32 where an "
        "activation exceeds 65,504, experiments.md)."
    )

    def __post_init__(self) -> None:
        """Put what the reference's protocol says in the place of what is written."""
        for name, value in _REFERENCE.items() if self.protocol == "reference" else ():
            object.__setattr__(self, name, value)


@section
class TrainingParams:
    """How a tail is trained."""

    epochs: int = key(
        "All are trained, and the last is kept: nothing is chosen on validation samples inside a training.",
        ge=1,
    )
    batch_size: int = key("Samples per step.", ge=1)
    learning_rate: float = key(
        "Of the head; cosine decay to 0 over the epochs, as those below.", ge=1e-8, le=10
    )
    tail_learning_rate: float = key("Of the unfrozen layers.", ge=0, le=10)
    rank_learning_rate: float = key("Of the classifier of ranks.", ge=0, le=10)
    weight_decay: float = key("Of the head.", ge=0, le=1)
    class_weight: Annotated[str, _one_of("none", "sqrt", "balanced")] = key(
        "How far rare types are weighed up."
    )
    members: int = key(
        "Trainings of the winner on training and validation patients, whose mean logits are registered. 0: "
        "what was trained on training patients is, as it is.",
        ge=0,
        le=20,
    )
    seed: int = key("Of the head's weights, the order of samples, and dropout.", ge=0, le=_MOST_SEED)


def follow_reference(training: TrainingParams) -> TrainingParams:
    """Train at the rates of the reference's protocol."""
    return replace(training, learning_rate=_REFERENCE_RATE, tail_learning_rate=_REFERENCE_TAIL_RATE)


@section
class SearchParams:
    """What Optuna may choose, and how long it may take."""

    n_trials: int = key(
        "Finished trials to reach per backbone, at most: where depths alone are searched, one for each.", ge=1
    )
    epochs: int = key("Of each training of a trial.", ge=1)
    folds: int = key(
        "Folds of the training and validation patients: a trial trains once for each, on the others, and its "
        "value is the mean over folds. The shallowest depth within one standard error of the best is chosen.",
        ge=2,
        le=20,
    )
    depths: Annotated[tuple[Annotated[int, Within(0, 1000)], ...], _SOME, _ONCE] | None = key(
        "Fine-tune depths to try: so many weighted layers train, counted from the head. Null: 0 to the "
        "whole last block; a list may reach further down."
    )
    learning_rate: Annotated[tuple[Annotated[float, Within(1e-8, 10)], ...], _RANGE] | None = key(
        "Null: as in training. Or `[low, high]`: then Optuna's TPE samples, instead of trying out every "
        "depth."
    )
    dropout: Annotated[tuple[Annotated[float, Within(0, 0.95)], ...], _RANGE] | None = key(
        "Null: as in network. Or `[low, high]`, likewise."
    )
    objective: Annotated[str, OneOf(lambda: _METRICS)] = key(
        "On the samples of a fold that were not trained on."
    )
    prune: bool = key(
        "Whether to break off trials that lie behind the median of those before, once there are five."
    )
    storage: Annotated[str, _URL, _NO_PASSWORD] | None = key(
        "Null: an SQLite file in `data/cache/`. Or `postgresql://<user>@<host>/<database>`, without its "
        "password, for many machines (cluster.md)."
    )
    seed: int = key("Of the sampler and of the folds.", ge=0, le=_MOST_SEED)


@section
class BaselinesParams:
    """The baseline models to fit."""

    models: Annotated[tuple[Annotated[str, OneOf(list_baselines)], ...], _SOME, _ONCE] = key(
        "Models without pictures, on the same genes and split."
    )
    seed: int = key("Of what is random in them.", ge=0, le=_MOST_SEED)


@section
class EvaluationParams:
    """Bootstrap intervals, when to abstain, and what counts as unlike the training cohort."""

    n_resamples: int = key("Of the bootstrap over patients.", ge=1)
    level: float = key("Of its intervals.", ge=0.5, le=0.9999)
    answered_accuracy: float = key(
        "Share of right answers wanted among the validation samples that are answered; predictions with "
        "less confidence than that takes are marked `abstain` (probabilities.md).",
        ge=0,
        le=1,
    )
    false_alarms: float = key(
        "Share of validation samples that may be flagged as unlike the training cohort.", ge=0.0001, le=0.5
    )
    seed: int = key("Of the bootstrap.", ge=0, le=_MOST_SEED)


@section
class AttributionParams:
    """How many samples are explained, and how exactly."""

    n_samples_per_type: int = key(
        "Correctly classified test samples that are explained, and training samples that rank the genes, per "
        "tumour type: at most so many.",
        ge=1,
    )
    steps: int = key("Of the path integral; trebled for incomplete samples, up to `max_steps`.", ge=1)
    max_steps: int = key("At least `steps`.", ge=1)
    median_delta: float = key("Completeness gap that half of the samples may have, relative.", ge=0, le=1)
    p95_delta: float = key("The same of 95 in 100.", ge=0, le=1)
    n_top: int = key("Genes listed, and looked at for marker recovery.", ge=1)
    seed: int = key("Of what is drawn.", ge=0, le=_MOST_SEED)
    gene_sets: str | None = key(
        "Pathways to look for in the rankings: a GMT file in `cohort.folder`, its genes by any name. Null: "
        "none are looked for.",
        default=None,
        min_length=1,
    )

    def __post_init__(self) -> None:
        if self.max_steps < self.steps:
            raise ParamsError(
                f"max_steps must be at least steps ({self.steps}), but got {self.max_steps}. Raise it."
            )


@section
class GateParams:
    """What a version must reach to be promoted."""

    accuracy: float = key("Test accuracy.", ge=0, le=1)
    f1_macro: float = key("Test macro-F1.", ge=0, le=1)
    worse_than_staging: float = key("How much worse than the present version macro-F1 may be.", ge=0, le=1)
    paired: Annotated[float, Within(0.5, 0.999)] | None = key(
        "Level of the interval of the lead in macro-F1 over the present version, by a bootstrap of the "
        "patients of the same test samples, such as 0.95: its low end may be below 0 by "
        "`worse_than_staging`. Null: the scores are compared as they are.",
        default=None,
    )
    ece: Annotated[float, Within(0, 1)] | None = key(
        "The most that the expected calibration error on test samples may be; null: nothing is asked.",
        default=None,
    )
    external: Mapping[Annotated[str, _one_of(*_EXTERNAL)], Annotated[float, Within(0, 1)]] = key(
        "Scores that `expressionist validate` must have found on one other cohort, none of whose patients "
        "the "
        f"version was trained on: {', '.join(_EXTERNAL)}, each with its least value; nothing is asked if "
        "empty.",
        default_factory=dict,
    )
    explanation: Mapping[Annotated[str, _one_of(*_EXPLANATION)], Annotated[float, Within(0, 1)]] = key(
        "What the stage `explain` must have found: the most that the completeness gap may be (gap_median, "
        "gap_p95), and the least share of a type's first `n_top` genes that two halves of its samples share, "
        "in the mean over types (shared_halves); nothing is asked if empty.",
        default_factory=dict,
    )


@section
class RegistryParams:
    """The registered model's name, what it accepts, and its gate."""

    name: Annotated[str, _NAME] = key("Of the registered model.")
    missing_genes: float = key("Share of the model's genes that a user's table may lack.", ge=0, le=1)
    gate: GateParams = key(
        "What `expressionist promote` asks for. Simulated samples and random weights it never lets through "
        "unasked."
    )
    after_promotion: str | None = key(
        "Command line that the shell of whoever promotes or rolls back runs once the alias has moved "
        "(registry.md). Null: none."
    )


@section
class Params:
    """The whole of params.yaml, a field per section."""

    cohort: CohortParams
    split: SplitParams
    expression: ExpressionParams
    layout: LayoutParams
    backbones: Backbones = key("The networks to tune, train and compare.")
    weights: WeightsParams
    network: NetworkParams
    training: TrainingParams
    search: SearchParams
    baselines: BaselinesParams
    evaluation: EvaluationParams
    attribution: AttributionParams
    registry: RegistryParams
