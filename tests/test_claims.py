import html
import re
from dataclasses import replace

import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from siamese_utils import settings
from siamese_utils.data.dataset import TEST_SETS
from siamese_utils.evaluation.intervals import Measurement, measurement
from siamese_utils.evaluation.metrics import THRESHOLD_RULES
from siamese_utils.reporting import claims
from siamese_utils.reporting import results as result_files
from siamese_utils.reporting.claims import CLAIMS

CLEAR, OPPOSITE, NOTHING = (np.array(v) for v in ([2.0, 2.1, 1.9], [-2.0, -2.1, -1.9], [0, 1, -1]))


@pytest.fixture
def shown(monkeypatch):
    """What claims put on a page, as HTML."""
    pages = []
    monkeypatch.setattr(claims, "display", lambda item: pages.append(item.data))
    return pages


@pytest.fixture
def as_in_2019(digits):
    """A data set of which the study's figures are said to be."""
    return replace(digits, has_study_figures=True)


def panel(pair_set, fixed, tuned, auc):
    """A panel of one set: its accuracies at 0.5 and at the tuned threshold, and its AUC."""
    figures = {
        THRESHOLD_RULES["0.5"]: (fixed, "%"),
        THRESHOLD_RULES["tuned"]: (tuned, "%"),
        "AUC": (auc, ""),
    }
    return pd.Series(
        {
            (pair_set, name): Measurement(np.array(v, float), np.outer(v, [1, 1]), unit)
            for name, (v, unit) in figures.items()
        }
    )


def change(pair_set, fixed, tuned, auc):
    """Two panels' difference."""
    whole = 50 * np.ones(3)
    first = panel(pair_set, whole + fixed, whole + tuned, whole + auc)
    return first - panel(pair_set, whole, whole, whole)


def evidence_for(claim, values=CLEAR):
    """Evidence of the form that a claim's rule wants."""
    if claim.rule == "threshold":
        return change(claim.pair_set, values, values, values)
    return (
        {"figure": [measurement(values)] * len(claim.values)}
        if claim.values
        else measurement(values)
    )


def test_every_claim_is_whole():
    for number, claim in CLAIMS.items():
        assert claim.number == number
        assert claim.rule in claims._JUDGES
        assert claim.sign in (-1, 1)
        assert (claim.pair_set in TEST_SETS) == (claim.rule == "threshold")
        assert bool(claim.values) == bool(claim.tolerance) == (claim.rule == "value")
        assert all(low <= high for low, high in claim.values)
        assert claim.by in (claims.STUDY, claims.SECOND_STUDY, claims.OURS)
        assert bool(claim.published) == (claim.by == claims.STUDY)
        assert claim.statement
        assert claim.scope
        assert claim.figure
    assert len({claim.anchor for claim in CLAIMS.values()}) == len(CLAIMS)


@pytest.mark.parametrize("number", CLAIMS)
def test_every_claim_is_judged_once_and_in_the_chapter_it_names(number):
    judging = re.compile(rf'claims\.judge\(\s*"{number}"')
    found = {
        path.stem: sum(len(judging.findall(cell.source)) for cell in nbformat.read(path, 4).cells)
        for path in settings.NOTEBOOKS.glob("*.ipynb")
    }
    assert {name: times for name, times in found.items() if times} == {CLAIMS[number].chapter: 1}


@pytest.mark.parametrize(
    ("values", "verdict", "reason"),
    [
        (CLEAR, "holds", "The whole interval lies on the claim's side of zero."),
        (OPPOSITE, "does not hold", "The whole interval lies on the other side of zero."),
        (NOTHING, "not decidable", "The interval contains zero."),
        ([5.0], "not decidable", "One seed gives no interval."),
    ],
)
def test_a_claim_about_a_sign_by_hand(results, shown, digits, values, verdict, reason):
    found = measurement(values, signed=True)
    assert claims.judge("B1", found, digits) == claims.verdict_on("B1") == verdict
    [page] = shown
    assert html.escape(f"{CLAIMS['B1'].figure}: {found:±}. {reason}") in page


ARTEFACT = "artefact of the fixed threshold"


@pytest.mark.parametrize(
    ("fixed", "tuned", "auc", "verdict", "says"),
    [
        (CLEAR, CLEAR, CLEAR, "holds", ("bears it out", "bears it out")),
        (CLEAR, CLEAR, OPPOSITE, "holds", ("bears it out", "says the opposite")),
        (CLEAR, OPPOSITE, CLEAR, "holds", ("says the opposite", "bears it out")),
        (CLEAR, NOTHING / 9, NOTHING, ARTEFACT, ("leaves it open", "leaves it open")),
        (CLEAR, OPPOSITE, OPPOSITE, ARTEFACT, ("says the opposite", "says the opposite")),
        (OPPOSITE, CLEAR, NOTHING, "does not hold", ("bears it out", "leaves it open")),
        (NOTHING, CLEAR, CLEAR, "not decidable", ("bears it out", "bears it out")),
    ],
)
@pytest.mark.parametrize("number", ["2b", "4"])  # more is claimed, and less
def test_a_claim_at_a_threshold_by_hand(
    results, shown, digits, number, fixed, tuned, auc, verdict, says
):
    claim = CLAIMS[number]
    found = change(claim.pair_set, *(claim.sign * v for v in (fixed, tuned, auc)))
    assert claims.judge(number, found, digits) == claims.verdict_on(number) == verdict
    at_tuned, area = says
    assert f"The tuned threshold {at_tuned}; the AUC, which needs none, {area}." in shown[0]
    assert ("It holds at 0.5 alone" in shown[0]) == (verdict == ARTEFACT)


def test_of_a_panel_the_set_that_a_claim_is_about_counts(results, shown, digits):
    found = pd.concat(
        [change("unseen", CLEAR, CLEAR, CLEAR), change("all", OPPOSITE, OPPOSITE, OPPOSITE)]
    )
    assert claims.judge("2b", found, digits) == "holds"
    assert claims.judge("3", found, digits) == "does not hold"


@pytest.mark.parametrize(
    ("number", "figures", "verdict"),
    [
        # claimed: 0, to half a rise; t for 2 degrees of freedom 4.302653
        ("1b", {"rises": [[0, 0, 0]]}, "holds"),
        ("1b", {"rises": [[1, 1, 1]]}, "does not hold"),
        ("1b", {"rises": [[0, 1, 0]]}, "not decidable"),  # 0.333 ± 1.434
        ("1b", {"rises": [[0]]}, "not decidable"),
        # claimed: 0.03 to 0.04, so 0.025 to 0.045
        ("1c", {"loss": [[0.034, 0.035, 0.036]]}, "holds"),  # 0.035 ± 0.0025
        ("1c", {"loss": [[0.030, 0.035, 0.040]]}, "not decidable"),  # 0.035 ± 0.0124
        ("1c", {"loss": [[0.074, 0.075, 0.076]]}, "does not hold"),
        # claimed: first 0.08, last 0.04, of one of the quantities that it might be of
        ("6a", {"loss": [[0.08] * 3, [0.04] * 3]}, "holds"),
        ("6a", {"loss": [[0.08] * 3, [0.06] * 3]}, "does not hold"),
        ("6a", {"loss": [[0.04] * 3, [0.08] * 3]}, "does not hold"),
        ("6a", {"loss": [[0.07, 0.08, 0.09], [0.04] * 3]}, "not decidable"),  # 0.08 ± 0.025
        ("6a", {"loss": [[0.07, 0.08, 0.09], [0.06] * 3]}, "does not hold"),  # the last is beside
        ("6a", {"a": [[9] * 3] * 2, "b": [[0.08] * 3, [0.04] * 3]}, "holds"),
        ("6a", {"a": [[9] * 3] * 2, "b": [[0.07, 0.08, 0.09], [0.04] * 3]}, "not decidable"),
        ("6a", {"a": [[9] * 3] * 2, "b": [[0.08] * 3, [9] * 3]}, "does not hold"),
    ],
)
def test_a_claim_about_values_by_hand(results, shown, as_in_2019, digits, number, figures, verdict):
    found = {name: [measurement(values) for values in of] for name, of in figures.items()}
    assert claims.judge(number, found, as_in_2019) == claims.verdict_on(number) == verdict
    rows = result_files.read("claims")
    assert len(rows) == sum(map(len, figures.values()))
    if number == "6a":
        assert rows["figure"].tolist() == [f"{n}, {p}" for n in figures for p in ("first", "last")]
    # of other images the study's values say nothing
    assert claims.judge(number, found, digits) == claims.verdict_on(number) == "not decidable"
    assert html.escape("The study's value is of other images.") in shown[1]
    assert "other images" not in shown[0]


def test_as_many_values_as_are_claimed_are_wanted(results, shown, as_in_2019):
    with pytest.raises(ValueError, match="zip"):
        claims.judge("6a", {"loss": [measurement(CLEAR)]}, as_in_2019)
    assert not shown


@pytest.mark.parametrize("number", CLAIMS)
def test_a_verdict_stands_under_the_anchor_of_its_claim(results, shown, as_in_2019, number):
    claim = CLAIMS[number]
    verdict = claims.judge(number, evidence_for(claim), as_in_2019)
    place = BeautifulSoup(shown[0], "html.parser").find(id=f"claim-{number}")
    assert place.find("strong").text == f"Claim {number}: {verdict}."
    assert f"{claim.statement}, {claim.scope}." in place.text
    assert (f"In 2019: {claim.published}." in place.text) == bool(claim.published)


@pytest.mark.parametrize("number", CLAIMS)
def test_no_figure_of_2019_is_displayed_where_none_applies(results, shown, digits, number):
    claim = CLAIMS[number]
    assert not digits.has_study_figures
    claims.judge(number, evidence_for(claim), digits)
    [page] = shown
    assert "2019" not in page
    told = page.replace(html.escape(claim.statement), "")  # which may name the values it claims
    assert not claim.published or html.escape(claim.published) not in told
    assert "2019" not in claims.table(claim.by, with_study=False)


def test_other_figures_stand_beside(results, shown, digits):
    won, lost = measurement([3.0, 3.0], "points"), measurement([4.0, 4.0], "points")
    found = claims.judge("S1", won - lost * 0.5, digits, won_at_half=won, lost_at_fixed=lost)
    assert found == "holds"
    assert "; won at half: 3.00 ± 0.00 points; lost at fixed: 4.00 ± 0.00 points." in shown[0]
    assert result_files.read("claims")["figure"].tolist() == [
        CLAIMS["S1"].figure,
        "won at half",
        "lost at fixed",
    ]


def test_a_claim_judged_twice_stands_once_with_the_later_verdict(results, shown, as_in_2019):
    for values in (OPPOSITE, CLEAR):
        claims.judge("B1", measurement(values), as_in_2019, beside=measurement(values))
    claims.judge("1c", {"a": [measurement(CLEAR)], "b": [measurement(CLEAR)]}, as_in_2019)
    claims.judge("1c", {"c": [measurement([0.034, 0.035, 0.036])]}, as_in_2019)
    rows = result_files.read("claims")
    assert rows["claim"].tolist() == ["1c", "B1", "B1"]
    assert rows["figure"].tolist() == ["c", CLAIMS["B1"].figure, "beside"]
    assert rows["verdict"].tolist() == ["holds"] * 3
    assert len(claims.table(claims.SECOND_STUDY, False)) == 1


def test_claims_are_kept_as_numbers_and_names(results, shown, as_in_2019):
    for claim in CLAIMS.values():
        claims.judge(claim.number, evidence_for(claim), as_in_2019)
    claims.judge("B1", measurement([0.1]), as_in_2019)  # one seed
    text = (results / "claims.csv").read_text(encoding="utf-8")
    for sign in ("±", "\N{MINUS SIGN}", "interval"):
        assert sign not in text
    rows = result_files.read("claims")
    assert rows.columns.tolist() == ["claim", "verdict", "figure", *result_files.INTERVAL_COLUMNS]
    assert set(rows["claim"]) == set(CLAIMS)
    for column in ("mean", "low", "high", "seeds"):
        assert pd.api.types.is_numeric_dtype(rows[column])
    assert set(rows["unit"].dropna()) == {"points"}


def test_the_table_of_claims_leads_to_where_each_is_judged(results, shown, as_in_2019):
    judged = ["3", "2b", "1c", "S4"]
    for number in judged:
        claims.judge(number, evidence_for(CLAIMS[number]), as_in_2019)
    table = claims.table(claims.STUDY, with_study=True)
    assert list(table) == ["claim", "statement", "verdict", "2019", "measured", "ours"]
    assert table["claim"].tolist() == ["1c", "2b", "3"]  # as they are listed, the judged ones alone
    link = table["statement"][1]
    assert link.target == "04-complex-model.ipynb#claim-2b"
    assert link.text == f"{CLAIMS['2b'].statement}, {CLAIMS['2b'].scope}"
    assert table["2019"][1] == CLAIMS["2b"].published
    [row] = claims.table(claims.OURS, with_study=False).to_dict("records")
    assert row["statement"].target == "08-plain-baselines.ipynb#claim-S4"
    assert "2019" not in row
    assert "2019" not in claims.table(claims.STUDY, with_study=False)
    assert "2019" not in claims.table(claims.OURS, with_study=True)


def test_the_strip_has_a_mark_for_each_verdict_with_its_place(results, shown, digits):
    claims.judge("B1", measurement(CLEAR), digits)
    claims.judge("B2", measurement(OPPOSITE), digits)
    claims.judge("S4", measurement(NOTHING), digits)
    claims.show_verdict_strip()
    soup = BeautifulSoup(shown[-1], "html.parser")
    marks = soup.select("a.mark")
    assert [mark.text for mark in marks] == ["●", "✕", "○"]
    assert marks[0]["href"] == "07-one-shot-transfer.ipynb#claim-B1"
    assert marks[1]["aria-label"].startswith("Claim B2: does not hold. With 50 pairs")
    assert len(set(claims.MARKS.values())) == len(claims.verdicts.VERDICTS)


def test_the_table_shows_the_figure_that_decides(results, shown, as_in_2019):
    claims.judge("2b", change("unseen", CLEAR, NOTHING, OPPOSITE), as_in_2019)
    claims.judge("1c", {"loss": [measurement([0.034, 0.035, 0.036])]}, as_in_2019)
    value, difference = claims.table(claims.STUDY, with_study=True).to_dict("records")
    assert value["measured"] == "loss"
    assert f"{value['ours']}" == "0.035 ± 0.002"
    assert difference["measured"] == f"{CLAIMS['2b'].figure}, at 0.5"
    assert f"{difference['ours']}".startswith("+2.00 (+1.")
    assert difference["ours"].unit == "points"


def test_one_seed_has_a_place_in_the_table(results, shown, digits):
    claims.judge("B1", measurement([0.25], signed=True), digits)
    [row] = claims.table(claims.SECOND_STUDY, False).to_dict("records")
    assert row["verdict"] == "not decidable"
    assert f"{row['ours']}" == "+0.250"


def test_a_claim_not_judged_has_no_verdict(results, shown, digits):
    with pytest.raises(FileNotFoundError):
        claims.verdict_on("S1")
    claims.judge("B1", measurement(CLEAR), digits)
    with pytest.raises(KeyError):
        claims.verdict_on("S1")
    with pytest.raises(KeyError):
        claims.judge("99", measurement(CLEAR), digits)
