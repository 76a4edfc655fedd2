"""Which training runs each chapter needs, as data: known before any of them is started.

To let a new chapter train something, add an entry to CHAPTERS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations

import numpy as np

from siamese_utils import settings
from siamese_utils.data import datasets
from siamese_utils.data.dataset import Dataset
from siamese_utils.training import ablations, small_encoder, trainer, transfer
from siamese_utils.training import cache as result_cache
from siamese_utils.training.cache import TrainingResult
from siamese_utils.training.config import Config
from siamese_utils.training.pair_training import TrainingConfig, min_batch_size
from siamese_utils.training.small_encoder import SmallEncoderConfig
from siamese_utils.training.transfer import PretrainingConfig, TransferConfig

MARGINS = (0.5, 1.0, 2.0, 5.0)
CLAIMED_MARGINS = (1.0, 5.0)  # the claims are about these; the complex model has them in full
EXERCISE_MARGIN = 3.0  # what a reader is asked to change the margin to
# the unseen classes of the splits on which ways to judge such classes were first tried
DEVELOPMENT_SPLITS = ((3, 6, 7, 8), (2, 4, 6, 9), (0, 4, 5, 8), (1, 3, 5, 7), (0, 1, 2, 9))
# what the optimizers' page compares: name -> optimizer, learning rate
OPTIMIZERS = {
    "RMSprop 0.001": ("rmsprop", 0.001),
    "Adadelta 1.0": ("adadelta", 1.0),
    "Adadelta 0.001": ("adadelta", 0.001),
    "Adam 0.001": ("adam", 0.001),
    "SGD 0.01, momentum 0.9": ("sgd", 0.01),
}


@dataclass(frozen=True)
class StudyPlan:
    """A profile on a data set: the experiments of every chapter, seed by seed."""

    profile: settings.Profile
    dataset: str

    @property
    def seeds(self) -> int:
        """How often the first study is repeated: with the seeds 0, 1, ..."""
        return self.profile.seeds

    @property
    def images(self) -> Dataset:
        """The data set, with as many images as the profile takes."""
        return datasets.load(self.dataset, self.profile.images_per_class)

    def config(self, **changes: object) -> TrainingConfig:
        """Return the base model's experiment in this profile, with changes."""
        own = {"dataset": self.dataset, "images_per_class": self.profile.images_per_class}
        own |= {"batch_size": min_batch_size(len(self.images.seen))}  # two pairs of each class
        return TrainingConfig(**{"epochs": self.profile.epochs} | own | changes)

    def short_config(self, **changes: object) -> TrainingConfig:
        """Return a shorter experiment, for a comparison beside the study's tables."""
        return self.config(epochs=self.profile.short_epochs, **changes)

    def train(self, config: TrainingConfig) -> list[TrainingResult]:
        """Return the results of a config for all seeds: from the cache, otherwise trained now.

        Shorter runs of the plan that it passes through are stored on the way.
        """
        return trainer.train_seeds(config, self.seeds, self.milestones(config))

    def short_adadelta(self) -> TrainingConfig:
        """Return the training that the optimizers' page found best on unseen classes."""
        return self.short_config(optimizer="adadelta", learning_rate=0.001)

    def class_split_configs(self) -> tuple[list[TrainingConfig], list[TrainingConfig]]:
        """Return short trainings on other choices of classes, and on the study's own choice."""
        profile = self.profile
        limit = profile.images_per_class or settings.CLASS_SPLIT_IMAGES
        short = TrainingConfig(
            epochs=profile.class_split_epochs, dataset=self.dataset, images_per_class=limit
        )
        others = [
            replace(short, seen=choice, seed=i) for i, choice in enumerate(sorted(self._choices()))
        ]
        return others, [replace(short, seed=seed) for seed in range(profile.study_split_seeds)]

    def fully_trained_configs(self) -> list[TrainingConfig]:
        """Return the study's own training, on the first of the other choices that were drawn."""
        drawn = self._choices()[: self.profile.num_fully_trained]
        return [self.config(seen=choice, seed=i) for i, choice in enumerate(drawn)]

    def _choices(self) -> list[tuple[int, ...]]:
        """Return other choices of six classes, in the order in which they were drawn."""
        every = [c for c in combinations(self.images.classes, 6) if c != self.images.seen]
        rng = np.random.default_rng(0)
        return [
            every[i] for i in rng.choice(len(every), self.profile.num_class_splits, replace=False)
        ]

    def class_splits(self) -> dict[str, list[SmallEncoderConfig]]:
        """Return the splits on which unseen classes are judged, each as its first training.

        Those that were looked at when the ways were chosen; others, drawn; and more of these, drawn
        at the same time. The seed of image split and first weights goes from 0 to 4, in turn.
        """
        classes = self.images.classes
        looked_at, drawn, again = self.profile.num_unseen_splits
        others = [c for c in combinations(classes, 4) if c not in DEVELOPMENT_SPLITS]
        picked = [others[i] for i in np.random.default_rng(1).permutation(len(others))]
        groups = {
            "looked at": DEVELOPMENT_SPLITS[:looked_at],
            "drawn": picked[:drawn],
            "drawn again": picked[drawn : drawn + again],
        }
        limit = self.profile.images_per_class or settings.CLASS_SPLIT_IMAGES
        step = SmallEncoderConfig(
            dataset=self.dataset, images_per_class=limit, steps=self.profile.small_encoder_steps
        )
        return {
            name: [
                replace(step, seed=i % 5, seen=tuple(c for c in classes if c not in unseen))
                for i, unseen in enumerate(group)
            ]
            for name, group in groups.items()
        }

    def ablation_splits(self) -> list[SmallEncoderConfig]:
        """Return the drawn splits on which the network is changed in one thing at a time."""
        return self.class_splits()["drawn"][: self.profile.num_ablation_splits]

    def ensemble_configs(self) -> list[SmallEncoderConfig]:
        """Return the first training of the recipe for unseen classes, for each seed of the plan."""
        step = SmallEncoderConfig(
            dataset=self.dataset,
            images_per_class=self.profile.images_per_class,
            steps=self.profile.small_encoder_steps,
        )
        return [replace(step, seed=seed) for seed in range(self.seeds)]

    def pretrainings(self) -> list[PretrainingConfig]:
        """Return the second study's first step."""
        return [PretrainingConfig(seed) for seed in range(self.profile.transfer_seeds)]

    def transfers(self) -> dict[tuple[str, int], list[TransferConfig]]:
        """Return the second study's second step: (training, pairs) -> one for each start and seed."""
        found = {}
        for number in self.profile.pair_numbers:
            kinds = {"contrastive": TransferConfig(number)}
            if number == transfer.STUDY_PAIRS:
                kinds["triplet"] = TransferConfig(number, task="triplet")
                kinds["to the end"] = TransferConfig(
                    number, epochs=self.profile.max_transfer_epochs
                )
            for kind, step in kinds.items():
                found[kind, number] = [
                    replace(step, start=start, seed=seed)
                    for start in transfer.INITIALISATIONS
                    for seed in range(self.profile.transfer_seeds)
                ]
        return found

    def transfers_by_contrast(self) -> dict[tuple[float, str], list[TransferConfig]]:
        """Return transfers on fainter rectangles: (contrast, start) -> one for each seed.

        From scratch, pretrained on digits, and on clothes where they are the plan's data set.
        """
        starts = {"scratch": TransferConfig(start="scratch"), "digits": TransferConfig()}
        if self.dataset in transfer.SOURCES[1:]:
            starts["clothes"] = TransferConfig(source=self.dataset)
        return {
            (contrast, start): [
                replace(step, contrast=contrast, seed=seed)
                for seed in range(self.profile.transfer_seeds)
            ]
            for contrast in self.profile.contrasts
            for start, step in starts.items()
        }

    def seeded(self, *configs: TrainingConfig) -> Iterator[TrainingConfig]:
        """Yield configs for all seeds, each once; longer runs before shorter ones."""
        for config in sorted(dict.fromkeys(configs), key=lambda config: -config.epochs):
            yield from (replace(config, seed=seed) for seed in range(self.seeds))

    def configs(self, chapter: str) -> list[Config]:
        """Return all that a chapter trains, each once; chapter: its name, such as 03-base-model."""
        return list(dict.fromkeys(CHAPTERS.get(_without_number(chapter), lambda _: ())(self)))

    def milestones(self, config: Config) -> list[int]:
        """Return the numbers of epochs after which a run is stored, because the plan asks for it.

        They are those of the shorter runs of the plan that the run passes through.
        """
        planned = _planned(self)
        if replace(config, seed=0) not in planned:
            return []
        lengths = sorted({one.epochs for one in planned})
        return [n for n in lengths if replace(config, seed=0, epochs=n) in planned]


def make_plan(profile: str, dataset: str = "auto", seeds: int | None = None) -> StudyPlan:
    """Return the plan of a profile on a data set. Raises ValueError, DataError."""
    return StudyPlan(settings.get_profile(profile, seeds), datasets.resolve_name(dataset))


def pending(plan: StudyPlan, chapters: list[str]) -> dict[str, list[Config]]:
    """Return what each chapter will have to train, in their order: number -> steps.

    What is in the store is left out, and so is what an earlier one trains or passes through.
    """
    met: set[Config] = set()
    missing: dict[str, list[Config]] = {}
    for chapter in chapters:
        missing[chapter] = []
        for config in plan.configs(chapter):
            if config not in met and not result_cache.contains(config.resolve().key()):
                missing[chapter].append(config)
                shorter = [n for n in plan.milestones(config) if n < config.epochs]
                met |= {replace(config, epochs=n) for n in shorter}
            met |= {config}
    return missing


@cache
def _planned(plan: StudyPlan) -> frozenset[TrainingConfig]:
    """Return all TrainingConfigs of a plan, with seed 0."""
    configs = (config for chapter in CHAPTERS for config in plan.configs(chapter))
    return frozenset(replace(c, seed=0) for c in configs if isinstance(c, TrainingConfig))


def _without_number(chapter: str) -> str:
    return chapter.lstrip("0123456789").lstrip("-")


def _initialisations(configs: Iterable[SmallEncoderConfig]) -> Iterator[SmallEncoderConfig]:
    for config in configs:
        yield from config.initialisations(small_encoder.NUM_INITIALISATIONS)


def _base_model(plan: StudyPlan) -> Iterator[Config]:
    return plan.seeded(plan.config(), plan.short_config(margin=EXERCISE_MARGIN))


def _complex_model(plan: StudyPlan) -> Iterator[Config]:
    parts = ("base", "dropout", "regularisers", "complex")
    short = [plan.short_config(model=model) for model in parts]
    return plan.seeded(plan.config(), plan.config(model="complex"), *short)


def _margin_study(plan: StudyPlan) -> Iterator[Config]:
    return plan.seeded(
        *(plan.config(model="complex", margin=margin) for margin in CLAIMED_MARGINS),
        *(plan.short_config(margin=margin) for margin in CLAIMED_MARGINS),
        *(plan.short_config(model="complex", margin=margin) for margin in MARGINS),
    )


def _optimizer_comparison(plan: StudyPlan) -> Iterator[Config]:
    return plan.seeded(
        *(plan.short_config(optimizer=o, learning_rate=rate) for o, rate in OPTIMIZERS.values())
    )


def _one_shot_transfer(plan: StudyPlan) -> Iterator[Config]:
    groups = [*plan.transfers().values(), *plan.transfers_by_contrast().values()]
    configs = [config for group in groups for config in group]
    yield from (config.pretraining for config in configs)
    yield from configs
    yield from _initialisations(plan.ensemble_configs())
    full = [plan.config(), plan.config(model="complex"), plan.config(model="complex", margin=5.0)]
    yield from plan.seeded(*full, plan.short_config(), plan.short_config(task="triplet"))


def _plain_baselines(plan: StudyPlan) -> Iterator[Config]:
    yield from _initialisations(plan.ensemble_configs())
    full = [plan.config(), plan.config(model="complex")]
    yield from plan.seeded(*full, plan.short_config(task="softmax"), plan.short_adadelta())


def _split_lottery(plan: StudyPlan) -> Iterator[Config]:
    yield from plan.fully_trained_configs()
    for configs in plan.class_split_configs():
        yield from configs


def _embeddings(plan: StudyPlan) -> Iterator[Config]:
    epochs = (*plan.profile.milestones, plan.profile.epochs)
    return plan.seeded(*(plan.config(epochs=n) for n in epochs))


def _unseen_classes(plan: StudyPlan) -> Iterator[Config]:
    splits = plan.class_splits()
    for group in splits.values():
        yield from _initialisations(group)
    for split in splits["drawn"]:
        yield from split.upper_bound()
    for split in plan.ablation_splits():
        yield from ablations.all_configs(split)


def _your_images(plan: StudyPlan) -> Iterator[Config]:
    yield from _initialisations(plan.ensemble_configs())
    yield from plan.seeded(plan.config(), plan.config(model="complex"))


# The name of a notebook, without its number -> what it trains
CHAPTERS: dict[str, Callable[[StudyPlan], Iterable[Config]]] = {
    "base-model": _base_model,
    "complex-model": _complex_model,
    "margin-study": _margin_study,
    "optimizer-comparison": _optimizer_comparison,
    "one-shot-transfer": _one_shot_transfer,
    "plain-baselines": _plain_baselines,
    "split-lottery": _split_lottery,
    "embeddings": _embeddings,
    "unseen-classes": _unseen_classes,
    "your-images": _your_images,
}
