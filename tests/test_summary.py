from dataclasses import replace

import pandas as pd
import pytest

from siamese_utils.evaluation.intervals import Interval, measurement
from siamese_utils.reporting import claims, summary
from siamese_utils.reporting import results as result_files


def figure(mean):
    return Interval(mean, mean - 1, mean + 1, 5, "%")


@pytest.fixture
def report(results, monkeypatch, digits):
    """A report's results; its claims 4 and S4 are judged from these values."""
    monkeypatch.setattr(claims, "display", lambda _: None)
    result_files.save_facts("lottery", choices=20, lost=12)
    result_files.save_facts("unseen", splits=20, right=77.9, outlines_right=75.8, again="unclear")

    def judge(pixels):
        claims.judge("S4", measurement(pixels), digits)
        monkeypatch.setattr(
            summary.claims,
            "verdict_on",
            lambda n, told=claims.verdict_on: told("S4") if n == "S4" else "",
        )

    return judge


def test_the_findings_are_sentences_made_of_results(report, digits):
    report([0.1, 0.11, 0.12])
    base = {"seen": figure(96.2), "unseen": figure(62.5)}
    told = summary.finding_sentences(base, digits)
    assert told == [
        "Of 100 pairs the base model judges 96 rightly on classes it was trained on, 62 on new ones;"
        " by AUC pixels do better there, as on 12 of 20 other choices.",
        "Over choices drawn beforehand a recipe for new kinds reaches 78, outlines 76;"
        " drawn again, it is not clearly ahead.",
    ]
    report([0.1, -0.1, 0.05])
    assert (
        "62 on new ones; by AUC pixels do better on 12 of 20"
        in summary.finding_sentences(base, digits)[0]
    )


def test_with_the_studys_figures_they_say_how_near_ours_are(report, digits):
    report([-0.1, -0.11, -0.12])
    gaps = pd.Series({("base, m = 1", "seen"): figure(0.4)}).rename_axis(["network", "set"])
    result_files.save(gaps.to_frame("ours minus 2019").rename_axis(columns="figure"), "gaps")
    base = {"seen": figure(96.2), "unseen": figure(62.5)}
    first, second, _ = summary.finding_sentences(base, replace(digits, has_study_figures=True))
    assert first == "Its accuracies at margin 1 come out again."
    assert "by AUC pixels do worse there, and better on 12 of 20" in second


def test_the_lead_counts_claims_that_hold():
    judged = pd.DataFrame({"verdict": ["holds", "does not hold", "holds"]})
    assert summary.replication_sentence(judged) == "2 of its 3 claims hold."
