"""The study plan: the training runs of each chapter, as data.

The runs are known before any of them starts. If a new chapter trains something, add an entry to
CHAPTERS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations

import numpy as np

from siamese_utils import settings
from siamese_utils.data import datasets, image_folder
from siamese_utils.data.dataset import Dataset
from siamese_utils.training import cache as result_cache
from siamese_utils.training import (
    new_class_networks,
    pair_training,
    small_encoder,
    trainer,
    transfer,
)
from siamese_utils.training.cache import TrainingResult
from siamese_utils.training.config import Config
from siamese_utils.training.pair_training import TrainingConfig, min_batch_size
from siamese_utils.training.small_encoder import SmallEncoderConfig
from siamese_utils.training.transfer import PretrainingConfig, TransferConfig

MARGINS = (0.5, 1.0, 2.0, 5.0)
NUMBERS_OF_CLASSES = (2, 4, 6, 8)  # to train on, of ten
CLAIMED_MARGINS = (1.0, 5.0)  # margins that the study's claims compare
# Unseen classes of the development splits, on which methods for new classes were selected.
DEVELOPMENT_SPLITS = ((3, 6, 7, 8), (2, 4, 6, 9), (0, 4, 5, 8), (1, 3, 5, 7), (0, 1, 2, 9))
# The optimizers of the chapter optimizer-comparison: name -> optimizer, learning rate.
COMPARED_OPTIMIZERS = {
    "RMSprop 0.001": ("rmsprop", 0.001),
    "Adadelta 1.0": ("adadelta", 1.0),
    "Adadelta 0.001": ("adadelta", 0.001),
    "Adam 0.001": ("adam", 0.001),
    "SGD 0.01, momentum 0.9": ("sgd", 0.01),
}
# Those that the study's claim 5 compares, at either default learning rate of its time.
CLAIMED_OPTIMIZERS = ("RMSprop 0.001", "Adadelta 1.0", "Adadelta 0.001")


@dataclass(frozen=True)
class StudyPlan:
    """The training runs of a profile on a data set.

    Attributes:
        profile: Numbers of seeds, epochs and images.
        dataset: A name that `datasets.load` takes.
    """

    profile: settings.Profile
    dataset: str

    @property
    def seeds(self) -> int:
        """The number of repetitions of the first study, with the seeds 0, 1, ..."""
        return self.profile.seeds

    @property
    def images(self) -> Dataset:
        """The data set, with the number of images that the profile sets."""
        return datasets.load(self.dataset, self.profile.images_per_class)

    def config(self, **changes: object) -> TrainingConfig:
        """Return the config of the base model in this profile, with changed fields."""
        fields = {
            "epochs": self.profile.epochs,
            "dataset": self.dataset,
            "images_per_class": self.profile.images_per_class,
            "batch_size": min_batch_size(len(self.images.seen)),
        }
        return TrainingConfig(**fields | changes)

    def short_config(self, **changes: object) -> TrainingConfig:
        """Return a config with fewer epochs, for comparisons that the study does not have."""
        return self.config(epochs=self.profile.short_epochs, **changes)

    def train(self, config: TrainingConfig) -> list[TrainingResult]:
        """Return the results of a config for all seeds, and train those that are not cached.

        Shorter runs of the plan that are milestones of the config are cached as well.
        """
        return trainer.train_seeds(config, self.seeds, self.milestones(config))

    def short_adadelta(self) -> TrainingConfig:
        """Return the base model's config with Adadelta 0.001, which trains little in a short run."""
        return self.short_config(optimizer="adadelta", learning_rate=0.001)

    def class_splits(self) -> dict[str, list[SmallEncoderConfig]]:
        """Return the class splits of the chapters baselines and new-classes.

        Returns:
            `development` and `test` -> the config of a small encoder on each split. The test splits
            are sampled from all other splits. The seeds are 0 to 4 in rotation.
        """
        num_development, num_test = self.profile.num_new_class_splits
        groups = {
            "development": DEVELOPMENT_SPLITS[:num_development],
            "test": self._sample_unseen_classes()[:num_test],
        }
        return {name: self._split_configs(self.dataset, group) for name, group in groups.items()}

    def study_network_splits(self) -> list[SmallEncoderConfig]:
        """Return the first test splits, on which the study's networks are trained."""
        return self.class_splits()["test"][: self.profile.num_study_network_splits]

    def stopping_rule_splits(self) -> list[SmallEncoderConfig]:
        """Return the first test splits, on which the rule for the number of epochs is tried."""
        return self.study_network_splits()[: self.profile.num_stopping_rule_splits]

    def study_network_configs(self) -> list[TrainingConfig]:
        """Return the configs of the study's networks on the first test splits.

        The base model is trained as long as on the study's split, and its milestones are evaluated as
        well, and shorter runs. On some splits it is also trained without half of the seen classes, to
        choose the number of epochs.
        """
        study_network, profile = new_class_networks.study_network, self.profile
        few_steps = self.steps_below_an_epoch
        configs = []
        for split in self.stopping_rule_splits():
            for start in new_class_networks.leave_seen_classes_out(split):
                configs += [study_network(start, n) for n in self.epoch_numbers]
        for split in self.study_network_splits():
            configs += [study_network(split, n) for n in self.epoch_numbers]
            configs += [study_network(split, 1, steps_per_epoch=n) for n in few_steps]
            for fields in new_class_networks.STUDY_NETWORKS.values():
                configs.append(study_network(split, profile.short_epochs, **fields))
        # Longer runs come first, since their milestones are the shorter ones.
        return sorted(dict.fromkeys(configs), key=lambda config: -config.epochs)

    @property
    def steps_below_an_epoch(self) -> list[int]:
        """The numbers of gradient steps after which the base model is evaluated in the first epoch."""
        epoch = new_class_networks.study_network(self.study_network_splits()[0], 1)
        number = pair_training.count_steps(epoch)
        return [n for n in self.profile.steps_below_an_epoch if n < number]

    @property
    def epoch_numbers(self) -> tuple[int, ...]:
        """The numbers of epochs after which the base model is evaluated."""
        return (*self.profile.milestones, self.profile.epochs)

    def second_class_splits(self) -> list[SmallEncoderConfig]:
        """Return class splits of digits, the second data set of the chapter new-classes.

        There are none if digits is the first data set.
        """
        if self.dataset == "digits":
            return []
        sampled = self._sample_unseen_classes()[: self.profile.num_second_splits]
        return self._split_configs("digits", sampled)

    def user_class_splits(self) -> list[SmallEncoderConfig]:
        """Return random class splits of a user's images, with any number of classes."""
        number = len(self.images.classes)
        num_unseen = image_folder.count_unseen(number)
        rng = np.random.default_rng(1)
        sampled = {
            tuple(sorted(rng.choice(number, num_unseen, replace=False).tolist()))
            for _ in range(self.profile.num_user_splits)
        }
        return self._split_configs(self.dataset, sorted(sampled))

    def class_number_configs(self) -> list[SmallEncoderConfig]:
        """Return configs of small encoders on 2, 4, 6 and 8 classes, at equal numbers of images.

        Each repetition has a random order of the classes. The last two are never trained on. A step
        has as many images with any number of classes, and no synthetic classes.
        """
        per_class = self.profile.images_per_class or settings.CLASS_SPLIT_IMAGES
        configs = []
        for seed in range(self.profile.num_class_number_repetitions):
            order = np.random.default_rng([seed, 8]).permutation(self.images.classes).tolist()
            configs += [
                SmallEncoderConfig(
                    seed=seed,
                    dataset=self.dataset,
                    images_per_class=per_class * 2 // number,
                    seen=tuple(sorted(order[:number])),
                    num_synthetic=0,
                    class_size=96 // number,
                    steps=self.profile.small_encoder_steps,
                )
                for number in NUMBERS_OF_CLASSES
            ]
        return configs

    def upper_bounds(self) -> list[SmallEncoderConfig]:
        """Return the configs of the upper bound of the test splits: one for each seed.

        They train on all classes, on images of no split, ten times as long as the other small
        encoders. There are none if the data set has no further images.
        """
        bounds = []
        for split in self.class_splits()["test"]:
            config = replace(
                split, seen=None, all_classes=True, num_synthetic=0, steps=10 * split.steps
            )
            if config not in bounds and small_encoder.has_further_images(config):
                bounds.append(config)
        return bounds

    def _sample_unseen_classes(self) -> list[tuple[int, ...]]:
        """Return the unseen classes of all class splits but the development splits, shuffled."""
        splits = [c for c in combinations(range(10), 4) if c not in DEVELOPMENT_SPLITS]
        order = np.random.default_rng(1).permutation(len(splits))
        # Earlier versions of the methods were evaluated on the first 40, so these come last.
        return [splits[i] for i in (*order[40:], *order[:40])]

    def _split_configs(
        self, dataset: str, unseen: Iterable[tuple[int, ...]]
    ) -> list[SmallEncoderConfig]:
        return [
            SmallEncoderConfig(
                seed=i % 5,
                dataset=dataset,
                images_per_class=self.profile.images_per_class or settings.CLASS_SPLIT_IMAGES,
                seen=tuple(c for c in datasets.load(dataset).classes if c not in classes),
                steps=self.profile.small_encoder_steps,
            )
            for i, classes in enumerate(unseen)
        ]

    def ensemble_configs(self) -> list[SmallEncoderConfig]:
        """Return the config of the first encoder of the ensemble for all seeds."""
        config = SmallEncoderConfig(
            dataset=self.dataset,
            images_per_class=self.profile.images_per_class,
            steps=self.profile.small_encoder_steps,
        )
        return [replace(config, seed=seed) for seed in range(self.seeds)]

    def pretrainings(self) -> dict[str, list[PretrainingConfig]]:
        """Return the pretraining configs of the article: source -> one for each of its seeds.

        The sources are digits, and Fashion-MNIST if that is the plan's data set.
        """
        sources = ("digits", self.dataset) if self.dataset in transfer.SOURCES[1:] else ("digits",)
        epochs, seeds = self.profile.transfer_epochs, range(self.profile.transfer_seeds)
        return {
            source: [PretrainingConfig(seed, epochs=epochs, source=source) for seed in seeds]
            for source in sources
        }

    def transfers(self) -> dict[tuple[str, int], list[TransferConfig]]:
        """Return the transfer configs of the repaired article.

        Returns:
            (task, number of pairs) -> one config for each initialisation and seed: pretrained on
            each source of `pretrainings`, and from scratch. The triplet loss is trained with the
            article's number of pairs only.
        """
        config = TransferConfig(epochs=self.profile.transfer_epochs)
        starts = [replace(config, source=source) for source in self.pretrainings()]
        starts.append(replace(config, start="scratch"))
        transfers = {}
        for num_pairs in self.profile.pair_numbers:
            for task in transfer.TRANSFER_TASKS:
                if task == "contrastive" or num_pairs == transfer.ARTICLE_PAIRS:
                    transfers[task, num_pairs] = [
                        replace(start, num_pairs=num_pairs, task=task, seed=seed)
                        for start in starts
                        for seed in range(self.profile.transfer_seeds)
                    ]
        return transfers

    def seeded(self, *configs: TrainingConfig) -> Iterator[TrainingConfig]:
        """Yield configs for all seeds without duplicates, longer runs before shorter ones."""
        for config in sorted(dict.fromkeys(configs), key=lambda config: -config.epochs):
            yield from (replace(config, seed=seed) for seed in range(self.seeds))

    def check(self, chapter: str) -> None:
        """Raise ValueError if a chapter cannot be made with this data set.

        Args:
            chapter: Its name, such as 03-base-model.
        """
        num_classes = len(self.images.classes)
        if _without_number(chapter) in OTHER_SPLITS and num_classes < MIN_CLASSES:
            raise ValueError(
                f"{chapter} needs a data set of {MIN_CLASSES} classes, and {self.dataset} has "
                f"{num_classes}; choose other chapters with --only"
            )

    def configs(self, chapter: str) -> list[Config]:
        """Return the configs that a chapter trains, without duplicates.

        Args:
            chapter: Name of the chapter, such as 03-base-model.
        """
        name = _without_number(chapter)
        return list(dict.fromkeys(CHAPTERS[name](self))) if name in CHAPTERS else []

    def milestones(self, config: Config) -> list[int]:
        """Return the numbers of epochs at which the encoder of a training run is cached.

        The plan contains a run with each of these numbers that is otherwise the same, so a longer
        run replaces the shorter ones.
        """
        planned = _planned(self)
        if replace(config, seed=0) not in planned:
            return []
        lengths = sorted({c.epochs for c in planned})
        return [n for n in lengths if replace(config, seed=0, epochs=n) in planned]


def make_plan(profile: str, dataset: str = "auto", seeds: int | None = None) -> StudyPlan:
    """Return the plan of a profile on a data set.

    Args:
        profile: A name in `settings.PROFILES`.
        dataset: As `datasets.resolve_name` takes it.
        seeds: Number of seeds of the first study; None: that of the profile.

    Raises:
        DataError: The data set cannot be found or downloaded.
        ValueError: The profile or the data set is unknown, or there are fewer than one seed.
    """
    return StudyPlan(settings.get_profile(profile, seeds), datasets.resolve_name(dataset))


def pending(plan: StudyPlan, chapters: list[str]) -> dict[str, list[Config]]:
    """Return the configs that chapters have to train if they run in the given order.

    Configs that are cached are left out, and so are those that an earlier config trains, also as
    its milestone.

    Args:
        plan: The plan.
        chapters: Names of chapters, such as 03-base-model.

    Returns:
        Name of a chapter -> its configs.
    """
    done: set[Config] = set()
    missing: dict[str, list[Config]] = {}
    for chapter in chapters:
        missing[chapter] = []
        for config in plan.configs(chapter):
            if config not in done and not result_cache.contains(config.resolve().key()):
                missing[chapter].append(config)
                shorter = [n for n in plan.milestones(config) if n < config.epochs]
                done |= {replace(config, epochs=n) for n in shorter}
            done.add(config)
    return missing


def _without_number(chapter: str) -> str:
    return chapter.lstrip("0123456789").lstrip("-")


# Chapters that train on other class splits
OTHER_SPLITS = ("baselines", "new-classes")
MIN_CLASSES = 10  # of a data set in these chapters


@cache
def _planned(plan: StudyPlan) -> frozenset[TrainingConfig]:
    """Return all TrainingConfigs of a plan, with seed 0."""
    has_splits = len(plan.images.classes) >= MIN_CLASSES
    chapters = [chapter for chapter in CHAPTERS if has_splits or chapter not in OTHER_SPLITS]
    configs = (config for chapter in chapters for config in plan.configs(chapter))
    return frozenset(replace(c, seed=0) for c in configs if isinstance(c, TrainingConfig))


def _initialisations(configs: Iterable[SmallEncoderConfig]) -> Iterator[SmallEncoderConfig]:
    for config in configs:
        yield from config.initialisations()


def _base_model(plan: StudyPlan) -> Iterator[Config]:
    # The exercise uses the short training run with margin 5 of the chapter margin-study.
    return plan.seeded(plan.config(), plan.short_config(margin=CLAIMED_MARGINS[-1]))


def _complex_model(plan: StudyPlan) -> Iterator[Config]:
    models = ("base", "dropout", "regularisers", "complex")
    full = [plan.config(model=model) for model in ("base", "dropout", "complex")]
    return plan.seeded(*full, *(plan.short_config(model=model) for model in models))


def _margin_study(plan: StudyPlan) -> Iterator[Config]:
    return plan.seeded(
        *(plan.config(model="complex", margin=margin) for margin in CLAIMED_MARGINS),
        *(plan.short_config(margin=margin) for margin in CLAIMED_MARGINS),
        *(plan.short_config(model="complex", margin=margin) for margin in MARGINS),
    )


def _optimizer_comparison(plan: StudyPlan) -> Iterator[Config]:
    for name, (optimizer, rate) in COMPARED_OPTIMIZERS.items():
        fields = {"model": "complex", "optimizer": optimizer, "learning_rate": rate}
        if name in CLAIMED_OPTIMIZERS:
            yield from plan.seeded(plan.config(**fields))
        yield from plan.seeded(plan.short_config(**fields))


def _one_shot_transfer(plan: StudyPlan) -> Iterator[Config]:
    configs = [config for group in plan.transfers().values() for config in group]
    yield from (config.pretraining for config in configs)
    yield from configs
    yield from _initialisations(plan.ensemble_configs())
    full = [plan.config(), plan.config(model="complex"), plan.config(model="complex", margin=5.0)]
    yield from plan.seeded(*full, plan.short_config(), plan.short_config(task="triplet"))


def _baselines(plan: StudyPlan) -> Iterator[Config]:
    yield from _initialisations(plan.ensemble_configs())
    full = [plan.config(), plan.config(model="complex")]
    yield from plan.seeded(*full, plan.short_config(task="softmax"), plan.short_adadelta())
    yield from plan.study_network_configs()


def _embeddings(plan: StudyPlan) -> Iterator[Config]:
    return plan.seeded(*(plan.config(epochs=n) for n in plan.epoch_numbers))


def _new_classes(plan: StudyPlan) -> Iterator[Config]:
    splits = plan.class_splits()
    for split in splits["test"]:
        yield from new_class_networks.all_configs(split)
    for split in [*splits["development"], *plan.second_class_splits()]:
        yield from new_class_networks.without_labels(split)
    yield from plan.class_number_configs()
    yield from plan.upper_bounds()


def _your_images(plan: StudyPlan) -> Iterator[Config]:
    yield from _initialisations(plan.ensemble_configs())
    yield from plan.seeded(plan.config(), plan.config(model="complex"))
    for split in plan.user_class_splits():
        for number in new_class_networks.available(split, (0, *new_class_networks.NUMBERS)):
            yield from new_class_networks.retrained(replace(split, labelled=number))


# Name of a notebook, without its number -> function that returns the configs that it trains.
CHAPTERS: dict[str, Callable[[StudyPlan], Iterable[Config]]] = {
    "base-model": _base_model,
    "complex-model": _complex_model,
    "margin-study": _margin_study,
    "optimizer-comparison": _optimizer_comparison,
    "one-shot-transfer": _one_shot_transfer,
    "baselines": _baselines,
    "embeddings": _embeddings,
    "new-classes": _new_classes,
    "your-images": _your_images,
}
