from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, roc_auc_score

from siamese_utils.evaluation import class_splits, metrics, pair_distances
from siamese_utils.training import pair_training, trainer
from siamese_utils.training.pair_training import TrainingConfig

SHORT = TrainingConfig(dataset="digits", epochs=1, precision="float32", images_per_class=60)


def make_outcomes(own, others, pixels=0.5):
    """Outcomes with these values of every metric: of the study's class split, then of others."""
    values = np.array([*own, *others], dtype=float)
    table = pd.DataFrame({metric: values for metric in class_splits.METRICS})
    table[class_splits.UNSEEN_CLASSES] = [f"choice {i}" for i in range(len(values))]
    table[class_splits.IS_STUDY_SPLIT] = np.arange(len(values)) < len(own)
    table[class_splits.PIXELS_AUC] = pixels
    return table


def test_outcomes_agree_with_scikit_learn(store):
    results = [trainer.train(replace(SHORT, seen=seen)) for seen in (None, (0, 1, 2, 3, 4, 5))]
    outcomes = class_splits.outcomes(results)
    assert outcomes[class_splits.IS_STUDY_SPLIT].tolist() == [True, False]
    assert outcomes[class_splits.UNSEEN_CLASSES].tolist() == ["3, 6, 7, 8", "6, 7, 8, 9"]
    [measured] = pair_distances.of_trained([results[1]])
    distance, different = measured.labelled_distances("unseen")
    row = outcomes.iloc[1]
    assert row["AUC, unseen"] == pytest.approx(roc_auc_score(different, distance))
    expected = 100 * accuracy_score(different, distance > 0.5)
    assert row["accuracy, unseen"] == pytest.approx(expected)
    # raw pixels by cosine, on the same pairs
    dataset = pair_training.config_of(results[1]).load_data()
    sampled = pair_distances.sample_test_pairs(dataset, dataset.split(0), 0)["unseen"]
    flat = dataset.images.reshape(len(dataset.images), -1) / 255
    flat = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    cosine = np.sum(flat[sampled.first] * flat[sampled.second], axis=1)
    assert row[class_splits.PIXELS_AUC] == pytest.approx(
        roc_auc_score(sampled.different, -cosine), abs=1e-4
    )


def test_a_fully_trained_network_is_compared_with_methods_without_training(store):
    result = trainer.train(replace(SHORT, seen=(0, 1, 2, 3, 4, 5), seed=1))
    [(name, row)] = class_splits.fully_trained([result]).iterrows()
    assert name == "6, 7, 8, 9"
    [measured] = pair_distances.of_trained([result])
    assert row[class_splits.TRAINED] == measured.curve((6, 7, 8, 9)).auc
    dataset = pair_training.config_of(result).load_data()
    tested = dataset.split(1).unseen
    flat = dataset.images[tested].reshape(len(tested), -1) / 255
    flat = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    labels = dataset.labels[tested]
    different = labels[:, np.newaxis] != labels
    above = np.triu_indices(len(tested), 1)
    classes = np.sort(np.stack([labels[i] for i in above]), axis=0)
    _, kind, size = np.unique(classes, axis=1, return_inverse=True, return_counts=True)
    expected = roc_auc_score(
        different[above], -(flat @ flat.T)[above], sample_weight=1 / size[kind.ravel()]
    )
    assert row["raw pixels"] == pytest.approx(expected, abs=2e-3)


def test_auc_differences_by_hand():
    aucs = {class_splits.TRAINED: [0.7, 0.8, 0.9], "raw pixels": [0.6, 0.85, 0.8]}
    table = metrics.auc_differences(pd.DataFrame(aucs), class_splits.TRAINED, "trained", "splits")
    difference = table.loc["raw pixels", "trained minus it"]
    assert difference.values == pytest.approx([0.1, -0.05, 0.1])
    assert table.loc["raw pixels", "splits ahead"] == 2
    assert table.index.tolist() == ["raw pixels"]


def test_the_summary_of_class_splits_by_hand():
    table = class_splits.summarise(make_outcomes(own=[60, 62], others=[50, 61, 61.5, 70]))
    row = table.loc["accuracy, unseen"]
    assert row["study's split"].values.tolist() == [60, 62]
    assert row["other splits"].values.tolist() == [50, 61, 61.5, 70]
    assert (row["lowest of them"].mean, row["highest"].mean) == (50, 70)
    assert row["below the study's"] == 1  # below the mean of 61
    assert table.index.tolist() == list(class_splits.METRICS)
    assert [table.loc[m, "highest"].unit for m in ("accuracy, seen", "AUC, seen")] == ["%", ""]


def test_standard_deviations_by_hand():
    row = class_splits.standard_deviations(make_outcomes(own=[60, 62], others=[50, 60, 70])).loc[
        "accuracy, all"
    ]
    # (60, 62): standard deviation sqrt(2); (50, 60, 70): 10
    assert row["SD of seeds"].mean == pytest.approx(np.sqrt(2))
    assert row["SD of splits"].mean == pytest.approx(10)
    assert (row["SD of seeds"].unit, row["SD of seeds"].has_ends) == ("points", False)
    assert row["ratio"] == pytest.approx(10 / np.sqrt(2))
    assert row["at least"] < row["ratio"] < row["at most"]


def test_the_ratio_of_two_standard_deviations_has_fishers_interval():
    first, second = np.random.default_rng(0).normal(size=(2, 8)) * [[3], [1]]
    ratio, low, high = class_splits.ratio_of_standard_deviations(first, second[:5])
    assert ratio == pytest.approx(np.std(first, ddof=1) / np.std(second[:5], ddof=1))
    # the ends are where the test of equal variances, at that ratio, is just refused
    for end, probability in ((low, 0.975), (high, 0.025)):
        assert stats.f.cdf((ratio / end) ** 2, 7, 4) == pytest.approx(probability)
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(1000):
        _, low, high = class_splits.ratio_of_standard_deviations(
            2 * rng.normal(size=8), rng.normal(size=5)
        )
        covered.append(low <= 2 <= high)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


def test_the_ranking_leaves_the_class_split_of_the_study_out():
    table = class_splits.ranking(make_outcomes(own=[99, 1], others=[61, 50, 62, 70]))
    assert table.index.tolist() == ["choice 3", "choice 2", "choice 4", "choice 5"]
    assert [auc.mean for auc in table["AUC, unseen"]] == [50, 61, 62, 70]


def test_pixels_are_compared_with_the_network_split_by_split():
    table = make_outcomes(own=[0.1, 0.1], others=[0.6, 0.7, 0.4, 0.9], pixels=0.65)
    lost, share, difference = class_splits.against_pixels(table)
    assert lost == 2
    # two of four: an exact interval (Clopper, Pearson 1934)
    low, high = stats.beta.ppf([0.025, 0.975], [2, 3], [3, 2])
    assert (share.mean, share.seeds, share.unit) == (50, 4, "%")
    assert (share.low, share.high) == pytest.approx((100 * low, 100 * high))
    assert difference.values.tolist() == pytest.approx([0.05, -0.05, 0.25, -0.25])
    assert difference.signed
