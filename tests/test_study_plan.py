from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from siamese_utils.reporting import published_results
from siamese_utils.training import (
    ablations,
    pair_training,
    small_encoder,
    study_plan,
    trainer,
    transfer,
)
from siamese_utils.training import cache as keep
from siamese_utils.training.cache import TrainingResult
from siamese_utils.training.pair_training import TrainingConfig
from siamese_utils.training.small_encoder import SmallEncoderConfig
from siamese_utils.training.transfer import PretrainingConfig, TransferConfig

CHAPTERS = [
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "07",
    "08",
    "09",
    "10",
    "11",
    "12",
    "13",
    "14",
    "00",
]
# Of the first study, for each seed: base, and margin 3 for an exercise; complex and its two brakes alone; two more networks of
# margin 5 and two more margins; four more optimizers; triplets; a classifier.
FIRST_STUDY = {"03": 1 + 1, "04": 1 + 2, "05": 2 + 2, "06": 4, "07": 1, "08": 1}
# What the others need is passed through: nothing more is trained.


@pytest.fixture(params=["quick", "full"])
def plan(request):
    return study_plan.make_plan(request.param, "digits")


@pytest.fixture
def trained(store, monkeypatch):
    """The steps that are trained, in order; nothing is computed, but all is stored as it would be."""
    done = []

    def train_experiment(experiment, keys):
        done.append(experiment)
        runs = []
        for epochs, key in keys.items():
            fields = vars(replace(experiment, epochs=epochs))
            runs.append(TrainingResult({"experiment": fields, "key": key}, {"loss": [0.5]}, []))
            keep.save(runs[-1])
        return runs

    def train_step(step, *_):
        done.append(step)
        return {}, {"loss": [0.5]}, [], {}

    def no_encoder(step):
        if step.start == "pretrained":
            trainer.train(step.pretraining)
        return SimpleNamespace(get_weights=list)

    def train_many(step, *_):
        done.append(step)
        return SimpleNamespace(get_weights=list), {"loss": [0.5]}

    monkeypatch.setattr(trainer, "_train", train_experiment)
    monkeypatch.setattr(small_encoder, "fit", train_many)
    monkeypatch.setattr(transfer, "_pretrain", train_step)
    monkeypatch.setattr(transfer, "_fine_tune", train_step)
    monkeypatch.setattr(transfer, "build_encoder", no_encoder)
    monkeypatch.setattr(trainer, "describe_machine", dict)
    return done


def settled(steps):
    return [s.resolve() if isinstance(s, TrainingConfig) else s for s in steps]


def test_a_fresh_run_trains_what_is_counted_by_hand(store, plan):
    pending = study_plan.pending(plan, CHAPTERS)
    assert list(pending) == CHAPTERS
    of_first = {
        chapter: [s for s in steps if isinstance(s, TrainingConfig)]
        for chapter, steps in pending.items()
        if chapter not in ("09", "11")
    }
    numbers = {chapter: len(steps) / plan.seeds for chapter, steps in of_first.items() if steps}
    assert numbers == FIRST_STUDY
    of_second = [s for s in pending["07"] if isinstance(s, (PretrainingConfig, TransferConfig))]
    numbers, repeats = len(plan.profile.pair_numbers), plan.profile.transfer_seeds
    # pretrained; then from each number of pairs with it and without; from 50 in two more ways,
    # and on fainter contrasts
    fainter = {"quick": 1, "full": 3}[plan.profile.name]
    assert len(of_second) == repeats * (1 + 2 * numbers + 2 * 2 + 2 * fainter)
    # the recipe on the study's split, with two networks
    assert sum(isinstance(s, SmallEncoderConfig) for s in pending["07"]) == 2 * plan.seeds
    looked_at, drawn, again = plan.profile.num_unseen_splits
    # of the recipe two; ten ways in which one network is changed, and the study's two trainings
    varied = plan.profile.num_ablation_splits
    assert len(pending["11"]) == (drawn + looked_at + again) * 2 + varied * 12
    lottery = (
        plan.profile.num_class_splits
        + plan.profile.study_split_seeds
        + plan.profile.num_fully_trained
    )
    # in the quick profile two seeds of the study's own choice are the base model half-way
    assert len(pending["09"]) == lottery - (2 if plan.profile.name == "quick" else 0)


def test_what_is_pending_is_what_is_trained(plan, trained):
    pending = study_plan.pending(plan, CHAPTERS)
    for steps in pending.values():
        for step in steps:
            before = len(trained)
            run = trainer.train(step, plan.milestones(step))
            assert trained[before:] == settled([step])
            assert run.key == step.resolve().key()
    assert study_plan.pending(plan, CHAPTERS) == {chapter: [] for chapter in CHAPTERS}
    # and the notebooks, who ask for it in their own words, find all of it
    before = len(trained)
    for experiments in plan.chapters().values():
        for experiment in experiments:
            runs = plan.train(experiment)
            assert len(runs) == plan.seeds
            assert [pair_training.config_of(run) for run in runs] == settled(
                replace(experiment, seed=seed) for seed in range(plan.seeds)
            )
    for experiment in [
        *(e for part in plan.class_split_configs() for e in part),
        *plan.fully_trained_configs(),
    ]:
        trainer.train(experiment)
    for splits in plan.class_splits().values():
        for split in splits:
            trainer.train(split)
    for split in plan.ablation_splits():
        for step in ablations.trainings(split):
            trainer.train(step)
    for step in [
        *plan.pretrainings(),
        *(s for steps in plan.transfers().values() for s in steps),
        *(s for steps in plan.transfers_by_contrast().values() for s in steps),
    ]:
        trainer.train(step)
    assert len(trained) == before


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_by_itself_trains_all_that_it_needs(chapter, trained):
    plan = study_plan.make_plan("quick", "digits", seeds=1)
    [pending] = study_plan.pending(plan, [chapter]).values()
    for step in pending:
        trainer.train(step, plan.milestones(step))
    assert trained == settled(pending)
    for experiment in plan.chapters().get(chapter, ()):
        plan.train(experiment)
    assert trained == settled(pending)


def test_what_is_stored_is_not_pending(plan, trained):
    [first, *_] = study_plan.pending(plan, ["03"])["03"]
    trainer.train(first, plan.milestones(first))
    assert first not in study_plan.pending(plan, CHAPTERS)["03"]
    path = keep.path_of(first.resolve().key())
    path.unlink()
    assert study_plan.pending(plan, CHAPTERS)["03"][0] == first


def test_what_a_longer_training_passes_through_is_not_pending(store, plan):
    base = plan.config()
    shorter = [replace(base, epochs=n) for n in plan.profile.milestones]
    assert all(e.epochs < base.epochs for e in shorter)
    found = study_plan.pending(plan, ["03", "10"])
    assert found["10"] == []
    [alone] = study_plan.pending(plan, ["10"]).values()
    assert alone == [replace(base, seed=seed) for seed in range(plan.seeds)]
    # an epoch of the base model is not on the way of another one
    assert plan.short_config(model="dropout") in study_plan.pending(plan, ["04"])["04"]
    assert plan.short_config(model="complex") not in study_plan.pending(plan, ["04"])["04"]


def test_a_shorter_training_is_pending_where_only_the_longer_one_is_stored(plan, trained):
    for step in study_plan.pending(plan, ["04"])["04"]:
        trainer.train(step, plan.milestones(step))
    short = replace(plan.short_config(model="complex"), seed=0)
    assert study_plan.pending(plan, CHAPTERS)["04"] == []
    keep.path_of(short.resolve().key()).unlink()
    assert study_plan.pending(plan, CHAPTERS)["04"] == [short]


def test_a_seed_that_is_not_stored_is_pending(trained):
    one, three = (study_plan.make_plan("quick", "digits", seeds=n) for n in (1, 3))
    for step in study_plan.pending(one, ["03"])["03"]:
        trainer.train(step, one.milestones(step))
    assert [step.seed for step in study_plan.pending(three, ["03"])["03"]] == [1, 2] * 2


def test_every_step_has_a_label_and_takes_time(plan):
    kinds = set()
    for chapter in CHAPTERS:
        steps = list(plan.steps(chapter))
        assert len(steps) == len(set(steps))
        for step in steps:
            kinds.add(type(step))
            assert step.label
            assert f"seed {step.seed}" in step.label
            assert study_plan.expected_seconds(step) > 0
    assert kinds == {TrainingConfig, PretrainingConfig, TransferConfig, SmallEncoderConfig}


def test_more_work_takes_longer(plan):
    base = plan.config()
    short, part = plan.short_config(), replace(base, images_per_class=50)
    assert study_plan.expected_seconds(short) < study_plan.expected_seconds(base)
    assert study_plan.expected_seconds(part) < study_plan.expected_seconds(base)
    long, short = TransferConfig(50, epochs=100), TransferConfig(5)
    assert study_plan.expected_seconds(short) < study_plan.expected_seconds(long)


def test_longer_trainings_come_before_shorter_ones_that_they_pass_through(plan):
    for chapter in ("03", "04", "05", "06", "08", "10"):
        epochs = [step.epochs for step in plan.steps(chapter) if isinstance(step, TrainingConfig)]
        assert epochs == sorted(epochs, reverse=True)
    steps = list(plan.steps("07"))
    assert [s for s in steps if isinstance(s, PretrainingConfig)] == steps[
        : plan.profile.transfer_seeds
    ]


def test_the_tables_of_the_study_are_trained_in_full_and_comparisons_are_short(plan):
    assert plan.config().epochs == plan.profile.epochs
    assert plan.short_config().epochs == plan.profile.short_epochs < plan.profile.epochs
    assert plan.short_config() == plan.config(epochs=plan.profile.short_epochs)
    assert plan.profile.short_epochs in plan.profile.milestones  # longer trainings pass through it
    assert plan.short_adadelta() in plan.chapters()["06"]
    every = [e for chapter in plan.chapters().values() for e in chapter]
    for table in published_results.TEST_ACCURACY.itertuples():
        assert plan.config(model=table.model, margin=table.margin) in every


def test_the_lottery_has_other_choices_of_six_classes_each_once(plan):
    others, own = plan.class_split_configs()
    assert len(others) == plan.profile.num_class_splits
    assert len({e.seen for e in others}) == len(others)
    assert {len(e.seen) for e in others} == {6}
    assert plan.images.seen not in {e.seen for e in others}
    assert [e.seed for e in others] == list(range(len(others)))
    assert [(e.seen, e.seed) for e in own] == [
        (None, s) for s in range(plan.profile.study_split_seeds)
    ]
    assert plan.class_split_configs() == (others, own)
    # beside the choice and the seed, all of them are the same
    assert len({replace(e, seen=None, seed=0) for e in (*others, *own)}) == 1


def test_some_choices_of_the_lottery_are_trained_as_the_study_trains(plan):
    chosen, (others, _) = plan.fully_trained_configs(), plan.class_split_configs()
    assert len(chosen) == plan.profile.num_fully_trained
    assert {e.seen for e in chosen} < {e.seen for e in others}
    # the first ones drawn, not those that come first in the classes' order
    drawn = np.random.default_rng(0).choice(209, plan.profile.num_class_splits, replace=False)
    places = sorted(drawn).index(drawn[0])
    assert chosen[0].seen == others[places].seen
    assert {replace(e, seen=None, seed=0) for e in chosen} == {plan.config()}
    assert [e.seed for e in chosen] == list(range(len(chosen)))


def test_many_classes_make_a_step_larger(plan, monkeypatch):
    assert plan.config().batch_size == 128
    many = SimpleNamespace(seen=tuple(range(70)))
    monkeypatch.setattr(study_plan.datasets, "load", lambda *_: many)
    assert plan.config().batch_size == 140


def test_a_plan_knows_its_data_and_its_seeds():
    plan = study_plan.make_plan("quick", "digits", seeds=5)
    assert plan.seeds == 5
    assert plan.images.name == plan.config().dataset == "digits"
    assert np.bincount(plan.images.labels).max() <= plan.profile.images_per_class
    for mistake in ({"profile": "fast"}, {"profile": "quick", "seeds": 0}):
        with pytest.raises(ValueError, match=r"fast|seeds"):
            study_plan.make_plan(dataset="digits", **mistake)
    with pytest.raises(ValueError, match="unknown data set"):
        study_plan.make_plan("quick", "mnist")


@pytest.mark.parametrize("profile", ["quick", "full"])
def test_the_splits_of_unseen_classes_are_drawn_apart(profile):
    plan = study_plan.make_plan(profile, "digits")
    splits = plan.class_splits()
    sets = {name: {split.seen for split in of} for name, of in splits.items()}
    assert tuple(len(of) for of in sets.values()) == plan.profile.num_unseen_splits
    assert len(set().union(*sets.values())) == sum(map(len, sets.values()))
    assert plan.images.seen in sets["looked at"]
    assert plan.class_splits() == splits
