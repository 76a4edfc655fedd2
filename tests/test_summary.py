from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from siamese_utils.evaluation.intervals import Interval, measurement
from siamese_utils.evaluation.metrics import THRESHOLD_RULES
from siamese_utils.reporting import claims, summary
from siamese_utils.reporting import results as result_files
from siamese_utils.reporting.claims import CLAIMS

CLEAR, NOTHING = np.array([2.0, 2.1, 1.9]), np.array([0.0, 1.0, -1.0])


def figure(mean):
    return Interval(mean, mean - 1, mean + 1, 5, "%")


BASE = {"seen": figure(96.2), "unseen": figure(62.5)}


def margin_change(number, fixed, tuned, auc):
    """Evidence for a claim about margin 5: its difference at either threshold, and in AUC."""
    names = (THRESHOLD_RULES["0.5"], THRESHOLD_RULES["tuned"], "AUC")
    of = zip(names, (fixed, tuned, auc), strict=True)
    pair_set = CLAIMS[number].pair_set
    return pd.Series({(pair_set, name): measurement(v, "points", signed=True) for name, v in of})


@pytest.fixture
def report(results, monkeypatch, digits):
    """A function that makes a report's results, from the difference of pixels in AUC."""
    monkeypatch.setattr(claims, "display", lambda _: None)

    def make(pixels):
        on_splits = {"epochs": 5, "base_on_splits": 0.831, "pixels_on_splits": 0.826}
        result_files.save_facts("class-splits", splits=20, base=0.747, pixels=0.862, **on_splits)
        facts = {"labelled": 20, "splits": 20, "pixels": 0.801}
        result_files.save_facts("new-classes", without_labels=0.913, with_labels=0.951, **facts)
        claims.judge("S4", measurement(pixels), digits)
        claims.judge("4a", margin_change("4a", -CLEAR, -CLEAR, -CLEAR), digits)
        claims.judge("4b", margin_change("4b", -CLEAR, 0 * CLEAR, NOTHING), digits)
        claims.judge("4c", margin_change("4c", NOTHING, NOTHING, NOTHING), digits)

    return make


def test_the_findings_are_sentences_made_of_results(report, digits):
    report([0.1, 0.11, 0.12])
    assert summary.finding_sentences(BASE, digits) == [
        "At threshold 0.5, the base model classifies 96 % of pairs correctly on training classes and 62 % on "
        "unseen classes; guessing gives 50 %.",
        "On unseen classes, raw pixels reach an AUC of 0.86, the base model 0.75. On 20 other "
        "class splits, the mean AUC is 0.83 for raw pixels and 0.83 for the base model, which is trained there "
        "for 5 epochs on fewer images.",
        "In our runs, on seen classes, margin 5 is less accurate than margin 1 at threshold 0.5. In our "
        "runs, on all classes, margin 5 is less accurate than margin 1 at threshold 0.5, mainly because "
        "this threshold is too low for margin 5. In our runs, on unseen classes, the results do not show "
        "whether margin 5 is less accurate than margin 1.",
        "Labels help: on 20 other class splits, 20 labelled images of each new class raise the mean "
        "AUC of an ensemble of image features and two small networks from 0.91 to 0.95. On these "
        "splits, raw pixels have a mean AUC of 0.80.",
    ]


def test_sets_with_one_verdict_on_the_margin_share_a_sentence(report, digits):
    report(CLEAR)
    claims.judge("4a", margin_change("4a", CLEAR, CLEAR, CLEAR), digits)
    claims.judge("4c", margin_change("4c", CLEAR, CLEAR, CLEAR), digits)
    told = summary.finding_sentences(BASE, digits)[2]
    assert told.startswith(
        "In our runs, on seen and unseen classes, margin 5 is not 1 point or more less accurate than "
    )


def test_with_the_studys_figures_they_say_what_replicates(report, digits):
    report(CLEAR)
    rows = [("base, m = 1", s, 90.0, 80.0, 85.0, "no") for s in ("seen", "all")]
    rows.append(("complex, m = 5", "seen", 82.0, 80.0, 85.0, "yes"))
    rows = [(*row, 84.0) for row in rows]
    columns = ["network", "set", "2019", "low", "high", "inside", "mean"]
    result_files.save(pd.DataFrame(rows, columns=columns), "replication")
    first, second, *_ = summary.finding_sentences(BASE, replace(digits, has_study_figures=True))
    assert first == (
        "1 of the study's 3 test accuracies replicate: they lie in the interval that would contain "
        "one more run of ours with probability 95 %. At margin 1: 0 of 2; the largest difference from our mean is 6.0 points. At margin "
        "5: 1 of 1; the largest difference from our mean is 2.0 points."
    )
    assert second.startswith("At threshold 0.5, the base model classifies 96 %")
