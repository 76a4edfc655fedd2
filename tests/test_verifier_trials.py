import numpy as np
import pytest

from siamese_utils.data.pairs import sample_pairs
from siamese_utils.evaluation import verifier_trials
from siamese_utils.verifier import SiameseVerifier


@pytest.fixture
def verifiers():
    return [SiameseVerifier("raw pixels", seed=seed) for seed in range(2)]


def test_what_is_learned_tested_and_asked_is_apart(digits):
    for seed in range(2):
        taught, fresh, asked = verifier_trials.image_rows(digits, seed, 300)
        assert np.bincount(digits.labels[taught])[list(digits.seen)].tolist() == [50] * 6
        assert len(taught) == 300
        assert set(taught) <= set(digits.split(seed).train)
        assert np.bincount(digits.labels[asked])[list(digits.unseen)].tolist() == [13] * 4
        assert len({*taught, *fresh, *asked}) == len(taught) + len(fresh) + len(asked)
        assert set(digits.labels[fresh]) == set(digits.classes)


def test_no_more_images_than_there_are(digits):
    most = verifier_trials.max_training_images(digits)
    taught, *_ = verifier_trials.image_rows(digits, 0, most)
    assert len(taught) == most
    assert len(verifier_trials.image_rows(digits, 0, most + 60)[0]) < most + 60


def test_a_trial_is_that_of_a_verifier_fitted_by_hand(digits, store, verifiers):
    found = verifier_trials.run_trials(verifiers, digits, 240)
    taught, fresh, _ = verifier_trials.image_rows(digits, 1, 240)
    judge = SiameseVerifier("raw pixels", seed=1).fit(digits.images[taught], digits.labels[taught])
    unseen = fresh[np.isin(digits.labels[fresh], digits.unseen)]
    told = judge.evaluate(digits.images[unseen], digits.labels[unseen])
    scores = found["unseen"][1].scores()
    for name in ("log-loss", "Brier", "confidence", "accuracy"):
        assert scores[name] == pytest.approx(told[name], abs=5e-3)
    assert found["seen"][1].probability == found["unseen"][1].probability == judge.probability_
    asked = sample_pairs(
        verifier_trials.image_rows(digits, 1, 240)[2], digits.labels, np.random.default_rng(1)
    )
    assert verifier_trials.num_recalibration_pairs(digits) == len(asked)
    assert found[verifier_trials.RECALIBRATED][1].probability != judge.probability_
    assert not hasattr(verifiers[0], "probability_")  # what was given stays unfitted


def test_a_trial_is_done_once(digits, store, verifiers, monkeypatch):
    first = verifier_trials.run_trials(verifiers, digits, 240)
    monkeypatch.setattr(verifier_trials, "_run_trial", lambda *_: pytest.fail("done again"))
    again = verifier_trials.run_trials(verifiers, digits, 240)
    for pairs, of in first.items():
        assert [one.scores() for one in again[pairs]] == [one.scores() for one in of]
