"""The figures and tables that several pages show, each drawn in one way."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from siamese_utils.data.dataset import TEST_SETS, Dataset
from siamese_utils.evaluation import pair_distances
from siamese_utils.evaluation.calibration import CalibrationTest
from siamese_utils.evaluation.pair_distances import PairDistances
from siamese_utils.reporting import (
    embedding_plots,
    interactive_figures,
    plot_data,
    plots,
    published_results,
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
    """Show how a network judges two pairs, as `embeddings.typical_pairs` returns them."""
    answers = {"same": "the same kind", "different": "different kinds"}
    pairs = {kind: pairs[kind] for kind in answers if kind in pairs}  # the same pair first
    shown = {
        answers[kind]: dict(of, images=dataset.images[of["rows"]]) for kind, of in pairs.items()
    }
    names = {kind: dataset.names_of(dataset.labels[list(of["rows"])]) for kind, of in pairs.items()}
    told = [f"{' and '.join(names[k])}: distance {of['distance']:.2f}" for k, of in pairs.items()]
    alt = "Each image goes through the encoder, which makes a row of numbers of it. "
    show.figure(plots.two_towers, shown, caption, alt=f"{alt}{'; '.join(told)}.")


def learning_curves(runs: Mapping[str, Sequence[TrainingResult]], caption: str) -> None:
    """Show the measures of the first run's task against the epoch, in training and validation."""
    task = TASKS[pair_training.config_of(next(iter(runs.values()))[0]).task]
    frame = plot_data.learning_curves(runs, task.curves)
    show.figure(plots.lines, frame, f"{caption} Thin lines: single seeds.", x="epoch")


def roc(found: Mapping[str, Sequence[PairDistances]]) -> None:
    """Show the ROC curves of seed 0 on the study's pairs, one for each encoder and test set."""
    show.figure(
        plots.lines,
        plot_data.roc({name: of[0] for name, of in found.items()}),
        "ROC curves, seed 0: the share of different pairs called different, against that of same pairs.",
        x="same pairs called different",
        diagonal=True,
    )


def histograms(
    judged: Mapping[str, tuple[np.ndarray, np.ndarray]],
    caption: str,
    live: dict[str, Any] | None = None,
    **thresholds: float,
) -> None:
    """Show the distances of same and different pairs, subplot by subplot, and thresholds by name."""
    lines = {name.replace("_", " "): value for name, value in thresholds.items()}
    show.figure(
        plots.histograms,
        plot_data.histogram(judged),
        caption,
        live=live,
        thresholds={"0.5": 0.5} | lines,
        x="distance D",
    )


def thresholds(told: dict[str, Any]) -> None:
    """Show the accuracy on all pairs of all classes against the threshold; told: by `interactive_figures.thresholds`."""
    caption = "Thresholds, and the accuracy that they give; means over the seeds."
    options = {"x": "threshold / margin", "y": "accuracy (%)", "at": 0.5}
    task = {"task": interactive_figures.TASK}
    show.figure(
        plots.lines, interactive_figures.accuracy_curves(told), caption, live=told | task, **options
    )


def maps(flat: Mapping[str, np.ndarray], rows: np.ndarray, dataset: Dataset, caption: str) -> None:
    """Show maps of the images at `rows`, some as pictures: name -> (rows, 2)."""
    frame = embedding_plots.maps(flat, rows, dataset)
    show.figure(plots.embedding_maps, frame, caption, pictures=dataset.images[rows])


def reliability(found: Mapping[str, Sequence[PairDistances]], dataset: Dataset) -> None:
    """Show whether D / m is the probability that a pair is different: all pairs, seed 0.

    Networks whose distances are not compared with a margin are left out.
    """
    stated = {
        (pair_set, name): of[0].curve(classes).reliability(of[0].margin)
        for name, of in found.items()
        if of[0].margin is not None
        for pair_set, classes in dataset.classes_of.items()
    }
    if not stated:
        return
    show.figure(
        plots.lines,
        plot_data.points({names: (r.stated, r.observed) for names, r in stated.items()}),
        "The share of different pairs, observed against stated, in ten bins; all pairs, seed 0.",
        x="stated: D / m, at most 1",
        diagonal=True,
    )


def probabilities(judged: Mapping[tuple[str, str], Sequence[CalibrationTest]]) -> None:
    """Show whether the stated probability is that of a same pair: all pairs, seed 0.

    judged: (subplot, series) -> one for each seed.
    """
    curves = {names: of[0].reliability() for names, of in judged.items()}
    show.figure(
        plots.lines,
        plot_data.points(curves),
        "The share of same pairs, observed against stated, in ten bins; all pairs, seed 0.",
        x="stated probability",
        diagonal=True,
    )


def accuracy(
    drawn: pd.DataFrame, experiments: Mapping[str, TrainingConfig], dataset: Dataset
) -> pd.DataFrame:
    """Show the study's table of each encoder, and ours minus the study's; return the latter.

    drawn: their panels from the study's pairs. What is returned is empty where the study has no
    figures.
    """
    published = {
        name: published_results.published_accuracy(one, dataset)
        for name, one in experiments.items()
    }
    rows = {
        name: tables.accuracy(drawn.loc[name], one.margin, published[name])
        for name, one in experiments.items()
    }
    caption = "Accuracy in %, and AUC, on pairs drawn as in the study."
    caption += " Of 2019 train has three runs." * any(map(bool, published.values()))
    show.table(pd.concat(rows, names=["network"]), caption)
    gaps = {
        name: tables.differences_from_study(drawn.loc[name], of)
        for name, of in published.items()
        if of
    }
    if not gaps:
        return pd.DataFrame()
    found = pd.concat(gaps, names=["network"])
    show.table(
        found, "Accuracy in % at threshold 0.5, and whether our mean is near the study's run."
    )
    results.add(found[["ours minus 2019"]].rename_axis("figure", axis="columns"), "gaps")
    return found


def study_tables(drawn: pd.Series, plan: StudyPlan) -> None:
    """Show each table of the study with ours in it.

    drawn: the panels of its networks from the study's pairs, (network, set, figure) -> figure.
    """
    for row in published_results.TEST_ACCURACY.itertuples():
        network = plan.config(model=row.model, margin=row.margin)
        own = drawn[f"{row.model}, m = {row.margin:g}"]
        caption = (
            f"{row.table} of the study: the {row.model} model with margin {row.margin:g}, in %."
        )
        published = published_results.published_accuracy(network, plan.images)
        show.table(tables.accuracy(own, row.margin, published), caption)


def metrics_table(figures: pd.Series, name: str) -> None:
    """Show the panel of an encoder, from all pairs: a row for each figure, a column for each set."""
    known = figures[[not np.isnan(figure.whole).all() for figure in figures]]
    show.table(
        known.unstack("set", sort=False),
        f"The panel of the {name}. AUC and average precision 0 to 1, all else in %.",
    )


def worst_pairs(found: Sequence[PairDistances], dataset: Dataset, name: str) -> None:
    """Show the pairs of unseen classes that an encoder of seed 0 judges worst."""
    drawn = pair_distances.sample_test_pairs(dataset, dataset.split(0), 0)["unseen"]
    distance, different = found[0].labelled_distances("unseen")
    show.pairs(
        dataset,
        drawn,
        tables.worst_pairs(distance, different),
        f"The unseen pairs that the {name} of seed 0 judges worst. Above: one class, farthest apart. "
        "Below: two classes, nearest.",
        distance,
    )


def sampled_sets(found: Sequence[PairDistances]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the distances and labels of seed 0's pairs of each test set, for `histograms`."""
    return {pair_set: found[0].labelled_distances(pair_set) for pair_set in TEST_SETS}
