"""Study B measured: how well its encoders, and what learns from no pair, judge pairs of textures."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from siamese_utils.data import pairs
from siamese_utils.evaluation.intervals import Measurement, measurement
from siamese_utils.evaluation.metrics import THRESHOLD_RULES, unit_of
from siamese_utils.evaluation.roc_curve import RocCurve
from siamese_utils.training import cache, trainer, transfer
from siamese_utils.training.cache import Arrays
from siamese_utils.training.study_plan import StudyPlan
from siamese_utils.training.tasks import STUDY_THRESHOLD
from siamese_utils.training.transfer import TransferConfig

FROZEN, UNTRAINED, PIXELS = "pretrained, frozen", "untrained encoder", "raw pixels"
LINEAR = "linear classifier"
UNTRAINED_METHODS = (FROZEN, UNTRAINED, PIXELS)  # what learns from no pair


def metrics_table(plan: StudyPlan) -> pd.DataFrame:
    """Return the panels of a plan's transfers, and of what learns from no pair.

    Rows (encoder, pairs), columns figures. A transfer that is not in the store is trained. What
    learns from no pair has the same row for each number of pairs.
    """
    found: dict[tuple[str, int], list[Arrays]] = {}
    for (kind, number), steps in plan.transfers().items():
        for step in steps:
            of_encoder = found.setdefault((f"{step.start}, {kind}", number), [])
            of_encoder.append(trainer.train(step).distances)
    rows = {place: metrics(of_encoder) for place, of_encoder in found.items()}
    untaught = [untrained_distances(seed) for seed in range(plan.profile.transfer_seeds)]
    for name in UNTRAINED_METHODS:
        same = metrics([of_seed[name] for of_seed in untaught])
        rows |= {(name, number): same for number in plan.profile.pair_numbers}
    return pd.DataFrame(rows).T.rename_axis(index=["encoder", "pairs"], columns="figure")


def metrics(distances: Sequence[Arrays]) -> pd.Series:
    """Return figure -> Measured of judging the test pairs: one entry a seed, 0, 1, ...

    distances: of the validation and the test pairs of each seed. The threshold is tuned on the
    validation pairs.
    """
    rows = []
    for seed, found in enumerate(distances):
        step = TransferConfig(seed=seed)
        curves = {
            name: RocCurve.from_pairs(found[name], transfer.sample_pairs(step, name)[2].different)
            for name in transfer.PAIR_SETS[1:]
        }
        tuned = curves["validation"].best_threshold
        row = {THRESHOLD_RULES["0.5"]: 100 * curves["test"].accuracy(STUDY_THRESHOLD)}
        row |= {
            THRESHOLD_RULES["tuned"]: 100 * curves["test"].accuracy(tuned),
            "AUC": curves["test"].auc,
        }
        rows.append(row)
    return pd.Series({f: measurement([row[f] for row in rows], unit_of(f)) for f in rows[0]})


def auc_differences(auc: pd.Series) -> pd.DataFrame:
    """Return the AUC of the pretrained encoder after its transfer minus that of others, by seed.

    auc: (encoder, pairs) -> Measured, as in `panels`. Rows (training, pairs), a column for each other.
    """
    rows = {}
    for name, number in auc.index:
        start, _, kind = name.partition(", ")
        if start == "scratch":
            ours = auc[f"pretrained, {kind}", number]
            rows[kind, number] = {"minus scratch": ours - auc[name, number]} | {
                f"minus {other}": ours - auc[other, number] for other in (PIXELS, UNTRAINED)
            }
    return pd.DataFrame(rows).T.rename_axis(["training", "pairs"])


def epochs_run(plan: StudyPlan) -> pd.DataFrame:
    """Return how the trainings on the study's number of pairs ended: rows (training, start).

    Columns: the epochs at most, those run (mean over seeds), and how many trainings ran them all.
    """
    rows = {}
    for (kind, number), steps in plan.transfers().items():
        for start in transfer.INITIALISATIONS if number == transfer.STUDY_PAIRS else ():
            runs = [trainer.train(step) for step in steps if step.start == start]
            lengths = [len(run.history["loss"]) for run in runs]
            limit = steps[0].epochs
            row = {"epochs at most": limit, "epochs run, mean": np.mean(lengths)}
            rows[kind, start] = row | {"cut off": lengths.count(limit)}
    return pd.DataFrame(rows).T.rename_axis(["training", "start"])


def by_contrast(plan: StudyPlan) -> pd.DataFrame:
    """Return what fainter rectangles make of the trainings: a row for each contrast.

    Columns: the accuracy in % of a linear classifier, which learns the labels of as many images,
    the AUC on test pairs after each start, and the pretrained ones minus the one from scratch.
    """
    rows: dict[float, dict[str, Measurement]] = {}
    for (contrast, start), steps in plan.transfers_by_contrast().items():
        row = rows.setdefault(contrast, {})
        row[LINEAR] = measurement([100 * _linear_accuracy(step) for step in steps], "%")
        # which pairs differ does not hang on the contrast
        row[f"AUC, {start}"] = metrics([trainer.train(step).distances for step in steps])["AUC"]
    found = pd.DataFrame(rows).T.rename_axis("contrast")
    for start in found.columns.drop([LINEAR, "AUC, scratch"]):
        found[f"{start.removeprefix('AUC, ')} minus scratch"] = found[start] - found["AUC, scratch"]
    return found


def _linear_accuracy(step: TransferConfig) -> float:
    """Return the accuracy, 0..1, with which a linear classifier names test images from pixels."""
    from sklearn.linear_model import LogisticRegression

    sets = (transfer.sample_pairs(step, name)[:2] for name in ("train", "test"))
    taught, tested = ((images.reshape(len(images), -1), labels) for images, labels in sets)
    return float(LogisticRegression(max_iter=1000).fit(*taught).score(*tested))


def untrained_distances(seed: int) -> dict[str, Arrays]:
    """Return the distances of a seed's pairs by what learns from no pair: name -> set -> (pairs,)."""
    return {
        FROZEN: _before_training(TransferConfig(start="pretrained", seed=seed)),
        UNTRAINED: _before_training(TransferConfig(start="scratch", seed=seed)),
        PIXELS: _of_pixels(TransferConfig(seed=seed)),
    }


def _before_training(step: TransferConfig) -> Arrays:
    """Return the distances by the encoder that a transfer begins with, from the store if there."""
    pretrained = step.start == "pretrained"
    weights = trainer.train(step.pretraining).digest if pretrained else None
    return cache.cached(
        {"before training": step.start, "seed": step.seed, "weights": weights},
        ["training.transfer.build_encoder", "training.transfer.measure_distances"],
        lambda: transfer.measure_distances(transfer.build_encoder(step), step),
    )


def _of_pixels(step: TransferConfig) -> Arrays:
    found = {}
    for name in transfer.PAIR_SETS[1:]:
        images, _, drawn = transfer.sample_pairs(step, name)
        found[name] = pairs.distances(images.reshape(len(images), -1), drawn)
    return found
