from dataclasses import replace

import numpy as np
import pytest
from sklearn.neighbors import NearestCentroid

from siamese_utils.evaluation import few_shot


@pytest.fixture
def cloud():
    rng = np.random.default_rng(0)
    labels = np.repeat([2, 5, 7, 9], 40)
    return rng.normal(size=(160, 6)) + labels[:, np.newaxis] / 3, labels


def test_an_episode_is_that_of_scikit_learn(cloud):
    embeddings, labels = cloud
    [found] = few_shot.episode_accuracies(embeddings, labels, 5, 1, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    drawn = [rng.choice(np.flatnonzero(labels == c), 20, replace=False) for c in (2, 5, 7, 9)]
    examples = np.concatenate([rows[:5] for rows in drawn])
    asked = np.concatenate([rows[5:] for rows in drawn])
    judge = NearestCentroid().fit(embeddings[examples], labels[examples])
    assert found == pytest.approx(np.mean(judge.predict(embeddings[asked]) == labels[asked]))


def test_more_shots_help_and_noise_is_chance(cloud):
    embeddings, labels = cloud
    means = [
        few_shot.episode_accuracies(embeddings, labels, n, 200, np.random.default_rng(0)).mean()
        for n in (1, 5)
    ]
    assert means[0] < means[1]
    noise = np.random.default_rng(1).normal(size=embeddings.shape)
    found = few_shot.episode_accuracies(noise, labels, 1, 400, np.random.default_rng(0))
    assert found.mean() == pytest.approx(0.25, abs=0.03)


def test_too_few_images_are_refused(cloud):
    with pytest.raises(ValueError, match="needs 45 images"):
        few_shot.episode_accuracies(*cloud, 30, 1, np.random.default_rng(0))


def test_groups_are_measured_by_themselves():
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1], 100)
    groups = np.repeat([0, 1], 100)
    # the classes of the first group lie apart, those of the second are the same
    embeddings = np.where(groups == 0, labels, 0)[:, np.newaxis] + 0.01 * rng.random((200, 1))
    found = few_shot.group_accuracies(embeddings, labels, groups, 1, 100, rng)
    assert found[0] == 1
    assert found[1] == pytest.approx(0.5, abs=0.1)


@pytest.fixture
def stubs(digits, monkeypatch):
    """Trained encoders and ensembles that know all digits, and an untrained one that is blind."""
    labels = digits.labels
    by_label = [np.eye(10)[labels] + noise for noise in (0.0, 0.1)]  # seeds of one that knows all
    monkeypatch.setattr(few_shot, "of_trained", lambda run, _, rows: by_label[run][rows])
    blind = np.random.default_rng(0).normal(size=(len(labels), 3))
    monkeypatch.setattr(few_shot, "of_untrained", lambda _, seed, __, rows: blind[rows])
    monkeypatch.setattr(few_shot, "NUM_EPISODES", 80)
    monkeypatch.setattr(
        few_shot.unseen_classes, "embeddings", lambda of_seed, _, rows: by_label[of_seed][rows]
    )
    return by_label


def test_encoders_name_unseen_classes_from_few_examples(digits, stubs):
    found = few_shot.accuracies({"knows": [0, 1]}, [0, 1], digits)
    assert found.loc["ensemble", "1-shot"].values.tolist() == [100, 100]
    assert found.loc["knows", "1-shot"].values.tolist() == [100, 100]
    assert found.loc["untrained base model", "1-shot"].interval.mean == pytest.approx(25, abs=4)
    # digits may not be named by what was pretrained on them
    assert list(found.index) == [
        "knows",
        "ensemble",
        "the same, no network",
        "untrained base model",
        "raw pixels",
    ]
    pixels = found.loc["raw pixels"]
    assert 25 < pixels["1-shot"].interval.mean < pixels["5-shot"].interval.mean < 100
    # 174 images of the smallest class make eight groups with enough for an episode
    assert pixels["5-shot"].groups.shape == (2, 8)
    assert pixels["5-shot"].values == pytest.approx(pixels["5-shot"].groups.mean(axis=1))
    assert (pixels["5-shot"].unit, found.columns.tolist()) == ("%", ["1-shot", "5-shot"])


def test_images_other_than_digits_are_named_by_what_was_pretrained_on_digits(
    digits, stubs, monkeypatch
):
    asked = []

    def of_digit_encoder(seed, dataset, rows):
        asked.append((seed, dataset.name))
        return stubs[seed][rows]

    monkeypatch.setattr(few_shot, "of_digit_encoder", of_digit_encoder)
    found = few_shot.accuracies({"knows": [0, 1]}, [0, 1], replace(digits, name="other"))
    assert asked == [(0, "other"), (1, "other")]
    assert list(found.index[-3:]) == ["untrained base model", "pretrained on digits", "raw pixels"]
    assert found.loc["pretrained on digits", "1-shot"].values.tolist() == [100, 100]
