import json
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from siamese_utils import settings
from siamese_utils.data.dataset import SETS
from siamese_utils.evaluation.intervals import Interval, Measurement, measurement
from siamese_utils.evaluation.pair_distances import PairDistances
from siamese_utils.evaluation.pair_histogram import PairHistogram
from siamese_utils.reporting import results as result_files
from siamese_utils.training import cache
from siamese_utils.training.cache import TrainingResult
from siamese_utils.training.pair_training import TrainingConfig
from siamese_utils.training.small_encoder import SmallEncoderConfig
from siamese_utils.training.transfer import PretrainingConfig, TransferConfig

SAMPLE = [96.18417917560162, 0.1 + 0.2, 100 / 3]  # no two digits are to be lost
SMALL = PairHistogram(np.ones((1, 1, 1), dtype=np.int64), 1.0, (0,))
UNITS = {"", "%", "points"}


def make_run(**changes):
    """Return the result of a training run of two epochs."""
    config = TrainingConfig(**{"dataset": "digits", "epochs": 2, "precision": "float32"} | changes)
    record = {"config": asdict(config), "kind": config.kind, "key": "a run"}
    return TrainingResult(record, {"loss": [0.2, 0.1], "accuracy": [0.5, 0.75]}, [])


def make_distances(margin=1.0):
    """Return the distances of four pairs a set: same at 0.1 and 0.6 margins, different at 0.4 and 0.9."""
    sampled = dict.fromkeys(SETS, np.float32([0.1, 0.6, 0.4, 0.9]) * margin)
    return PairDistances(sampled, SMALL, np.zeros(0), 0.5, margin)


def add_run(**changes):
    run = make_run(**changes)
    result_files.add_trainings([run], [make_distances(run.record["config"]["margin"])])


def assert_numbers_alone(text):
    for sign in ("±", "\N{MINUS SIGN}", "95 %", "interval"):
        assert sign not in text


def assert_figures_are_numbers(rows):
    for column in ("mean", "low", "high", "seeds"):
        assert pd.api.types.is_numeric_dtype(rows[column]), column
    assert set(rows["unit"].fillna("")) <= UNITS


SHAPES = {
    "a series": pd.Series({"a": measurement(SAMPLE, "%"), "b": measurement([0.5])}).rename_axis(
        "of"
    ),
    "two names": pd.Series({("a", "b"): measurement(SAMPLE) - 1.0}).rename_axis(["set", "metric"]),
    "a frame": pd.DataFrame(
        {"seen": [measurement(SAMPLE)], "all": [measurement([-2, -1])]}, ["base"]
    ),
    "a panel": pd.DataFrame({("seen", "AUC"): {"base": measurement(SAMPLE)}}).rename_axis(
        "encoder"
    ),
    "beside words": pd.DataFrame(
        {"ours": [measurement([1, 2], "%")], "near": ["yes"], "2019": [3.5]}
    ),
    "intervals": pd.Series({"a": Interval(-0.5, -1.0, 0.0, 3, "points", True)}).rename_axis("of"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_files_of_measured_figures_hold_numbers_and_names_alone(results, shape):
    result_files.save(SHAPES[shape], "sample")
    text = (results / "sample.csv").read_text(encoding="utf-8")
    assert_numbers_alone(text)
    assert text.splitlines()[0].endswith("mean,low,high,seeds,unit")
    assert_figures_are_numbers(result_files.read("sample"))
    assert not list(results.glob(".*"))  # no scratch file is left


@pytest.mark.parametrize("shape", SHAPES)
def test_figures_are_read_as_they_were_saved(results, shape):
    result_files.save(SHAPES[shape], "sample")
    figures = result_files.read_measurements("sample")
    saved = [f for f in SHAPES[shape].to_numpy().ravel() if isinstance(f, Measurement | Interval)]
    assert len(figures) == len(saved)
    for figure, original in zip(figures, saved, strict=True):
        expected = getattr(original, "interval", original)
        for name in ("mean", "seeds", "unit"):
            assert getattr(figure, name) == getattr(expected, name)
        ends = [expected.low, expected.high]
        assert [figure.low, figure.high] == pytest.approx(ends, 0, 0, True)


def test_figures_are_read_with_their_index(results):
    panel = pd.DataFrame(
        {("seen", "AUC"): {"a": measurement([0.5]), "b": measurement([0.75])}}
        | {("all", "AUC"): {"a": measurement([0.25]), "b": measurement([1.0])}}
    )
    result_files.save(panel.rename_axis("encoder").rename_axis(["set", "metric"], axis=1), "panel")
    figures = result_files.read_measurements("panel")
    assert figures.index.names == ["encoder", "set", "metric"]
    assert figures["b", "seen", "AUC"].mean == 0.75
    assert figures.xs("AUC", level="metric").unstack("set").loc["a", "all"].mean == 0.25
    assert result_files.read_measurements("panel", results)["b", "all", "AUC"].mean == 1.0


def test_a_figure_of_one_seed_has_no_interval_in_a_file(results):
    result_files.save(pd.Series({"a": measurement([0.5], "%")}).rename_axis("of"), "sample")
    assert (results / "sample.csv").read_text().splitlines()[1] == "a,0.5,,,1,%"
    assert not result_files.read_measurements("sample")["a",].has_ends


def test_a_series_of_figures_becomes_rows():
    rows = result_files.to_rows(pd.Series({"a": measurement([69, 71], "%")}).rename_axis("of"))
    # one step to either side of 70, t for 1 degree of freedom 12.7062
    assert rows[["of", "mean", "seeds", "unit"]].to_numpy().tolist() == [["a", 70, 2, "%"]]
    assert rows[["low", "high"]].to_numpy()[0] == pytest.approx([57.2938, 82.7062])


def test_the_values_behind_a_figure_become_rows():
    alone = result_files.values_of(measurement(SAMPLE, "%"))
    assert alone.columns.tolist() == ["seed", "group", "value"]
    assert alone.fillna({"group": ""}).to_numpy().tolist() == [
        [seed, "", value] for seed, value in enumerate(SAMPLE)
    ]
    found = Measurement(np.array([1.5, 3.0]), np.array([[1, 2], [2, 5.0]]))
    assert result_files.values_of(found).fillna({"group": ""}).to_numpy().tolist() == [
        [0, "", 1.5],
        [1, "", 3.0],
        [0, "0", 1.0],
        [0, "1", 2.0],
        [1, "0", 2.0],
        [1, "1", 5.0],
    ]
    difference = found - measurement([1, 1])  # which has no groups, since one of the two has none
    assert result_files.values_of(difference)["value"].tolist() == [0.5, 2.0]


def test_the_values_behind_a_figure_are_saved_to_the_last_digit(results):
    groups = np.random.default_rng(0).random((3, 4))
    found = Measurement(np.array(SAMPLE), groups)
    for name in ("a", "b"):
        values = result_files.values_of(found).assign(claim=name)
        result_files.add(values, "values", "claim")
    table = result_files.read("values")
    assert len(table) == 2 * (3 + 3 * 4)
    for name in ("a", "b"):
        own = table[table["claim"] == name]
        assert own.loc[own["group"].isna(), "value"].tolist() == SAMPLE
        grouped = own[own["group"].notna()].astype({"group": float})
        again = grouped.pivot(index="seed", columns="group", values="value").to_numpy()
        assert again.tolist() == groups.tolist()


def test_columns_without_figures_become_index_columns(results):
    result_files.save(SHAPES["beside words"].rename_axis("set"), "sample")
    [row] = result_files.read("sample").to_dict("records")
    assert [row["near"], row["2019"], row["metric"], row["mean"]] == ["yes", 3.5, "ours", 1.5]


def test_plain_tables_are_read_as_they_were_saved(results):
    result_files.save(pd.DataFrame({"value": SAMPLE}), "sample")
    assert result_files.read("sample")["value"].tolist() == SAMPLE
    result_files.save(pd.Series({"a": 0.1}, name="share").rename_axis("of"), "sample")
    assert result_files.read("sample").to_dict("records") == [{"of": "a", "share": 0.1}]


def test_reading_a_missing_table_raises_an_error(results):
    with pytest.raises(FileNotFoundError):
        result_files.read("sample")


def test_added_figures_replace_those_with_the_same_index(results):
    def panel_of(encoder, value):
        figures = pd.Series({("seen", "accuracy, 0.5"): measurement([value, value], "%")})
        return pd.DataFrame({encoder: figures.rename_axis(["set", "metric"])}).T.rename_axis(
            "encoder"
        )

    for encoder, value in (("b", 80), ("a", 90), ("a", 91)):
        result_files.add(panel_of(encoder, value), "another-panel")
    assert result_files.read("another-panel")[
        ["encoder", *result_files.INTERVAL_COLUMNS[:4]]
    ].to_numpy().tolist() == [
        ["a", 91, 91, 91, 2],
        ["b", 80, 80, 80, 2],
    ]


def test_added_rows_can_replace_a_whole_group(results):
    def rows(of, *names):
        return pd.DataFrame({"of": of, "figure": names, "mean": range(len(names))})

    for of, *names in (("b", "z", "y", "x"), ("a", "v"), ("b", "w", "u")):
        result_files.add(rows(of, *names), "sample", "of")
    assert result_files.read("sample").to_numpy().tolist() == [
        ["a", "v", 0],
        ["b", "w", 0],
        ["b", "u", 1],
    ]


def test_accuracies_of_a_training_run(results):
    add_run(margin=5.0)
    table = result_files.read("accuracy")
    assert len(table) == 5 * 3
    seen = table[table["set"] == "seen"].set_index("rule")
    # at 0.5 all four but none at exactly 0.5: 0.5 is not above 0.5, so 1 same is right; 2 different are
    assert seen.loc["0.5", "accuracy"] == 75
    # at 2.5: same 0.5 right, same 3.0 wrong, different 2.0 wrong, different 4.5 right
    assert seen.loc["m/2", ["threshold", "accuracy"]].tolist() == [2.5, 50]
    assert seen.loc["tuned", "accuracy"] == 75
    # of four (different, same) couples three have the different one farther apart
    assert seen["AUC"].tolist() == [0.75] * 3


def test_accuracies_and_histories_have_all_fields_of_the_config(results):
    add_run()
    fields = list(asdict(TrainingConfig()))
    assert list(result_files.read("accuracy")) == [
        *fields,
        "set",
        "rule",
        "threshold",
        "accuracy",
        "AUC",
    ]
    history = result_files.read("histories")
    assert list(history) == [*fields, "epoch", "loss", "accuracy"]
    assert history["epoch"].tolist() == [1, 2]
    assert history["accuracy"].tolist() == [0.5, 0.75]
    assert not list(results.glob(".*"))


CHANGES = [
    {"task": "triplet"},
    {"pair_sampling": "each epoch"},
    {"seen": (1, 2)},
    {"batch_size": 64},
    {"images_per_class": 1000},
    {"dataset": "fashion-mnist"},
    {"model": "complex"},
    {"margin": 5.0},
    {"optimizer": "adam"},
    {"learning_rate": 0.01},
    {"epochs": 3},
    {"seed": 1},
    {"precision": "mixed_bfloat16"},
    {"labelled": 20},
    {"steps_per_epoch": 10},
]


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_runs_that_differ_in_one_field_both_keep_their_rows(results, changes):
    for each in ({}, changes, {}, changes):  # and each stands once, however often it is added
        add_run(**each)
    accuracy, history = result_files.read("accuracy"), result_files.read("histories")
    assert len(accuracy) == 2 * 15
    assert len(history) == 2 * 2
    [field] = changes
    for table in (accuracy, history):
        assert table[field].nunique(dropna=False) == 2


def test_every_field_of_a_config_is_tested():
    assert {field for changes in CHANGES for field in changes} == set(asdict(TrainingConfig()))


def test_runs_added_in_any_order_have_one_row_each(results):
    for changes in ({}, *CHANGES, *reversed(CHANGES), {}):
        add_run(**changes)
    text = (results / "accuracy.csv").read_text()
    assert len(result_files.read("accuracy")) == 15 * (1 + len(CHANGES))
    assert not result_files.read("accuracy").duplicated().any()
    add_run(**CHANGES[0])
    assert (results / "accuracy.csv").read_text() == text


def test_several_runs_are_added_in_one_call(results):
    runs = [make_run(seed=seed) for seed in (0, 1, 2)]
    result_files.add_trainings(runs, [make_distances()] * 3)
    assert result_files.read("accuracy")["seed"].value_counts().to_dict() == {0: 15, 1: 15, 2: 15}
    with pytest.raises(ValueError, match="shorter"):
        result_files.add_trainings(runs, [make_distances()])


def test_a_run_loaded_from_the_cache_is_the_same_run(results, store):
    run = make_run(seen=(3, 1), images_per_class=1000)
    cache.save(run)
    for one in (run, cache.load("a run")):
        result_files.add_trainings([one], [make_distances()])
    accuracy = result_files.read("accuracy")
    assert len(accuracy) == 15
    assert set(accuracy["seen"]) == {"1 3"}
    assert set(accuracy["images_per_class"]) == {1000}


def test_metrics_of_training_runs_are_saved_by_name(results, digits, monkeypatch):
    counts = np.ones((10, 10, 4), dtype=np.int64)
    all_pairs = PairHistogram(counts, 0.25, digits.classes)
    one = replace(make_distances(), all_pairs=all_pairs, groups=np.ones((2, 3, 2, 4)))
    monkeypatch.setattr(result_files.pair_distances, "of_trained", lambda runs: [one] * len(runs))
    runs = {name: [make_run(model=name, seed=s) for s in (0, 1)] for name in ("base", "complex")}
    distances, of_sampled, of_all = result_files.record_metrics(runs, digits, "{}, m = 1")
    assert distances == {"base": [one, one], "complex": [one, one]}
    assert of_sampled.index.tolist() == of_all.index.tolist() == ["base", "complex"]
    assert f"{of_sampled.loc['base', ('seen', 'AUC')]}" == "0.750 ± 0.000"
    assert len(result_files.read("accuracy")) == 4 * 15
    assert (
        result_files.read_measurements("panel-of-drawn")["base, m = 1", "seen", "AUC"].mean == 0.75
    )
    assert result_files.read_measurements("panel")["complex, m = 1", "unseen", "AUC"].mean == 0.5


def test_facts_are_read_as_they_were_saved(results):
    result_files.save_facts("sample", one=1, gaps={"seen": 0.5}, words=["a", "b"], no=None)
    facts = {"one": 1, "gaps": {"seen": 0.5}, "words": ["a", "b"], "no": None}
    assert result_files.read_facts("sample") == facts


def test_measured_facts_are_read_as_intervals(results):
    figure = measurement(SAMPLE, "%")
    result_files.save_facts(
        "sample", a=figure, of={"b": [figure.interval, 1]}, alone=measurement([0.25])
    )
    text = (results / "sample.json").read_text(encoding="utf-8")
    assert_numbers_alone(text)
    facts = result_files.read_facts("sample")
    assert facts["a"] == figure.interval == facts["of"]["b"][0]
    assert [facts["alone"].mean, facts["alone"].seeds] == [0.25, 1]
    assert not facts["alone"].has_ends
    stored = json.loads(text)["a"]
    assert set(stored) == set(result_files.INTERVAL_COLUMNS)
    types = [type(stored[name]) for name in result_files.INTERVAL_COLUMNS]
    assert types == [float, float, float, int, str]


def test_a_fact_that_is_no_number_is_refused(results):
    with pytest.raises(ValueError, match="JSON"):
        result_files.save_facts("sample", a=float("nan"))
    assert not (results / "sample.json").exists()


def save_twice(number, config, **circumstances):
    """Save a training run twice, as if it were trained and then loaded: it is recorded once."""
    record = {"config": asdict(config), "kind": config.kind, "key": f"key {number}"}
    record |= {"seconds": number}
    for _ in range(2):
        cache.save(TrainingResult(record | {"precision": "float32"} | circumstances, {}, []))


def test_a_report_lists_the_training_runs_it_uses(results, store):
    short = TrainingConfig(dataset="digits", epochs=1)
    transfer = TransferConfig(5, epochs=9)
    longer = replace(transfer, epochs=10)  # trained by itself, it does not pass through the other
    for number, config in enumerate((replace(short, epochs=2), short, transfer, longer)):
        save_twice(number, config)
    table = result_files.read_trainings()
    assert table["kind"].tolist() == ["base, contrastive"] * 2 + ["transfer to textures"] * 2
    assert table["on_the_way"].tolist() == [True, False, False, False]
    assert table["seconds"].tolist() == [1, 0, 2, 3]


def test_training_runs_are_listed_by_kind_and_machine(results, store):
    machines = [{"cpu": "one", "gpu": None}, {"gpu": None, "cpu": "one"}, {"cpu": "two"}]
    configs = [
        TrainingConfig(model="complex", task="triplet", seen=(1, 2)),
        TrainingConfig(images_per_class=1000),
        PretrainingConfig(epochs=3),
        SmallEncoderConfig(seen=(1, 2)),
    ]
    machines.append(machines[0])
    for number, (config, machine) in enumerate(zip(configs, machines, strict=True)):
        save_twice(number, config, machine=machine)
    table = result_files.read_trainings().set_index("seconds")
    assert table.loc[[0, 1, 2, 3], "kind"].tolist() == [
        "complex, triplet, another class split",
        "base, contrastive, 1,000 images a class",
        "pretraining on digits",
        "small encoder, supervised contrastive, 8 synthetic classes, 100 steps, class splits",
    ]
    assert table["epochs"].notna().all()
    # the same machine in another order of its parts is the same
    assert table.loc[0, "setting"] == table.loc[1, "setting"] != table.loc[2, "setting"]


def test_merged_results_of_several_notebooks_have_each_row_once(tmp_path):
    first, second, target = (tmp_path / name for name in ("a", "b", "whole"))
    for folder in (first, second):
        folder.mkdir()
        (folder / cache.TRAININGS_FILE).write_text('{"key": "shared"}\n')
        (folder / cache.USED_FILE).write_text("not a result\n")
    (first / "panel.csv").write_text("encoder,mean\nbase,0.30000000000000004\nseen,\n")
    (second / "panel.csv").write_text("encoder,mean,also\nbase,0.30000000000000004,\nnew,1e-3,x\n")
    (second / "facts.json").write_text("{}\n")
    with (second / cache.TRAININGS_FILE).open("a") as file:
        file.write('{"key": "own"}\n')
    result_files.merge([first, second], target)
    assert (target / "panel.csv").read_text() == (
        "encoder,mean,also\nbase,0.30000000000000004,\nseen,,\nnew,1e-3,x\n"
    )
    assert (target / "facts.json").read_text() == "{}\n"
    assert (target / cache.TRAININGS_FILE).read_text() == '{"key": "shared"}\n{"key": "own"}\n'
    assert not (target / cache.USED_FILE).exists()
    third = tmp_path / "c"
    third.mkdir()
    (third / "headlines.csv").write_text("a\n1\n")
    (third / "panel.csv").write_text("encoder,mean,also\nlast,2,\n")
    result_files.merge([third], target)  # those that read the others come later
    assert (target / "panel.csv").read_text().endswith("new,1e-3,x\nlast,2,\n")
    assert (target / "headlines.csv").read_text() == "a\n1\n"


def test_each_csv_of_the_report_is_described():
    names = {path.stem for path in (settings.REPORTS / "results").glob("*.csv")}
    if not names:
        pytest.skip("there is no report here")
    assert names <= set(result_files.FILES)


def test_the_values_behind_the_intervals_of_the_summary_are_saved(results, digits):
    measured = {
        ("seen", "AUC"): Measurement(np.array([0.7, 0.9]), np.array([[0.6, 0.8], [0.9, 0.8]])),
        ("seen", "EER"): Measurement(np.array([20.0, 30.0])),
    }
    frame = pd.DataFrame({"base": measured}, dtype=object).T.rename_axis("encoder")
    frame.columns = frame.columns.set_names(["set", "metric"])
    for name in ("base", "other", "base"):  # what is measured again is written once
        result_files.add(frame.set_axis([name]).rename_axis("encoder"), "panel")
    saved = result_files.read("panel-values")
    assert saved.columns.tolist() == ["encoder", "set", "metric", "seed", "group", "value"]
    assert set(saved["metric"]) == {"AUC"}
    assert len(saved) == 2 * 6
    base = saved[saved["encoder"] == "base"]
    assert base[base["group"].isna()]["value"].tolist() == [0.7, 0.9]
    assert base[base["group"] == "1"]["value"].tolist() == [0.8, 0.8]
    assert not (results / "panel-of-drawn-values.csv").exists()
