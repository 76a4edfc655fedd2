import numpy as np
import pandas as pd
import pytest
from siamese_utils.evaluation import Interval, Measured
from siamese_utils.runs import Run

from siamese_utils import runs, tables


def make_run(seed=0, model="base", margin=1.0, epochs=2):
    """A run of four pairs a set: same at 0.1 and 0.6 margins, different at 0.4 and 0.9."""
    distances = np.float32([0.1, 0.6, 0.4, 0.9]) * margin
    experiment = {"model": model, "margin": margin, "optimizer": "rmsprop", "learning_rate": 0.001}
    experiment |= {"epochs": epochs, "seed": seed}
    sets = {name: distances for name in tables.PAIR_SETS}
    return Run({"experiment": experiment}, {}, [], sets)


def test_a_run_is_measured_by_hand():
    measured = tables.measure([make_run(margin=5.0)])
    assert len(measured) == 15
    seen = measured[measured["pair_set"] == "seen"].set_index("threshold_rule")
    # at 0.5 all four but none at exactly 0.5: 0.5 is not above 0.5, so 1 same is right; 2 different are
    assert seen.loc["fixed 0.5", "accuracy"] == 75
    # at 2.5: same 0.5 right, same 3.0 wrong, different 2.0 wrong, different 4.5 right
    assert seen.loc["half margin", ["threshold", "accuracy"]].tolist() == [2.5, 50]
    assert seen.loc["tuned", "accuracy"] == 75
    # of four (different, same) couples three have the different one farther apart
    assert seen["auc"].tolist() == [0.75] * 3


def test_accuracy_csv_has_its_columns_and_no_row_twice(results):
    tables.add_to_accuracy(tables.measure([make_run(0), make_run(1)]))
    tables.add_to_accuracy(tables.measure([make_run(1), make_run(0, "complex", 5.0)]))
    table = pd.read_csv(results / "accuracy.csv")
    assert list(table.columns) == [
        *["model", "margin", "optimizer", "learning_rate", "seed", "pair_set"],
        *["threshold_rule", "threshold", "accuracy", "auc", "epochs"],
    ]
    assert len(table) == 3 * 15
    assert not table.duplicated(table.columns[:7].tolist()).any()
    assert not list(results.glob(".*"))


def test_the_table_of_the_report_stands_beside_the_study():
    measured = tables.measure([make_run(s, "complex", 5.0) for s in range(3)])
    table = tables.accuracy_table(measured, with_study=True).set_index("threshold")
    assert table.index.tolist() == ["0.5", "m/2", "tuned", "none: AUC", "0.5, in 2019"]
    assert table.loc["0.5", "seen"] == "75.00 ± 0.00"
    assert table.loc["0.5, in 2019", "unseen"] == "55.43"
    without = tables.accuracy_table(measured, with_study=False)
    assert "0.5, in 2019" not in without["threshold"].tolist()


def test_at_margin_1_the_two_fixed_thresholds_are_one_row():
    table = tables.accuracy_table(tables.measure([make_run()]), with_study=False)
    assert table["threshold"].tolist() == ["0.5 = m/2", "tuned", "none: AUC"]


def test_differences_are_taken_seed_by_seed():
    rows = [
        {"model": model, "seed": seed, "accuracy": value}
        for model, values in (("a", [5.0, 7.0]), ("b", [4.0, 9.0]))
        for seed, value in enumerate(values)
    ]
    found = tables.paired_differences(pd.DataFrame(rows), {"model": "a"}, {"model": "b"})
    assert found.tolist() == [1, -2]


def test_gaps_to_the_study():
    measured = tables.measure([make_run(seed) for seed in range(3)])
    gaps = tables.gaps_to_study(measured, "base", 1.0)
    # all three seeds at 50 %, so one more is expected at 50 % exactly
    assert gaps["seen"]["gap"] == pytest.approx(50 - 95.99)
    assert gaps["seen"]["verdict"] == "does not hold"
    assert "Outside the range" in tables.describe_gaps(gaps)
    assert tables.gaps_to_study(measured, "base", 7.0) == {}
    assert tables.describe_gaps({}) == ""


CLAIM = {"study": "61.43", "ours": "2", "verdict": "holds", "why": "Because."}
CLAIM |= {"evidence": "04-complex-model"}


def test_claims_are_kept_and_replaced(results):
    for verdict in ("holds", "not decidable"):
        tables.add_claim("2a", "it helps", **CLAIM | {"verdict": verdict})
    tables.add_claim("10", "so it is", **CLAIM | {"evidence": "05-margin-study"})
    claims = tables.read("claims")
    assert claims["claim"].tolist() == ["10", "2a"]
    assert tables.claims_of("04-complex-model", True)["verdict"].tolist() == ["not decidable"]


def test_no_figure_of_2019_where_none_applies(results):
    tables.add_claim("1", "it helps", **CLAIM)
    assert "2019" not in tables.claims_of("04-complex-model", with_study=False)


def test_histories_have_a_row_an_epoch(results):
    run = make_run()
    run.history.update(loss=[0.2, 0.1], accuracy=[0.5, 0.75])
    for _ in range(2):
        tables.add_histories([run])
    table = pd.read_csv(results / "histories.csv")
    assert table["epoch"].tolist() == [1, 2]
    assert table["accuracy"].tolist() == [0.5, 0.75]


def test_csv_comes_back_to_the_last_digit(results):
    values = [0.1 + 0.2, 1 / 3, 96.18417917560162]
    tables.save(pd.DataFrame({"value": values}), "sample")
    assert tables.read("sample")["value"].tolist() == values


def test_facts_come_back(results):
    tables.save_facts("sample", one=1, gaps={"seen": 0.5})
    assert tables.read_facts("sample") == {"one": 1, "gaps": {"seen": 0.5}}


def test_figures_as_text():
    found = Interval(61.426, 59.0, 63.852)
    assert tables.percent(found) == "61.43 ± 2.43"
    assert tables.percent(Interval(61.426, float("nan"), float("nan"))) == "61.43"
    assert (
        tables.points(Interval(-1.5, -2.0, -1.0)) == "−1.50 points (95 % interval −2.00 to −1.00)"
    )
    assert tables.area(Interval(0.9, 0.8, 1.0)) == "0.900 ± 0.100"


def test_differences_as_text():
    assert tables.difference(Interval(-0.1, -0.2, 0.0), 1) == "−0.1 (95 % interval −0.2 to +0.0)"
    assert tables.difference(Interval(0.1234, np.nan, np.nan)) == "+0.123 (one seed, no interval)"
    assert tables.plus_minus(Interval(0.5, 0.25, 0.75), 2) == "0.50 ± 0.25"


def make_panel(seen, unseen):
    """A panel of two seeds and two groups with one accuracy and no calibration."""

    def of(values):
        return Measured(np.array(values, dtype=float), np.outer(values, [1.0, 1.0]))

    panel = {}
    for pair_set, values in (("seen", seen), ("all", seen), ("unseen", unseen)):
        for name in tables.ACCURACY_OF_RULE.values():
            panel[pair_set, name] = of(values)
        panel[pair_set, "AUC"] = of([0.5, 0.5])
        panel[pair_set, "ECE"] = of([np.nan, np.nan])
    return panel


def test_a_panel_becomes_a_table_without_what_is_not_known():
    table = tables.panel_table(make_panel([90, 90], [60, 60])).set_index("measure")
    assert "ECE" not in table.index
    assert table.loc["accuracy, 0.5", "unseen"] == "60.00 ± 0.00"
    assert table.loc["AUC", "seen"] == "0.500 ± 0.000"


def test_panels_stand_beside_each_other():
    panels = {"a": make_panel([90, 90], [60, 60]), "b": make_panel([80, 80], [70, 70])}
    both = tables.compare_panels(panels, [("seen", "accuracy, 0.5"), ("unseen", "AUC")])
    assert list(both.columns) == ["encoder", "accuracy, 0.5, seen", "AUC, unseen"]
    alone = tables.compare_panels(panels, [("seen", "AUC"), ("seen", "ECE")], "margin")
    assert alone.iloc[0].tolist() == ["a", "0.500 ± 0.000", "–"]
    assert list(alone.columns) == ["margin", "AUC", "ECE"]


def test_changes_are_judged_at_both_thresholds():
    first, second = make_panel([90, 91], [60, 61]), make_panel([80, 81], [70, 71])
    found = tables.changes(first, second, "seen")
    assert {rule: values.whole.tolist() for rule, values in found.items()} == {
        rule: [10, 10] for rule in tables.RULES
    }
    assert tables.judge_changes(found, found["tuned"], +1) == "holds"
    rows = {("seen", "fixed 0.5"): found["fixed 0.5"]}
    [row] = tables.difference_table(rows).to_dict("records")
    assert row["the first is"] == "better"
    assert row["mean"] == "+10.00"


def test_panels_are_kept_with_their_intervals(results):
    for value in (90, 91):
        tables.add_panels({"a": make_panel([value, value], [60, 60])})
    kept = tables.select(tables.read("panel"), pair_set="seen", figure="accuracy, 0.5")
    assert kept[["encoder", "mean", "low", "high", "seeds"]].to_numpy().tolist() == [
        ["a", 91, 91, 91, 2]
    ]


def test_the_auc_has_its_say():
    better = Measured(np.array([0.1, 0.1]), np.full((2, 2), 0.1))
    found = {"tuned": better - better}
    said = tables.why_of_changes("holds", found, better, +1)
    assert said.startswith("The whole interval lies on the claim's side of zero. ")
    assert "The tuned threshold leaves it open;" in said
    assert said.endswith("bears it out.")
    assert tables.why_of_changes("holds", found, better, -1).endswith("says the opposite.")
    assert tables.why_of_changes("holds", found, better * 0, +1).endswith("leaves it open.")


def test_the_ends_of_curves_in_words():
    histories = {
        "base": [{"a": [3.0, 1.0], "val_a": [3.0, 2.0]}, {"a": [9.0, 2.0], "val_a": [4.0]}]
    }
    found = tables.ends_of(histories, {"a": "loss"})
    assert found == {"base, training loss": "1.5000", "base, validation loss": "3.0000"}
    assert tables.in_words(found) == "base, training loss: 1.5000; base, validation loss: 3.0000."
    assert tables.in_words({"seen": {"m = 1": 2, "m = 5": 3}}) == "seen: m = 1 2, m = 5 3."


def test_a_report_knows_the_trainings_it_uses(results, store):
    short = {"epochs": 1, "seed": 0, "model": "base", "objective": "contrastive", "seen": None}
    long = short | {"epochs": 2}
    other = {"num_pairs": 5, "epochs": 9, "seed": 0}
    longer = other | {"epochs": 10}  # trained anew, not on the way
    for number, experiment in enumerate((long, short, other, longer)):
        record = {"experiment": experiment, "seconds": number, "precision": "float32"}
        for _ in range(2):  # saved and loaded: noted once
            runs.save(f"key {number}", runs.Run(record, {}, [], {}))
    table = tables.read_trainings()
    assert table["kind"].tolist() == ["base, contrastive"] * 2 + ["transfer to textures"] * 2
    assert table["on_the_way"].tolist() == [True, False, False, False]
    assert table["seconds"].tolist() == [1, 0, 2, 3]
