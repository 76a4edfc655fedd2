"""Runs of the study's reconstructed protocol beside the report's own training: tables and figures.

The records are those of `training.replication`, committed in reports/replication.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from siamese_utils.data.dataset import TEST_SETS, Dataset
from siamese_utils.evaluation import verdicts
from siamese_utils.evaluation.intervals import measurement
from siamese_utils.evaluation.metrics import THRESHOLD_RULES
from siamese_utils.reporting import plot_data, plots, published_results, show
from siamese_utils.reporting.show import LinkCell
from siamese_utils.training import replication
from siamese_utils.training.cache import TrainingResult
from siamese_utils.training.pair_training import TrainingConfig
from siamese_utils.training.tasks import TASKS

Record = Mapping[str, Any]

COLOURS = {"training": plots.BLUE, "validation": plots.ORANGE}  # of the study's figures
# Each function, table and figure of the study, and its place: notebook and section, with the words
# to show for the section.
_LOSS = "02-loss-tests#from-two-images-to-a-number"
_AS_PRINTED = "07-one-shot-transfer#the-article-s-system-as-printed"
PLACES = [
    ("Figure 1: dividing the data sets", "01-data-splits#the-split", "The split"),
    ("Table 1: data sets and classes", "01-data-splits#the-split", "The split"),
    ("data_preparation", "01-data-splits#the-split", "The split"),
    ("dataset_class", "03-base-model#the-study-s-code", "The study's code"),
    ("forming of pairs (not printed)", "01-data-splits#the-pairs", "The pairs"),
    ("eucl_dist_output_shape, euclidean_distance", _LOSS, "From two images to a number"),
    ("label, formula, contrastive_loss, testing_loss", _LOSS, "From two images to a number"),
    ("create_base_network", "03-base-model#the-network", "The network"),
    ("run_base_network, display_base_network", "03-base-model#the-study-s-code", "The study's code"),
    ("plot_result, printed lines", "03-base-model#the-study-s-code", "The study's code"),
    ("Figures 2 and 3: accuracy, loss (base)", "03-base-model#training", "Training"),
    ("Table 2: accuracy of the base model", "03-base-model#accuracy", "Accuracy"),
    ("create_siamese_network", "04-complex-model#what-is-added", "What is added"),
    ("run_siamese_network, display_siamese_network", "04-complex-model#what-is-added",
     "What is added"),
    ("Figures 4 and 5: accuracy, loss (complex)", "04-complex-model#training", "Training"),
    ("Table 3: accuracy of the complex model", "04-complex-model#accuracy", "Accuracy"),
    ("Tables 4 and 5: margin 1 and margin 5", "05-margin-study#the-study-s-tables",
     "The study's tables"),
    ("Training: 20 epochs, RMSprop, Test1 for validation", "03-base-model#the-study-s-code",
     "The study's code"),
    ("Discussion: overfitting", "04-complex-model#claim-1-the-base-model-overfits",
     "Claim 1: the base model overfits"),
    ("Discussion: dropout", "04-complex-model#claims-2-and-3-dropout-and-penalties-help",
     "Claims 2 and 3: dropout and penalties help"),
    ("Discussion: loss 0.08 to 0.04, bumps", "04-complex-model#claim-6-the-complex-model-s-loss",
     "Claim 6: the complex model's loss"),
    ("Discussion: new images, rows of the tables", "04-complex-model#claim-7-unseen-classes-are-harder",
     "Claim 7: unseen classes are harder"),
    ("Discussion: margin", "05-margin-study#claim-4-margin-5-is-worse-than-margin-1",
     "Claim 4: margin 5 is worse than margin 1"),
    ("Discussion: Adadelta against RMSprop", "06-optimizer-comparison", "The optimizers"),
]  # fmt: skip


ARTICLE_PLACES = [
    ("idea: transfer from a large data set", "07-one-shot-transfer#the-article", "The article"),
    ("printed contrastive loss", _AS_PRINTED, "The article's system as printed"),
    ("triplet loss", "07-one-shot-transfer#triplets", "Triplets"),
    ("digits resized to 32 x 32, (x + 1) / 2", _AS_PRINTED, "The article's system as printed"),
    ("build_base_network, its training", _AS_PRINTED, "The article's system as printed"),
    ("EarlyStopping and ReduceLROnPlateau", _AS_PRINTED, "The article's system as printed"),
    ("classification results of digits", _AS_PRINTED, "The article's system as printed"),
    ("architecture: one shared CNN", "07-one-shot-transfer#the-article", "The article"),
    ("get_random_image, rectangle", "07-one-shot-transfer#the-textures", "The textures"),
    ("200 images", _AS_PRINTED, "The article's system as printed"),
    ("picture of the data set", "07-one-shot-transfer#the-textures", "The textures"),
    ("euclidean_distance, eucl_dist_output_shape", _AS_PRINTED, "The article's system as printed"),
    ("accuracy, compute_accuracy", _AS_PRINTED, "The article's system as printed"),
    ("contrastive_loss (label 1: same)", _AS_PRINTED, "The article's system as printed"),
    ("50 training pairs, 200 test pairs", _AS_PRINTED, "The article's system as printed"),
    ("encoder without the last layer, transfer", _AS_PRINTED, "The article's system as printed"),
    ("model_architecture.json", _AS_PRINTED, "The article's system as printed"),
]


def show_places(places: Sequence[tuple[str, str, str]], source: str, modules: str) -> None:
    """Show where each function, table and figure of a document is in this report.

    Args:
        places: PLACES or ARTICLE_PLACES.
        source: The document, such as "the 2019 study".
        modules: Where its functions are.
    """
    rows = []
    for part, target, words in places:
        page, _, anchor = target.partition("#")
        link = f"{page}.ipynb{'#' * bool(anchor)}{anchor}"
        rows.append((part, LinkCell(f"{page[:2]}, {words}", link)))
    show.table(
        pd.DataFrame(rows, columns=[f"in {source}", "here"]),
        f"Where each part of {source} is. Its functions are in {modules}. "
        "We have no version of eucl_dist_output_shape, because Keras 3 does not need it.",
    )


def records_of(config: TrainingConfig, dataset: Dataset) -> list[dict[str, Any]]:
    """Return the reference runs of a network that exist; none for another data set than the study's.

    Args:
        config: The report's config of the network.
        dataset: The data set.
    """
    if published_results.find_table(config, dataset).empty:
        return []
    return _records_of_network(config)


def _records_of_network(config: TrainingConfig) -> list[dict[str, Any]]:
    return [
        record
        for record in replication.read()
        if (record["model"], record["margin"]) == (config.model, config.margin)
    ]


def curves(records: Sequence[Record]) -> pd.DataFrame:
    """Return the curves of the study's figures as points: accuracy and loss against the epoch.

    Args:
        records: Reference runs of one network. The validation pairs are those of Test 1, and the
            loss includes the penalties.
    """
    rows = [
        {"subplot": measure, "series": name, "seed": record["seed"], "x": epoch, "y": value}
        for measure in ("accuracy", "loss")
        for name, prefix in (("training", ""), ("validation", "val_"))
        for record in records
        for epoch, value in enumerate(record["history"][prefix + measure], 1)
    ]
    return pd.DataFrame(rows)


def own_curves(runs: Sequence[TrainingResult]) -> pd.DataFrame:
    """Return the same curves of the report's own training runs, validated on validation images."""
    records = [{"seed": seed, "history": run.history} for seed, run in enumerate(runs)]
    return curves(records)


def show_curves(
    runs: Sequence[TrainingResult], config: TrainingConfig, dataset: Dataset, figures: str
) -> None:
    """Show the study's figures of a network: from the reference runs, and from our own.

    Args:
        runs: Our training runs, one for each seed.
        config: Their config.
        dataset: The data set.
        figures: The study's numbers of the figures, such as "2 and 3".
    """
    if config.task != "contrastive":  # a reader's own experiment
        show.figure(
            plots.lines,
            plot_data.learning_curves({config.model: runs}, TASKS[config.task].curves),
            "Training and validation against the epoch. Thin lines: single seeds.",
            x="epoch",
        )
        return
    records = records_of(config, dataset)
    if records:
        show.figure(
            plots.lines,
            curves(records),
            f"In the form of the study's Figures {figures}, from {_number(records)} of the reconstructed protocol: accuracy and "
            f"loss{_with_penalties(config)} against the epoch; validation on Test1.{' Thin lines: single runs.' * (len(records) > 1)}",
            x="epoch",
            series_colours=COLOURS,
        )
    show.figure(
        plots.lines,
        own_curves(runs),
        f"Our training curves, in the form of the study's Figures {figures}: accuracy and "
        f"loss{_with_penalties(config)} against the epoch; validation on validation images. Thin lines: single seeds.",
        x="epoch",
        series_colours=COLOURS,
    )


def _with_penalties(config: TrainingConfig) -> str:
    return " (including the penalties)" if config.model == "complex" else ""


def runs_table() -> pd.DataFrame:
    """Return the reference runs that exist, with their date, machine and duration."""
    rows = []
    for record in replication.read():
        machine = record["machine"]
        rows.append(
            {
                "network": f"{record['model']}, m = {record['margin']:g}",
                "for the test set": record["test_set"],
                "seed": record["seed"],
                "date": record["date"],
                "machine": f"{machine['processor']}, {machine['cores']} cores",
                "TensorFlow": machine["tensorflow"],
                "minutes": round(record["seconds"] / 60),
                "test loss": round(record["test_loss"], 3),
            }
        )
    return pd.DataFrame(rows)


def accuracies(records: Sequence[Record]) -> dict[str, tuple[float, float]]:
    """Return test set -> training and test accuracy in % of the run that was made for this set."""
    return {
        record["test_set"]: (100 * record["train_accuracy"], 100 * record["test_accuracy"])
        for record in records
    }


def differences(sampled: pd.DataFrame, configs: Mapping[str, TrainingConfig]) -> pd.DataFrame:
    """Return the reference runs minus our runs with the same split.

    Args:
        sampled: Our metrics on the study's pairs: a row for each network, columns (set, metric).
        configs: The config of each network.

    Returns:
        A row for each network, test set and metric ("measured": accuracy at 0.5 and at half the
        margin in points, and AUC): the mean difference with its interval over the runs, and whether a
        difference of verdicts.SMALLEST_POINTS or SMALLEST_AUC is excluded. Empty without reference
        runs.
    """
    rows = {}
    for name, config in configs.items():
        # At margin 1, half the margin is 0.5.
        rules = ["0.5"] if config.margin == 1 else ["0.5", "m/2"]
        metrics = [*(THRESHOLD_RULES[rule] for rule in rules), "AUC"]
        records = _records_of_network(config)
        if not records:
            continue
        for pair_set in TEST_SETS:
            for metric in metrics:
                ours = sampled.loc[name][pair_set, metric].values
                values = [
                    _measured(record, pair_set, metric) - ours[record["seed"]]
                    for record in records
                    if record["seed"] < len(ours)
                ]
                if values:
                    unit = "" if metric == "AUC" else "points"
                    rows[name, pair_set, metric] = measurement(values, unit, signed=True)
    frame = pd.DataFrame({"reconstructed minus ours": pd.Series(rows, dtype=object)})
    if frame.empty:
        return frame
    frame.index = frame.index.set_names(["network", "set", "measured"])
    words = {
        verdicts.SUPPORTED: "yes",
        verdicts.REFUTED: "no",
        verdicts.INCONCLUSIVE: "inconclusive",
    }
    equivalent = []
    for (_, _, metric), row in frame.iterrows():
        bound = verdicts.SMALLEST_AUC if metric == "AUC" else verdicts.SMALLEST_POINTS
        equivalent.append(words[verdicts.judge_value(row.iloc[0], 0, 0, bound)])
    return frame.assign(equivalent=equivalent)


def _measured(record: Record, pair_set: str, metric: str) -> float:
    """Return a metric of a reference run: an accuracy in %, or the AUC."""
    measured = record["test_sets"][pair_set]
    if metric == "AUC":
        return measured["auc"]
    relative = 0.5 if metric == THRESHOLD_RULES["m/2"] else 0.5 / record["margin"]
    position = int(np.argmin(np.abs(replication.RELATIVE_THRESHOLDS - relative)))
    return 100 * measured["accuracies"][position]


def _number(records: Sequence[Record]) -> str:
    return "one run" if len(records) == 1 else f"{len(records)} runs"
