from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from siamese_utils import settings
from siamese_utils.publishing import chapters
from siamese_utils.reporting import published_results
from siamese_utils.training import (
    cache,
    new_class_networks,
    pair_training,
    small_encoder,
    study_plan,
    trainer,
    transfer,
)
from siamese_utils.training.config import Fitted
from siamese_utils.training.pair_training import TrainingConfig
from siamese_utils.training.small_encoder import SmallEncoderConfig
from siamese_utils.training.transfer import PretrainingConfig, TransferConfig

SUMMARY, *OTHERS = [chapter.name for chapter in chapters.list_chapters()]
NOTEBOOKS = [*OTHERS, SUMMARY]  # in the order in which they run
YOUR_IMAGES = chapters.USER_IMAGES
# What the first study trains, for each seed: base, and margin 3 for an exercise; dropout and complex,
# and regularisers alone; two more networks of margin 5 and two more margins; Adadelta at two learning
# rates, and two more optimizers in short; triplets; a classifier, and the base model by Adadelta. All
# else that a notebook needs is a milestone of these.
FIRST_STUDY = {
    "03-base-model": 1 + 1,
    "04-complex-model": 2 + 1,
    "05-margin-study": 1 + 2,  # page 03 trains the base model with margin 5
    "06-optimizer-comparison": 2 + 2,
    "07-one-shot-transfer": 1,
}


def configs_in_notebooks(plan):
    """What each notebook asks for in its own words, for all seeds: name -> configs."""
    base, complex_ = plan.config(), plan.config(model="complex")
    wide = plan.config(model="complex", margin=5.0)

    def optimized(name):
        optimizer, rate = study_plan.COMPARED_OPTIMIZERS[name]
        return {"model": "complex", "optimizer": optimizer, "learning_rate": rate}

    return {
        "03-base-model": [base, plan.short_config(margin=5.0)],
        "04-complex-model": [
            *(base, plan.config(model="dropout"), complex_),
            *(
                plan.short_config(model=model)
                for model in ("base", "dropout", "regularisers", "complex")
            ),
        ],
        "05-margin-study": [
            *(complex_, wide),
            *(plan.short_config(margin=margin) for margin in study_plan.CLAIMED_MARGINS),
            *(plan.short_config(model="complex", margin=margin) for margin in study_plan.MARGINS),
        ],
        "06-optimizer-comparison": [
            *(plan.config(**optimized(name)) for name in study_plan.CLAIMED_OPTIMIZERS),
            *(plan.short_config(**optimized(name)) for name in study_plan.COMPARED_OPTIMIZERS),
        ],
        "07-one-shot-transfer": [
            *(base, complex_, wide, plan.short_config(), plan.short_config(task="triplet"))
        ],
        "08-baselines": [
            *(base, complex_, plan.short_config(task="softmax"), plan.short_adadelta())
        ],
        "10-embeddings": [
            *(plan.config(epochs=epochs) for epochs in plan.profile.milestones),
            base,
        ],
        YOUR_IMAGES: [base, complex_],
    }


@pytest.fixture(params=["quick", "full"])
def plan(request):
    return study_plan.make_plan(request.param, "digits")


@pytest.fixture
def trained(store, monkeypatch):
    """The trained configs, in order; nothing is computed, but results are cached as they would be."""
    configs = []
    encoder = SimpleNamespace(get_weights=list, count_params=int)

    def fit(config, *arguments):
        configs.append(config)
        [end_epoch] = [one for one in arguments if callable(one)]
        for _ in range(config.epochs):
            end_epoch({"loss": 0.5}, encoder)
        return Fitted(encoder, {"loss": [0.5] * config.epochs})

    def build_encoder(config):
        if config.start == "pretrained":
            trainer.train(config.pretraining)
        return encoder

    monkeypatch.setattr(pair_training, "fit", fit)
    monkeypatch.setattr(small_encoder, "fit", fit)
    monkeypatch.setattr(transfer, "pretrain", fit)
    monkeypatch.setattr(transfer, "fine_tune", fit)
    monkeypatch.setattr(transfer, "build_encoder", build_encoder)
    monkeypatch.setattr(trainer, "embed", lambda *_: None)
    monkeypatch.setattr(trainer, "describe_machine", dict)
    return configs


def train_pending(plan, notebooks):
    """Train what notebooks lack, and return it."""
    pending = study_plan.pending(plan, notebooks)
    configs = [config for of_notebook in pending.values() for config in of_notebook]
    for config in configs:
        trainer.train(config, plan.milestones(config))
    return configs


def resolved(configs):
    return [config.resolve() for config in configs]


def is_of_second_study(config):
    return isinstance(config, PretrainingConfig | TransferConfig)


def test_the_configs_of_a_fresh_run_are_those_counted_by_hand(store, plan):
    pending = study_plan.pending(plan, NOTEBOOKS)
    assert list(pending) == NOTEBOOKS
    of_first_study = {
        notebook: [c for c in configs if isinstance(c, TrainingConfig)]
        for notebook, configs in pending.items()
        if notebook not in ("08-baselines", "09-new-classes")
    }
    numbers = {
        notebook: len(configs) / plan.seeds
        for notebook, configs in of_first_study.items()
        if configs
    }
    assert numbers == FIRST_STUDY
    one_shot = pending["07-one-shot-transfer"]
    numbers, seeds = len(plan.profile.pair_numbers), plan.profile.transfer_seeds
    # pretrained; then from each number of pairs with it and without, and from 50 with triplets
    of_second_study = seeds * (1 + 2 * numbers + 2)
    assert sum(map(is_of_second_study, one_shot)) == of_second_study
    # the ensemble on the study's split, with two networks
    assert sum(isinstance(c, SmallEncoderConfig) for c in one_shot) == 2 * plan.seeds
    # on each test split the ensemble's two networks with 0, 20 and 50 labelled images, the last layer of
    # one with 20 and 50, and the base model with 20 and, if 08 has not trained it, 0; on the others the
    # ensemble's alone
    development, test = plan.profile.num_new_class_splits
    numbers = 4 * plan.profile.num_class_number_repetitions
    trained = new_class_networks.BASE_EPOCHS in plan.epoch_numbers
    known = plan.profile.num_study_network_splits if trained else 0
    assert len(pending["09-new-classes"]) == (
        test * (3 * 2 + 2 + 2) - known + development * 2 + numbers + len(plan.upper_bounds())
    )
    # on each test split the base model, also for a few steps, and the complex model with two margins; and,
    # if it is no milestone, the base model as it is compared with these; on some splits the base model
    # without each half of its seen classes. On the study's split the classifier and the base model by
    # Adadelta.
    also = 0 if plan.profile.short_epochs in plan.epoch_numbers else 1
    halves = {
        (start.seen, start.seed)
        for split in plan.stopping_rule_splits()
        for start in new_class_networks.leave_seen_classes_out(split)
    }
    num_splits = plan.profile.num_study_network_splits
    each = 3 + also + len(plan.steps_below_an_epoch)
    assert len(pending["08-baselines"]) == num_splits * each + len(halves) + 2 * plan.seeds


@pytest.mark.slow
def test_pending_configs_are_those_that_are_trained(plan, trained):
    pending = study_plan.pending(plan, NOTEBOOKS)
    for configs in pending.values():
        for config in configs:
            before = len(trained)
            result = trainer.train(config, plan.milestones(config))
            assert trained[before:] == resolved([config])
            assert result.key == config.resolve().key()
    assert study_plan.pending(plan, NOTEBOOKS) == {notebook: [] for notebook in NOTEBOOKS}
    # and the notebooks, which ask for it in their own words, find all of it
    before = len(trained)
    for configs in configs_in_notebooks(plan).values():
        for config in configs:
            results = plan.train(config)
            assert len(results) == plan.seeds
            assert [pair_training.config_of(result) for result in results] == resolved(
                replace(config, seed=seed) for seed in range(plan.seeds)
            )
    for config in plan.study_network_configs():
        trainer.train(config)
    splits = plan.class_splits()
    for config in [
        *(c for split in splits["test"] for c in new_class_networks.all_configs(split)),
        *(c for split in splits["development"] for c in new_class_networks.without_labels(split)),
        *plan.class_number_configs(),
        *plan.upper_bounds(),
    ]:
        trainer.train(config)
    for config in [
        *(config for configs in plan.pretrainings().values() for config in configs),
        *(config for configs in plan.transfers().values() for config in configs),
    ]:
        trainer.train(config)
    for first in plan.ensemble_configs():
        for config in first.initialisations():
            trainer.train(config)
    assert len(trained) == before


@pytest.mark.parametrize("notebook", [*NOTEBOOKS, YOUR_IMAGES])
def test_a_notebook_by_itself_trains_all_that_it_needs(notebook, trained):
    plan = study_plan.make_plan("quick", "digits", seeds=1)
    pending = train_pending(plan, [notebook])
    assert trained == resolved(pending)
    for config in configs_in_notebooks(plan).get(notebook, ()):
        plan.train(config)
    assert trained == resolved(pending)


def test_each_chapter_of_the_plan_is_a_notebook():
    names = {notebook.partition("-")[2] for notebook in [*NOTEBOOKS, YOUR_IMAGES]}
    assert set(study_plan.CHAPTERS) <= names
    assert study_plan.make_plan("quick", "digits").configs(SUMMARY) == []


def test_a_cached_result_is_not_pending(plan, trained):
    [first, *_] = study_plan.pending(plan, ["03-base-model"])["03-base-model"]
    trainer.train(first, plan.milestones(first))
    assert first not in study_plan.pending(plan, NOTEBOOKS)["03-base-model"]
    path = cache.path_of(first.resolve().key())
    path.unlink()
    assert study_plan.pending(plan, NOTEBOOKS)["03-base-model"][0] == first


def test_milestones_of_a_longer_training_are_not_pending(store, plan):
    base = plan.config()
    shorter = [replace(base, epochs=n) for n in plan.profile.milestones]
    assert all(config.epochs < base.epochs for config in shorter)
    pending = study_plan.pending(plan, ["03-base-model", "10-embeddings"])
    assert pending["10-embeddings"] == []
    [alone] = study_plan.pending(plan, ["10-embeddings"]).values()
    assert alone == [replace(base, seed=seed) for seed in range(plan.seeds)]
    # an epoch of the base model is no milestone of another one
    [complex_model] = study_plan.pending(plan, ["04-complex-model"]).values()
    assert plan.short_config(model="regularisers") in complex_model
    for model in ("dropout", "complex"):
        assert plan.config(model=model) in complex_model
        assert plan.short_config(model=model) not in complex_model


def test_milestones_are_the_lengths_that_the_plan_asks_for(plan):
    base, short = plan.config(), plan.short_config()
    lengths = [*plan.profile.milestones, base.epochs]
    assert plan.milestones(base) == plan.milestones(replace(base, seed=1)) == lengths
    for changes in (
        {"model": "dropout"},
        {"model": "complex"},
        {"margin": 5.0, "model": "complex"},
    ):
        assert plan.milestones(plan.config(**changes)) == [short.epochs, base.epochs]
    adadelta = {"model": "complex", "optimizer": "adadelta"}
    for rate in (1.0, 0.001):
        config = plan.config(**adadelta, learning_rate=rate)
        assert plan.milestones(config) == [short.epochs, base.epochs]
    assert plan.milestones(replace(base, margin=7)) == []  # is not in the plan
    assert plan.milestones(plan.ensemble_configs()[0]) == []
    assert plan.milestones(TransferConfig()) == []


def test_a_missing_milestone_is_pending_even_if_the_longer_training_is_cached(plan, trained):
    train_pending(plan, ["04-complex-model"])
    short = replace(plan.short_config(model="complex"), seed=0)
    assert study_plan.pending(plan, NOTEBOOKS)["04-complex-model"] == []
    cache.path_of(short.resolve().key()).unlink()
    assert study_plan.pending(plan, NOTEBOOKS)["04-complex-model"] == [short]


def test_a_missing_seed_is_pending(trained):
    one, three = (study_plan.make_plan("quick", "digits", seeds=n) for n in (1, 3))
    train_pending(one, ["03-base-model"])
    [pending] = study_plan.pending(three, ["03-base-model"]).values()
    assert [config.seed for config in pending] == [1, 2] * 2


def test_each_config_has_a_label_a_kind_and_a_duration(plan):
    kinds = set()
    for notebook in NOTEBOOKS:
        configs = plan.configs(notebook)
        assert len(configs) == len(set(configs))
        for config in configs:
            kinds.add(type(config))
            assert config.label
            assert config.kind
            assert f"seed {config.seed}" in config.label
            assert config.expected_seconds() > 0
    assert kinds == {TrainingConfig, PretrainingConfig, TransferConfig, SmallEncoderConfig}


def test_more_work_takes_longer(plan):
    base = plan.config()
    short, part = plan.short_config(), replace(base, images_per_class=50)
    assert short.expected_seconds() < base.expected_seconds()
    assert part.expected_seconds() < base.expected_seconds()
    long, short = TransferConfig(50, epochs=100), TransferConfig(5)
    assert short.expected_seconds() < long.expected_seconds()


def test_longer_trainings_come_before_the_shorter_ones_that_are_their_milestones(plan):
    for notebook in configs_in_notebooks(plan):
        lengths = {}
        for config in plan.configs(notebook):
            if isinstance(config, TrainingConfig):
                lengths.setdefault(replace(config, epochs=1), []).append(config.epochs)
        assert all(epochs == sorted(epochs, reverse=True) for epochs in lengths.values())
        # three models, or optimizers, are trained in full and in short
        if notebook in ("04-complex-model", "06-optimizer-comparison"):
            assert sum(len(epochs) > 1 for epochs in lengths.values()) == 3 * plan.seeds


def test_a_config_comes_after_those_that_it_requires(plan):
    configs = plan.configs("07-one-shot-transfer")
    assert [c for c in configs if isinstance(c, PretrainingConfig)] == configs[
        : plan.profile.transfer_seeds
    ]
    for notebook in NOTEBOOKS:
        configs = plan.configs(notebook)
        for i, config in enumerate(configs):
            assert set(config.requires) <= set(configs[:i])


def test_the_studys_tables_are_trained_in_full_and_comparisons_are_short(plan):
    assert plan.config().epochs == plan.profile.epochs
    assert plan.short_config().epochs == plan.profile.short_epochs < plan.profile.epochs
    assert plan.short_config() == plan.config(epochs=plan.profile.short_epochs)
    assert plan.profile.short_epochs in plan.profile.milestones  # of longer trainings
    assert plan.short_adadelta() in plan.configs("08-baselines")
    assert plan.short_adadelta() == plan.short_config(optimizer="adadelta", learning_rate=0.001)
    all_configs = [config for notebook in NOTEBOOKS for config in plan.configs(notebook)]
    for table in published_results.TEST_ACCURACY.itertuples():
        assert plan.config(model=table.model, margin=table.margin) in all_configs


def test_the_complex_model_is_trained_in_full_with_the_optimizers_of_the_claim_alone(plan):
    assert set(study_plan.CLAIMED_OPTIMIZERS) < set(study_plan.COMPARED_OPTIMIZERS)
    configs = plan.configs("06-optimizer-comparison")
    assert {config.model for config in configs} == {"complex"}
    by_epochs = {plan.profile.epochs: set(), plan.profile.short_epochs: set()}
    for config in configs:
        by_epochs[config.epochs].add((config.optimizer, config.learning_rate))
    claimed = {("rmsprop", 0.001), ("adadelta", 1.0), ("adadelta", 0.001)}
    assert by_epochs == {
        plan.profile.epochs: claimed,
        plan.profile.short_epochs: claimed | {("adam", 0.001), ("sgd", 0.01)},
    }


def test_transfers_start_from_digits_and_from_scratch(plan):
    transfers = plan.transfers()
    contrastive = [("contrastive", number) for number in plan.profile.pair_numbers]
    assert sorted(transfers) == sorted([*contrastive, ("triplet", 50)])
    for (task, number), configs in transfers.items():
        assert {(config.task, config.num_pairs) for config in configs} == {(task, number)}
        assert sorted((config.initialisation, config.seed) for config in configs) == [
            (start, seed)
            for start in ("from scratch", "pretrained on digits")
            for seed in range(plan.profile.transfer_seeds)
        ]
    # beside these, all of them are the study's
    default = {"num_pairs": 50, "task": "contrastive", "start": "pretrained", "seed": 0}
    configs = [config for group in transfers.values() for config in group]
    assert {replace(config, **default) for config in configs} == {TransferConfig()}


@pytest.mark.parametrize("profile", ["quick", "full"])
def test_a_plan_of_clothes_also_transfers_from_clothes(profile, fashion_mnist, store):
    plan = study_plan.make_plan(profile, "fashion-mnist")
    seeds = range(plan.profile.transfer_seeds)
    sources = ("digits", "fashion-mnist")
    for configs in plan.transfers().values():
        assert sorted((config.initialisation, config.seed) for config in configs) == [
            (start, seed)
            for start in ("from scratch", *(f"pretrained on {source}" for source in sources))
            for seed in seeds
        ]
    configs = list(filter(is_of_second_study, plan.configs("07-one-shot-transfer")))
    before = configs[: 2 * len(seeds)]
    assert set(before) == {PretrainingConfig(s, source=source) for s in seeds for source in sources}
    # three starts from each number of pairs, and from 50 with triplets
    of_each_seed = 2 + 3 * len(plan.profile.pair_numbers) + 3
    assert len(configs) == of_each_seed * len(seeds)
    for i, config in enumerate(configs):
        assert set(config.requires) <= set(configs[:i])


def test_the_study_networks_are_trained_on_the_test_splits(plan):
    configs = plan.study_network_configs()
    splits = plan.study_network_splits()
    assert splits == plan.class_splits()["test"][: plan.profile.num_study_network_splits]
    assert len(set(configs)) == len(configs)
    assert {c.images_per_class for c in configs} == {splits[0].images_per_class}
    for split in splits:
        of_split = [c for c in configs if c.seen == split.seen]
        assert {c.seed for c in of_split} == {split.seed}
        trained = {(c.model, c.margin, c.epochs, c.steps_per_epoch) for c in of_split}
        short = plan.profile.short_epochs
        assert trained == {
            *(
                ("base", 1.0, n, None)
                for n in (*plan.profile.milestones, plan.profile.epochs, short)
            ),
            *(("complex", margin, short, None) for margin in (1.0, 5.0)),
            *(("base", 1.0, 1, steps) for steps in plan.steps_below_an_epoch),
        }
        # On the first splits, the two halves of the seen classes are left out in turn.
        halves = {c.seen for c in configs if len(c.seen) == 3 and set(c.seen) < set(split.seen)}
        if split in plan.stopping_rule_splits():
            assert any(set(a) | set(b) == set(split.seen) for a in halves for b in halves)
        longest = plan.profile.epochs
        [base] = [c for c in of_split if (c.model, c.epochs) == ("base", longest)]
        assert set(plan.milestones(base)) >= {*plan.profile.milestones, plan.profile.epochs}


def test_many_classes_need_a_larger_batch(plan, monkeypatch):
    assert plan.config().batch_size == 128
    many = SimpleNamespace(seen=tuple(range(70)))
    monkeypatch.setattr(study_plan.datasets, "load", lambda *_: many)
    assert plan.config().batch_size == 140


def test_a_plan_has_a_profile_a_data_set_and_seeds():
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
def test_no_split_of_unseen_classes_is_in_two_groups(profile):
    plan = study_plan.make_plan(profile, "digits")
    splits = plan.class_splits()
    sets = {name: {split.seen for split in group} for name, group in splits.items()}
    assert tuple(map(len, sets.values())) == plan.profile.num_new_class_splits
    assert len(set().union(*sets.values())) == sum(map(len, sets.values()))
    assert plan.images.seen in sets["development"]
    assert plan.class_splits() == splits


def test_chapters_on_class_splits_need_ten_classes(monkeypatch, digits):
    few = replace(digits, seen=(0, 1, 2), unseen=(3, 4))
    monkeypatch.setattr(study_plan.datasets, "load", lambda *_: few)
    plan = study_plan.StudyPlan(settings.get_profile("quick"), "digits")
    plan.check("03-base-model")
    with pytest.raises(ValueError, match="08-baselines needs a data set of 10 classes"):
        plan.check("08-baselines")


def test_numbers_of_classes_are_compared_at_equal_numbers_of_images(plan):
    configs = plan.class_number_configs()
    by_seed = {seed: [c for c in configs if c.seed == seed] for seed in {c.seed for c in configs}}
    assert len(by_seed) == plan.profile.num_class_number_repetitions
    for of_one in by_seed.values():
        assert [len(c.seen) for c in of_one] == [2, 4, 6, 8]
        assert len({len(c.seen) * c.class_size for c in of_one}) == 1  # images in a step
        assert len({c.steps for c in of_one}) == 1
        for fewer, more in pairwise(of_one):
            assert set(fewer.seen) < set(more.seen)
        images = [len(c.seen) * c.images_per_class for c in of_one]
        assert max(images) - min(images) <= 8  # by rounding


def test_the_upper_bound_is_trained_longer_on_all_classes_once_for_each_seed(plan):
    bounds = plan.upper_bounds()
    assert len({bound.seed for bound in bounds}) == len(bounds)
    for bound in bounds:
        assert bound.all_classes
        assert bound.steps == 10 * plan.profile.small_encoder_steps


def test_the_second_data_set_is_not_the_first():
    digits, fashion = (
        study_plan.StudyPlan(settings.get_profile("full"), n) for n in ("digits", "x")
    )
    assert digits.second_class_splits() == []
    others = fashion.second_class_splits()
    assert len(others) == fashion.profile.num_second_splits
    assert {config.dataset for config in others} == {"digits"}


def test_class_splits_of_a_users_images_cover_any_number_of_classes():
    plan = study_plan.make_plan("quick", "digits")
    splits = plan.user_class_splits()
    assert len(splits) == plan.profile.num_user_splits
    unseen = [frozenset(split.load_data().unseen) for split in splits]
    assert len(set(unseen)) == len(unseen)
    assert {len(classes) for classes in unseen} == {4}
    trained = set(plan.configs("20-your-images"))
    assert {(s.seen, s.labelled) for s in trained if isinstance(s, SmallEncoderConfig)} >= {
        (split.seen, labelled) for split in splits for labelled in (0, 20)
    }
