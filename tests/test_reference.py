"""Runs of the reconstructed protocol beside ours; the records are built by hand."""

import io
import json
import re
from dataclasses import replace

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from siamese_utils import settings
from siamese_utils.data.dataset import TEST_SETS
from siamese_utils.evaluation.intervals import measurement
from siamese_utils.reporting import reference, show
from siamese_utils.training import replication
from siamese_utils.training.cache import TrainingResult
from siamese_utils.training.pair_training import TrainingConfig

CONFIGS = {
    "base, m = 1": TrainingConfig(),
    "complex, m = 5": TrainingConfig(model="complex", margin=5.0),
}
PLACE = {("base", 1.0): 2, ("complex", 1.0): 3, ("complex", 5.0): 5}  # the study's table


def record(test_set, model="base", margin=1.0, *, at_half=80.0, at_tenth=70.0, auc=0.9, **history):
    """A record as `replication.run` makes it.

    Args:
        test_set: The test set that the run is for, which gives its seed.
        model: The model.
        margin: The margin.
        at_half: Accuracy in % at half the margin, on each test set.
        at_tenth: Accuracy in % at a tenth of the margin, on each test set.
        auc: The AUC on each test set.
        history: Curves that differ from 0.5.
    """
    # of each threshold from 0 to 2 margins in hundredths, with 0 at all others
    accuracies = [0.0] * 201
    accuracies[10], accuracies[50] = at_tenth / 100, at_half / 100
    curves = {
        prefix + measure: [0.5, 0.5] for prefix in ("", "val_") for measure in ("accuracy", "loss")
    }
    return {
        "table": PLACE[model, margin],
        "model": model,
        "margin": margin,
        "test_set": test_set,
        "seed": TEST_SETS.index(test_set),
        "train_accuracy": 0.99,
        "test_accuracy": 0.75,
        "history": curves | history,
        "test_sets": {s: {"auc": auc, "accuracies": accuracies} for s in TEST_SETS},
    }


@pytest.fixture
def store_records(tmp_path, monkeypatch):
    """A function that makes records the committed ones; before it is called there are none."""
    read = replication.read
    monkeypatch.setattr(replication, "read", lambda: read(tmp_path))

    def store(*records):
        for one in records:
            path = tmp_path / f"table-{one['table']}-{one['test_set']}.json"
            path.write_text(json.dumps(one))

    return store


@pytest.fixture
def as_in_2019(digits):
    return replace(digits, has_study_figures=True)


@pytest.fixture
def shown(monkeypatch):
    """What a page gets: each displayed thing and its metadata."""
    outputs = []
    monkeypatch.setattr(
        show, "display", lambda item, metadata=None: outputs.append((item, metadata))
    )
    return outputs


def ours(**accuracies):
    """Our metrics: of each network the accuracy in % at 0.5 and at m/2, and the AUC, for each seed."""
    rows = {}
    for network, (fixed, half, auc) in zip(CONFIGS, accuracies.values(), strict=False):
        of_network = {}
        for s in TEST_SETS:
            of_network[s, "accuracy, 0.5"] = measurement(fixed, "%")
            of_network[s, "accuracy, m/2"] = measurement(half, "%")
            of_network[s, "AUC"] = measurement(auc)
        rows[network] = of_network
    return pd.DataFrame(rows).T


# Which records are of a network ------------------------------------------------------


def test_the_records_of_a_network_are_of_its_model_and_margin(store_records, as_in_2019, digits):
    base, other = record("seen"), record("seen", "complex", 5.0)
    store_records(other, base, record("seen", "complex", 1.0))
    assert reference.records_of(CONFIGS["base, m = 1"], as_in_2019) == [base]
    assert reference.records_of(TrainingConfig(model="complex", margin=5), as_in_2019) == [other]
    assert reference.records_of(TrainingConfig(margin=5.0), as_in_2019) == []
    assert reference.records_of(TrainingConfig(model="dropout"), as_in_2019) == []
    # of other images they say nothing
    assert reference.records_of(CONFIGS["base, m = 1"], digits) == []


def test_without_runs_to_the_letter_a_network_has_no_records(store_records, as_in_2019):
    assert reference.records_of(CONFIGS["base, m = 1"], as_in_2019) == []
    assert reference.accuracies([]) == {}


def test_each_run_gives_the_accuracies_of_the_set_that_it_was_made_for():
    seen = record("seen") | {"train_accuracy": 0.9985, "test_accuracy": 0.9599}
    unseen = record("unseen") | {"train_accuracy": 0.997, "test_accuracy": 0.6143}
    found = reference.accuracies([seen, unseen])
    assert list(found) == ["seen", "unseen"]
    assert found["seen"] == pytest.approx((99.85, 95.99))
    assert found["unseen"] == pytest.approx((99.7, 61.43))


# Their differences from ours ---------------------------------------------------------


BASE, WIDE = "base, m = 1", "complex, m = 5"
DIFFERENCE = "reconstructed minus ours"


def test_differences_by_hand(store_records):
    store_records(
        record("seen", at_half=80.0, auc=0.90),
        record("all", at_half=83.0, auc=0.88),
    )
    sampled = ours(base=([79.0, 80.0], [79.0, 80.0], [0.90, 0.90]))
    found = reference.differences(sampled, CONFIGS)
    assert list(found) == [DIFFERENCE, "equivalent"]
    assert found.index.names == ["network", "set", "measured"]
    metrics = ("accuracy, 0.5", "AUC")  # at margin 1 half the margin is 0.5
    assert found.index.tolist() == [(BASE, s, metric) for s in TEST_SETS for metric in metrics]
    # both runs are measured on all three sets, and paired with our run of the same seed: 1 and 3
    for s in TEST_SETS:
        difference = found.loc[(BASE, s, "accuracy, 0.5"), DIFFERENCE]
        assert difference.values == pytest.approx([1, 3])
        assert (difference.unit, difference.signed) == ("points", True)
        # 2 ± 12.7062 x 1
        assert f"{difference:±}" == "+2.00 points (95 % interval −10.71 to +14.71)"
        difference = found.loc[(BASE, s, "AUC"), DIFFERENCE]
        assert difference.values == pytest.approx([0.0, -0.02])
        assert (difference.unit, difference.signed) == ("", True)
    assert found["equivalent"].tolist() == ["inconclusive"] * 6


def test_a_seed_that_we_lack_is_left_out(store_records):
    runs = [record(s, at_half=80.0 + i) for i, s in enumerate(TEST_SETS)]
    store_records(*runs)  # seeds 0, 1 and 2
    sampled = ours(base=([80.0, 80.0], [80.0, 80.0], [0.9, 0.9]))
    found = reference.differences(sampled, CONFIGS)[DIFFERENCE]
    assert found[BASE, "unseen", "accuracy, 0.5"].values == pytest.approx([0, 1])
    more = ours(base=([80.0] * 5, [80.0] * 5, [0.9] * 5))  # and seeds that they lack
    found = reference.differences(more, CONFIGS)[DIFFERENCE]
    assert found[BASE, "unseen", "accuracy, 0.5"].values == pytest.approx([0, 1, 2])


def test_no_seed_in_common_is_no_difference(store_records):
    store_records(record("unseen"))  # seed 2
    sampled = ours(base=([80.0, 80.0], [80.0, 80.0], [0.9, 0.9]))
    assert reference.differences(sampled, CONFIGS).empty


def test_at_margin_5_the_threshold_of_one_half_is_a_tenth_of_the_margin(store_records):
    store_records(record("seen", "complex", 5.0, at_half=90.0, at_tenth=65.0))
    sampled = ours(base=([1.0], [2.0], [0.1]), complex=([60.0], [88.0], [0.9]))
    found = reference.differences(sampled, CONFIGS)[DIFFERENCE]
    for s in TEST_SETS:
        assert found[WIDE, s, "accuracy, 0.5"].values == pytest.approx([65 - 60])
        assert found[WIDE, s, "accuracy, m/2"].values == pytest.approx([90 - 88])
        assert found[WIDE, s, "AUC"].values == pytest.approx([0])


def test_each_network_has_its_own_rows(store_records):
    store_records(
        record("seen", at_half=81.0),
        record("seen", "complex", 1.0, at_half=3.0),  # of which there is no network of ours
        record("seen", "complex", 5.0, at_tenth=72.0),
    )
    sampled = ours(base=([80.0], [80.0], [0.9]), complex=([70.0], [80.0], [0.9]))
    found = reference.differences(sampled, CONFIGS)[DIFFERENCE]
    assert found[BASE, "seen", "accuracy, 0.5"].values == pytest.approx([1])
    assert found[WIDE, "seen", "accuracy, 0.5"].values == pytest.approx([2])
    found = reference.differences(sampled, {BASE: CONFIGS[BASE]})
    assert set(found.index.get_level_values("network")) == {BASE}


@pytest.mark.parametrize(
    ("gaps", "word"),
    [
        ([0.0, 0.0, 0.0], "yes"),
        ([0.5, 0.5, 0.6], "yes"),  # 0.533 ± 0.143
        ([-0.5, -0.5, -0.6], "yes"),
        ([0.0, 0.5, 1.0], "inconclusive"),  # 0.5 ± 1.24
        ([0.9, 0.9, 1.0], "inconclusive"),  # 0.933 ± 0.143
        ([2.0, 2.1, 1.9], "no"),
        ([-2.0, -2.1, -1.9], "no"),
    ],
)
def test_equivalent_is_what_excludes_a_difference_of_one_point(store_records, gaps, word):
    runs = zip(TEST_SETS, gaps, strict=True)
    # an AUC of a hundredth is to it what a point is to an accuracy
    store_records(*(record(s, at_half=80 + gap, auc=0.9 + gap / 100) for s, gap in runs))
    sampled = ours(base=([80.0] * 3, [80.0] * 3, [0.9] * 3))
    assert reference.differences(sampled, CONFIGS)["equivalent"].tolist() == [word] * 6


def test_one_run_leaves_it_open(store_records):
    store_records(record("seen", at_half=50.0))
    sampled = ours(base=([80.0], [80.0], [0.9]))
    assert set(reference.differences(sampled, CONFIGS)["equivalent"]) == {"inconclusive"}


def test_without_runs_to_the_letter_there_are_no_differences(store_records):
    sampled = ours(base=([80.0], [80.0], [0.9]))
    found = reference.differences(sampled, CONFIGS)
    assert found.empty
    assert len(found) == 0


# The study's figures -----------------------------------------------------------------


def test_curves_have_a_point_for_each_epoch_and_run():
    runs = [record("seen", accuracy=[0.6, 0.7]), record("all", val_loss=[0.2, 0.1])]
    frame = reference.curves(runs)
    assert frame.columns.tolist() == ["subplot", "series", "seed", "x", "y"]
    assert frame["subplot"].drop_duplicates().tolist() == ["accuracy", "loss"]
    assert len(frame) == 2 * 2 * 2 * 2  # measures, series, runs, epochs
    points = frame.set_index(["subplot", "series", "seed", "x"])["y"].to_dict()
    assert points["accuracy", "training", 0, 1] == 0.6
    assert points["accuracy", "training", 0, 2] == 0.7
    assert points["loss", "validation", 1, 2] == 0.1
    assert points["loss", "training", 1, 2] == points["accuracy", "validation", 0, 1] == 0.5


def own_run(loss):
    history = {"accuracy": [0.5, 0.75], "val_accuracy": [0.5, 0.5], "val_loss": [0.3, 0.2]}
    return TrainingResult({}, history | {"loss": loss, "contrastive": [9.0, 9.0]}, [])


def test_our_curves_have_the_same_form_by_seed():
    frame = reference.own_curves([own_run([0.4, 0.2]), own_run([0.5, 0.1])])
    points = frame.set_index(["subplot", "series", "seed", "x"])["y"].to_dict()
    assert points["loss", "training", 0, 1] == 0.4
    assert points["loss", "training", 1, 2] == 0.1
    assert points["accuracy", "validation", 1, 2] == 0.5
    assert 9.0 not in points.values()  # the study's loss includes the penalties


def figures_of(shown):
    """Return the metadata of each figure."""
    found = [metadata.get("image/svg+xml") for _, metadata in shown]
    return [figure for figure in found if figure]


def test_the_studys_figures_are_shown_of_both(shown, store_records, as_in_2019):
    store_records(record("seen"), record("all"), record("seen", "complex", 5.0))
    runs = [own_run([0.4, 0.2]), own_run([0.5, 0.1])]
    reference.show_curves(runs, CONFIGS["base, m = 1"], as_in_2019, "2 and 3")
    letter, own = figures_of(shown)
    assert letter["caption"].startswith(
        "In the form of the study's Figures 2 and 3, from 2 runs of the reconstructed protocol"
    )
    assert "in the form of the study's Figures 2 and 3" in own["caption"]
    data = pd.read_csv(io.StringIO(own["data"]))
    pd.testing.assert_frame_equal(data, reference.own_curves(runs))
    assert len(pd.read_csv(io.StringIO(letter["data"]))) == 2 * 2 * 2 * 2


def test_a_single_run_is_said_to_be_one(shown, store_records, as_in_2019):
    store_records(record("all"))
    reference.show_curves([own_run([0.4, 0.2])], CONFIGS["base, m = 1"], as_in_2019, "2 and 3")
    assert "from one run of the reconstructed protocol" in figures_of(shown)[0]["caption"]


@pytest.mark.parametrize("stored", [True, False])
def test_without_runs_to_the_letter_our_curves_stand_alone(
    shown, store_records, digits, as_in_2019, stored
):
    if stored:
        store_records(record("seen"))
    images = digits if stored else as_in_2019  # runs on other images, or none
    reference.show_curves([own_run([0.4, 0.2])], CONFIGS["base, m = 1"], images, "2 and 3")
    [own] = figures_of(shown)
    assert own["caption"].startswith("Our training curves")


# Where each part of the study is -----------------------------------------------------


def test_each_place_is_a_section_of_a_notebook():
    for part, target, words in (*reference.PLACES, *reference.ARTICLE_PLACES):
        page, _, anchor = target.partition("#")
        cells = nbformat.read(settings.NOTEBOOKS / f"{page}.ipynb", 4).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        headings = re.findall(r"^###? (.+)$", text, re.M)
        anchors = [re.sub(r"\W+", "-", heading.lower()).strip("-") for heading in headings]
        if anchor:
            assert words == headings[anchors.index(anchor)], part


def test_the_functions_that_have_a_place_are_in_the_studys_module():
    module = settings.ROOT / "siamese_utils/training/study_2019.py"
    source = module.read_text(encoding="utf-8")
    defined = set(re.findall(r"^def (\w+)\(", source, re.M))
    named = {
        name
        for part, _, _ in reference.PLACES
        if "_" in part
        for name in re.findall(r"[a-z]\w*_\w+", part)
    }
    # what Keras 3 needs no more has no function, and is explained
    assert named - defined == {"eucl_dist_output_shape"}
    assert "eucl_dist_output_shape" in source


def test_every_table_and_figure_of_the_study_has_a_place():
    words = " ".join(part for part, _, _ in reference.PLACES)
    for kind, last in (("Figure", 5), ("Table", 5)):
        found = re.findall(rf"{kind}s? (\d)(?: and (\d))?", words)
        assert sorted(int(n) for pair in found for n in pair if n) == list(range(1, last + 1))


def test_places_are_links_to_pages(shown):
    reference.show_places(reference.PLACES, "the 2019 study", "a module")
    [(page, _)] = shown
    soup = BeautifulSoup(page.data, "html.parser")
    assert [cell.text for cell in soup.thead("th")] == ["in the 2019 study", "here"]
    rows = soup.tbody("tr")
    assert len(rows) == len(reference.PLACES)
    links = {row.td.text: row.a for row in rows}
    link = links["create_base_network"]
    assert (link["href"], link.text) == ("03-base-model.ipynb#the-network", "03, The network")
    link = links["Discussion: Adadelta against RMSprop"]  # a whole page
    assert link["href"] == "06-optimizer-comparison.ipynb"
