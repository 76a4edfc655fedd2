from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from siamese_utils.evaluation import class_splits, metrics, new_classes
from siamese_utils.training import new_class_networks, pair_training, trainer
from siamese_utils.training.small_encoder import SmallEncoderConfig

SPLIT = SmallEncoderConfig(
    dataset="digits", images_per_class=60, seen=(0, 1, 2, 3, 4, 5), seed=1, steps=2
)


def auc_of_pairs(embeddings, labels):
    """The AUC of scikit-learn; pairs of each two classes have the same weight together."""
    above = np.triu_indices(len(labels), 1)
    distance = np.linalg.norm(embeddings[above[0]] - embeddings[above[1]], axis=1)
    different = labels[above[0]] != labels[above[1]]
    classes = np.sort(np.stack([labels[i] for i in above]), axis=0)
    _, kind, size = np.unique(classes, axis=1, return_inverse=True, return_counts=True)
    return roc_auc_score(different, distance, sample_weight=1 / size[kind.ravel()])


def embed(config, trained=True):
    """Embeddings of the images that are tested, and their labels."""
    dataset, rows = SPLIT.load_data(), new_classes.test_rows(SPLIT)
    shape = dataset.images.shape[1:]
    if trained:
        encoder = trainer.rebuild_encoder(config.resolve(), trainer.train(config), shape)
    else:
        encoder = pair_training.build_untrained_encoder(config.model, config.seed, shape)
    return trainer.embed(encoder, dataset.images[rows]), dataset.labels[rows]


@pytest.fixture(scope="module")
def outcomes(module_store):
    return class_splits.outcomes([SPLIT], epochs=1).set_index("method")


@pytest.mark.parametrize(
    ("method", "trained", "fields"),
    [("untrained base model", False, {}), ("complex model, margin 5", True, {"margin": 5.0})],
)
def test_outcomes_agree_with_scikit_learn(outcomes, method, trained, fields):
    model = "complex" if trained else "base"
    config = new_class_networks.study_network(SPLIT, 1, model=model, **fields)
    embeddings, labels = embed(config, trained)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    for distance, vectors in (("Euclidean", embeddings), ("cosine", unit)):
        row = outcomes.loc[f"{method}, {distance}"]
        for metric, new in (("AUC, new classes", True), ("AUC, old classes", False)):
            used = (labels >= 6) == new
            expected = auc_of_pairs(vectors[used], labels[used])
            assert row[metric] == pytest.approx(expected, abs=2e-3)


def test_outcomes_have_the_baselines_of_the_new_classes_page(outcomes):
    assert set(outcomes["split"]) == {"6, 7, 8, 9"}
    for name in class_splits.BASELINES:
        expected = new_classes.evaluate(SPLIT, new_classes.METHODS[name], name)
        assert outcomes.loc[name, "AUC, new classes"] == expected["AUC, new classes"]
    assert len(outcomes) == len(class_splits.BASELINES) + 2 * 4


def test_durations_start_untrained_and_end_like_the_outcomes(outcomes):
    table = class_splits.by_duration([SPLIT], [2], [1]).set_index(["after", "distance"])
    assert table["steps"].iloc[[0, 2]].tolist() == [0, 2]
    assert table["steps"].iloc[4] > 2
    aucs = table["AUC, old classes"].xs("Euclidean", level="distance")
    assert aucs.nunique() == 3  # two steps are neither none nor an epoch
    for after, method in (("not trained", "untrained base model"), ("1 epoch", "base model")):
        for distance in class_splits.DISTANCES:
            row = outcomes.loc[f"{method}, {distance}"]
            found = table.loc[(after, distance)]
            assert found["AUC, new classes"] == row["AUC, new classes"]
            assert found["AUC, old classes"] == row["AUC, old classes"]


@pytest.mark.slow
def test_the_rule_uses_training_images_of_classes_that_were_left_out(outcomes):
    table = class_splits.left_out_auc([SPLIT], [1])
    assert table["epochs"].tolist() == [0, 1, 0, 1]
    dataset = SPLIT.load_data()
    train = dataset.split(SPLIT.seed).train
    start = replace(SPLIT, seen=(0, 2, 4))
    config = new_class_networks.study_network(start, 1)
    encoder = trainer.rebuild_encoder(
        config.resolve(), trainer.train(config), dataset.images.shape[1:]
    )
    rows = train[np.isin(dataset.labels[train], (1, 3, 5))]
    expected = auc_of_pairs(trainer.embed(encoder, dataset.images[rows]), dataset.labels[rows])
    assert table.loc[1, "AUC"] == pytest.approx(expected, abs=2e-3)


def test_the_chosen_number_of_epochs_by_hand():
    rows = [
        ("b", half, n, auc)
        for half, aucs in ((0, (0.5, 0.9)), (1, (0.8, 0.3)))
        for n, auc in zip((0, 5), aucs, strict=True)
    ]
    rows += [("a", half, n, auc) for half in (0, 1) for n, auc in ((0, 0.6), (5, 0.7))]
    table = pd.DataFrame(rows, columns=["split", "half", "epochs", "AUC"])
    # b: means of 0.65 and 0.6; a: 0.6 and 0.7
    assert class_splits.choose_epochs(table).to_dict() == {"b": 0, "a": 5}


def test_auc_differences_by_hand():
    aucs = {"network": [0.7, 0.8, 0.9], "raw pixels": [0.6, 0.85, 0.8]}
    table = metrics.auc_differences(pd.DataFrame(aucs), "network", "network", "splits")
    difference = table.loc["raw pixels", "network minus method"]
    assert difference.values == pytest.approx([0.1, -0.05, 0.1])
    assert table.loc["raw pixels", "splits ahead"] == 2
    assert table.index.tolist() == ["raw pixels"]
    # mean 0.05, standard deviation sqrt(0.0075): t = 1 with 2 degrees of freedom
    assert table.loc["raw pixels", "p (Holm)"] == pytest.approx(0.42, abs=0.005)
