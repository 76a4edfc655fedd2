import re
from dataclasses import replace

import pytest

from siamese_utils.data.dataset import TEST_SETS
from siamese_utils.data.datasets import SEEN, UNSEEN
from siamese_utils.reporting import published_results
from siamese_utils.reporting.claims import CLAIMS
from siamese_utils.training.pair_training import TrainingConfig

BASE = {"seen": 95.99, "all": 79.85, "unseen": 61.43}
COMPLEX = {"seen": 96.18, "all": 81.69, "unseen": 65.32}
MARGIN_5 = {"seen": 81.96, "all": 67.78, "unseen": 55.43}


@pytest.fixture
def as_in_2019(digits):
    return replace(digits, has_study_figures=True)


@pytest.mark.parametrize(
    ("changes", "figures"),
    [
        ({}, BASE),
        ({"seed": 7}, BASE),  # whatever the seed: the study gives none
        ({"dataset": "fashion-mnist"}, BASE),
        ({"model": "complex"}, COMPLEX),
        ({"model": "complex", "margin": 5}, MARGIN_5),
    ],
)
def test_the_figures_of_what_the_study_trained(as_in_2019, digits, changes, figures):
    assert published_results.published_accuracy(TrainingConfig(**changes), as_in_2019) == figures
    assert published_results.published_accuracy(TrainingConfig(**changes), digits) == {}
    rows = published_results.find_table(TrainingConfig(**changes), as_in_2019)
    assert dict(zip(rows["set"], rows["testing_accuracy"], strict=True)) == figures
    assert rows["table"].nunique() == 1
    assert published_results.find_table(TrainingConfig(**changes), digits).empty


@pytest.mark.parametrize(
    "changes",
    [
        {"margin": 5.0},
        {"margin": 7.0},
        {"model": "dropout"},
        {"epochs": 10},
        {"optimizer": "adam"},
        {"learning_rate": 0.01},
        {"batch_size": 64},
        {"pair_sampling": "each epoch"},
        {"task": "triplet"},
        {"seen": (1, 2)},
        {"images_per_class": 1000},
        {"precision": "mixed_bfloat16"},
    ],
    ids=str,
)
def test_what_it_did_not_train_has_no_figures(as_in_2019, changes):
    assert published_results.published_accuracy(TrainingConfig(**changes), as_in_2019) == {}
    found = published_results.find_table(TrainingConfig(**changes), as_in_2019)
    assert found.empty
    assert list(found) == list(published_results.TABLES)


def test_the_study_has_its_figures_by_hand():
    assert published_results.SET_SIZES["train"] == 6 * 7000 * 8 // 10  # six classes of 7,000 images
    assert published_results.SET_SIZES["seen"] == 6 * 7000 * 2 // 10
    assert published_results.SET_SIZES["unseen"] == 4 * 7000
    assert (
        published_results.SET_SIZES["all"]
        == published_results.SET_SIZES["seen"] + published_results.SET_SIZES["unseen"]
    )
    assert sum(published_results.FILES.values()) == 10 * 7000
    training = {
        name: dict(zip(rows["set"], rows["training_accuracy"], strict=True))
        for name, rows in published_results.TABLES.groupby(["model", "margin"])
    }
    rows = published_results.TEST_ACCURACY.set_index(["model", "margin"])
    assert set(rows.index) == set(training) == {("base", 1), ("complex", 1), ("complex", 5)}
    # each network does better on the pairs that it trained on
    for name, of_sets in training.items():
        assert list(of_sets) == list(TEST_SETS)
        assert all(rows.loc[name, s] < of_sets[s] for s in TEST_SETS)
    # the claims: 3.86 points between training and test become 0.57, and 61.43 % become 65.32 %
    gaps = {name: of_sets["seen"] - rows.loc[name, "seen"] for name, of_sets in training.items()}
    assert gaps["base", 1.0] == pytest.approx(3.86)
    assert gaps["complex", 1.0] == pytest.approx(0.57)
    assert max(published_results.BUMP_EPOCHS) < TrainingConfig().epochs


def test_test_accuracies_are_those_of_the_tables_a_row_for_each_network():
    assert list(published_results.TEST_ACCURACY) == ["table", "model", "margin", *TEST_SETS]
    assert published_results.TEST_ACCURACY.to_numpy().tolist() == [
        ["Table 2", "base", 1.0, *BASE.values()],
        ["Table 3", "complex", 1.0, *COMPLEX.values()],
        ["Table 5", "complex", 5.0, *MARGIN_5.values()],
    ]


def test_table_1_and_the_rows_of_the_others_have_the_studys_sets():
    assert set(published_results.TABLE_1) == set(published_results.SET_SIZES)
    assert tuple(published_results.PAIR_SETS) == TEST_SETS
    classes = {"seen": SEEN, "all": range(10), "unseen": UNSEEN}
    for pair_set, name in published_results.PAIR_SETS.items():
        inside = re.search(r"\[(.+)\]", name)[1]
        numbers = range(10) if inside == "0-9" else map(int, inside.split(","))
        assert sorted(numbers) == sorted(classes[pair_set])


@pytest.mark.parametrize(
    ("number", "first", "second", "kind"),
    [
        ("2b", ("base", 1, "unseen"), ("complex", 1, "unseen"), "testing"),
        ("2d", ("base", 1, "seen"), ("complex", 1, "seen"), "testing"),
        ("3", ("base", 1, "all"), ("complex", 1, "all"), "testing"),
        ("4a", ("complex", 1, "seen"), ("complex", 5, "seen"), "testing"),
        ("4b", ("complex", 1, "all"), ("complex", 5, "all"), "testing"),
        ("4c", ("complex", 1, "unseen"), ("complex", 5, "unseen"), "testing"),
        ("4d", ("complex", 1), ("complex", 5), "training"),
        ("2e", ("base", 1), ("complex", 1), "training"),
    ],
)
def test_claims_cite_the_values_of_the_tables_in_the_order_of_their_change(
    number, first, second, kind
):
    values = published_results.TABLES.set_index(["model", "margin", "set"])[f"{kind}_accuracy"]
    cited = " → ".join(
        ", ".join(f"{value:.2f}" for value in values.loc[[name] if len(name) == 3 else name])
        for name in (first, second)
    )
    claim = CLAIMS[number]
    assert claim.published.startswith(cited)
    fell = values.loc[first].mean() > values.loc[second].mean()
    assert claim.sign == (-1 if fell else 1)


def test_claims_cite_gaps_and_accuracies_of_the_base_model():
    values = published_results.TABLES.set_index(["model", "margin", "set"])
    base, better = values.loc["base", 1.0, "seen"], values.loc["complex", 1.0, "seen"]
    gaps = [row["training_accuracy"] - row["testing_accuracy"] for row in (base, better)]
    assert CLAIMS["2a"].published == f"gap {gaps[0]:.2f} → {gaps[1]:.2f}"
