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
        assert np.bincount(digits.labels[asked])[list(digits.unseen)].tolist() == [50] * 4
        assert len({*taught, *fresh, *asked}) == len(taught) + len(fresh) + len(asked)
        assert set(digits.labels[fresh]) == set(digits.classes)


def test_few_images_are_recalibrated_with_fewer(digits):
    few = digits.sample(20)
    assert verifier_trials.recalibration_numbers(few) == [2, 4]
    assert verifier_trials.num_recalibration_images(few) == 4
    assert verifier_trials.num_recalibration_pairs(few) == 2 * 4 * 3
    *_, asked = verifier_trials.image_rows(few, 0, 12)
    assert np.bincount(few.labels[asked])[list(few.unseen)].tolist() == [4] * 4
    with pytest.raises(ValueError, match="needs 4 images of each unseen class, not 3"):
        verifier_trials.recalibration_numbers(digits.sample(3))


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
    assert found[verifier_trials.RECALIBRATED][1].probability != judge.probability_
    assert not hasattr(verifiers[0], "probability_")  # what was given stays unfitted


def test_recalibration_by_hand(digits, store, verifiers):
    found = verifier_trials.run_recalibrations(verifiers, digits, 240)
    assert list(found) == [0, 8, 24, 96, 392]  # of 2, 4, 13 and 50 images of each of four classes
    by_trial = verifier_trials.run_trials(verifiers, digits, 240)
    assert found[0][1].probability == by_trial["unseen"][1].probability
    assert found[96][1].probability == by_trial[verifier_trials.RECALIBRATED][1].probability
    taught, _, asked = verifier_trials.image_rows(digits, 1, 240)
    judge = SiameseVerifier("raw pixels", seed=1).fit(digits.images[taught], digits.labels[taught])
    four = np.concatenate([asked[digits.labels[asked] == c][:4] for c in digits.unseen])
    pairs = sample_pairs(four, digits.labels, np.random.default_rng(1))
    assert len(pairs) == 24
    judge.calibrate(digits.images[pairs.first], digits.images[pairs.second], pairs.different == 0)
    assert found[24][1].probability == judge.probability_


def test_a_trial_is_done_once(digits, store, verifiers, monkeypatch):
    first = verifier_trials.run_trials(verifiers, digits, 240)
    monkeypatch.setattr(verifier_trials, "_run_trial", lambda *_: pytest.fail("done again"))
    again = verifier_trials.run_trials(verifiers, digits, 240)
    for pairs, of in first.items():
        assert [one.scores() for one in again[pairs]] == [one.scores() for one in of]
