"""Figures and tables of the pages that take more than a few lines."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from siamese_utils.data.dataset import TEST_SETS, Dataset
from siamese_utils.evaluation import pair_distances
from siamese_utils.evaluation.calibration import CalibrationTest
from siamese_utils.evaluation.pair_distances import PairDistances
from siamese_utils.reporting import (
    interactive_figures,
    plot_data,
    plots,
    published_results,
    reference,
    results,
    show,
    tables,
)
from siamese_utils.training import pair_training
from siamese_utils.training.cache import TrainingResult
from siamese_utils.training.pair_training import TrainingConfig
from siamese_utils.training.study_plan import StudyPlan
from siamese_utils.training.tasks import TASKS


def two_towers(pairs: Mapping[str, Mapping[str, Any]], dataset: Dataset, caption: str) -> None:
    """Show how a network compares two pairs, as `embeddings.typical_pairs` returns them."""
    answers = {"same": "one class", "different": "two classes"}
    drawn, sentences = {}, []
    for label, answer in answers.items():
        if label in pairs:
            rows, distance = pairs[label]["rows"], pairs[label]["distance"]
            drawn[answer] = dict(pairs[label], images=dataset.images[rows])
            names = " and ".join(dataset.names_of(dataset.labels[list(rows)]))
            sentences.append(f"{names}: distance {distance:.2f}")
    alt = "The encoder turns each image into a row of numbers. "
    show.figure(plots.two_towers, drawn, caption, alt=f"{alt}{'; '.join(sentences)}.")


def learning_curves(training_results: Mapping[str, Sequence[TrainingResult]], caption: str) -> None:
    """Show the training and validation curves of the metrics of the first network's task."""
    task = TASKS[pair_training.config_of(next(iter(training_results.values()))[0]).task]
    frame = plot_data.learning_curves(training_results, task.curves)
    show.figure(plots.lines, frame, f"{caption} Thin lines: single seeds.", x="epoch")


def roc(distances: Mapping[str, Sequence[PairDistances]]) -> None:
    """Show the ROC curves of seed 0 on the study's pairs, one for each encoder and test set."""
    aucs = {
        name: ", ".join(f"{by_seed[0].sampled_curve(s).auc:.3f} on {s}" for s in TEST_SETS)
        for name, by_seed in distances.items()
    }
    show.figure(
        plots.lines,
        plot_data.roc({name: by_seed[0] for name, by_seed in distances.items()}),
        f"AUC of seed 0: {'; '.join(f'{name} {auc}' for name, auc in aucs.items())}. ROC curves: the share of "
        "positive pairs that are accepted (classified as positive) against that of negative pairs.",
        x="negative pairs accepted",
        y="positive pairs accepted",
        diagonal=True,
    )


def histograms(
    distances: Mapping[str, tuple[np.ndarray, np.ndarray]],
    caption: str,
    live: dict[str, Any] | None = None,
    **thresholds: float,
) -> None:
    """Show histograms of the distances of positive and negative pairs.

    Args:
        distances: Subplot -> distances (pairs,), and whether each pair is negative (pairs,).
        caption: The caption.
        live: The data of the interactive figure.
        thresholds: Thresholds to mark besides 0.5, by name; underscores become spaces.
    """
    lines = {name.replace("_", " "): value for name, value in thresholds.items()}
    show.figure(
        plots.histograms,
        plot_data.histogram(distances),
        caption,
        live=live,
        thresholds={"0.5": 0.5} | lines,
        x="distance D",
    )


def thresholds(live: dict[str, Any]) -> None:
    """Show the accuracy on all pairs by threshold.

    Args:
        live: As `interactive_figures.thresholds` returns it.
    """
    options = {"x": "threshold / margin", "y": "accuracy (%)", "at": 0.5}
    frame = interactive_figures.accuracy_curves(live)
    at_half = frame[np.isclose(frame["x"], 0.5)].groupby("series", sort=False)["y"].first()
    caption = (
        f"With the threshold at half the margin, accuracy is {_list_values(at_half)}. All pairs of the ten classes; "
        "means over the seeds."
    )
    live = live | {"task": interactive_figures.TASK}
    show.figure(plots.lines, frame, caption, live=live, **options)


def maps(
    coordinates: Mapping[str, np.ndarray], rows: np.ndarray, dataset: Dataset, caption: str
) -> None:
    """Show maps of embeddings, with some images drawn.

    Args:
        coordinates: Subplot -> (images, 2) positions.
        rows: (images,) positions of the images in the data set.
        dataset: The data set.
        caption: The caption.
    """
    frame = plot_data.maps(coordinates, rows, dataset)
    show.figure(plots.embedding_maps, frame, caption, pictures=dataset.images[rows])


def reliability(distances: Mapping[str, Sequence[PairDistances]], dataset: Dataset) -> None:
    """Show the reliability diagram of D / m, read as the probability of a negative pair.

    All pairs of seed 0 are counted. Networks without a margin are left out.
    """
    curves = {}
    for name, by_seed in distances.items():
        if by_seed[0].margin is not None:
            for pair_set, classes in dataset.classes_of.items():
                diagram = by_seed[0].curve(classes).reliability(by_seed[0].margin)
                curves[pair_set, name] = diagram.stated, diagram.observed
    if curves:
        show.figure(
            plots.lines,
            plot_data.points(curves),
            "The observed share of negative pairs against D / m, in ten bins (all pairs, seed 0). Calibrated "
            "predictions would lie on the diagonal.",
            x="D / m, at most 1",
            diagonal=True,
        )


def probabilities(tests: Mapping[tuple[str, str], Sequence[CalibrationTest]]) -> None:
    """Show the reliability diagram of calibrated probabilities of a positive pair.

    Args:
        tests: (subplot, series) -> one test for each seed, of which seed 0 is shown.
    """
    show.figure(
        plots.lines,
        plot_data.points({names: by_seed[0].reliability() for names, by_seed in tests.items()}),
        "The observed share of positive pairs against the predicted probability, in ten bins (all pairs, seed 0). "
        "Calibrated predictions would lie on the diagonal.",
        x="predicted probability",
        diagonal=True,
    )


def accuracy(
    sampled: pd.DataFrame, configs: Mapping[str, TrainingConfig], dataset: Dataset
) -> pd.DataFrame:
    """Show the accuracies of networks in the form of the study's tables, and compare the two.

    Args:
        sampled: Metrics on the study's pairs: a row for each network, columns (set, metric).
        configs: The config of each network.
        dataset: The data set.

    Returns:
        The comparison with the study, as `tables.compare_with_study` returns it, with a level
        `network`; empty if the study has no values.
    """
    published = {
        name: published_results.published_accuracy(config, dataset)
        for name, config in configs.items()
    }
    for name, config in configs.items():
        of_2019 = published_results.find_table(config, dataset)
        caption = f"{name}: accuracy at threshold 0.5, in %, on the study's pairs"
        if len(of_2019):
            number = of_2019["table"].iloc[0].replace("Table 3", "Tables 3 and 4, which are equal")
            caption += f", in the form of the study's {number}"
        show.table(
            tables.study_form(
                sampled.loc[name],
                of_2019,
                reference.accuracies(reference.records_of(config, dataset)),
            ),
            f"{caption}.",
        )
    rows = {
        name: tables.accuracy(sampled.loc[name], config.margin) for name, config in configs.items()
    }
    show.table(
        pd.concat(rows, names=["network"]),
        "Accuracy in % at each threshold, and AUC, on the study's pairs.",
        save="thresholds-of-networks",
    )
    compared = {
        name: tables.compare_with_study(
            sampled.loc[name],
            values,
            published_results.published_training_accuracy(configs[name], dataset),
        )
        for name, values in published.items()
        if values
    }
    if not compared:
        return pd.DataFrame()
    table = pd.concat(compared, names=["network"])
    shown = table.rename(columns={"inside": "2019 in interval"})
    ends = [
        "–" if row.inside == "one seed" else f"{row.low:.2f} to {row.high:.2f}"
        for row in table.itertuples()
    ]
    shown = shown.drop(columns=["low", "high"]).assign(**{"prediction interval": ends})
    shown["2019"] = shown["2019"].map("{:.2f}".format)
    show.table(
        shown[["2019", "ours", "prediction interval", "2019 in interval"]],
        "Accuracy in %, 2019 and ours, and the 95 % prediction interval for one more run. The study trained "
        "a network for each test set; we train one per seed for all. The intervals ignore that accuracy cannot exceed 100 %.",
    )
    means = [value.interval.mean for value in table["ours"]]
    saved = table.drop(columns="ours").assign(mean=means).reset_index()
    names = {n: f"{config.model}, m = {config.margin:g}" for n, config in configs.items()}
    saved["network"] = saved["network"].replace(names)
    results.add(saved, "replication", replace_by="network")
    return table


def study_tables(sampled: pd.Series, plan: StudyPlan) -> None:
    """Show the study's Tables 2, 3 and 5 with our values, as one table.

    Args:
        sampled: Metrics on the study's pairs, (network, set, metric) -> value.
        plan: The plan of the study's networks.
    """
    forms = {}
    for row in published_results.TEST_ACCURACY.itertuples():
        config = plan.config(model=row.model, margin=row.margin)
        name = f"{row.model}, m = {row.margin:g}"
        records = reference.records_of(config, plan.images)
        forms[name] = tables.study_form(
            sampled[name],
            published_results.find_table(config, plan.images),
            reference.accuracies(records),
        )
    columns = max(forms.values(), key=lambda form: form.shape[1]).columns
    show.table(
        pd.concat(forms, names=["network"])[columns],
        "The study's Tables 2, 3 and 5: accuracy in % at threshold 0.5, on the study's pairs.",
    )


def metrics_table(metrics: pd.Series, name: str) -> None:
    """Show the metrics of an encoder on all pairs: a row for each metric, a column for each set.

    Args:
        metrics: (set, metric) -> value; a metric that is NaN for every seed is left out.
        name: The encoder's name in the caption.
    """
    measured = metrics[[not np.isnan(metric.values).all() for metric in metrics]]
    show.table(
        measured.unstack("set", sort=False),
        f"All metrics of the {name}, on all pairs. AUC and average precision range from 0 to 1; all others are in %. At margin 1, "
        "0.5 is m/2. An interval may reach beyond the range of its metric, such as below 0; such values are impossible.",
    )


def worst_pairs(distances: Sequence[PairDistances], dataset: Dataset, name: str) -> None:
    """Show the pairs of unseen classes with the worst distances of seed 0.

    Args:
        distances: The encoder's pair distances, one for each seed.
        dataset: The data set.
        name: The encoder's name in the caption.
    """
    sampled = pair_distances.sample_test_pairs(dataset, dataset.split(0), 0)["unseen"]
    distance, different = distances[0].labelled_distances("unseen")
    show.pairs(
        dataset,
        sampled,
        tables.worst_pairs(distance, different),
        f"Pairs of unseen classes on which the {name} of seed 0 is most wrong. Above: positive pairs with the largest "
        "distances. Below: negative pairs with the smallest.",
        distance,
    )


def sampled_sets(distances: Sequence[PairDistances]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the distances and labels of seed 0's pairs of each test set, for `histograms`."""
    return {pair_set: distances[0].labelled_distances(pair_set) for pair_set in TEST_SETS}


def _list_values(accuracies: pd.Series) -> str:
    """Return accuracies in % as text: "82.2 % (complex, m = 1) and 81.9 % (complex, m = 5)"."""
    return " and ".join(f"{value:.1f} % ({name})" for name, value in accuracies.items())
