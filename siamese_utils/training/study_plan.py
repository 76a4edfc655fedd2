"""Which trainings each chapter needs, as data: known before any of them is begun."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from types import ModuleType

import numpy as np

from siamese_utils import settings
from siamese_utils.data import datasets
from siamese_utils.data.dataset import Dataset
from siamese_utils.training import ablations, cache, machine, small_encoder, trainer, transfer
from siamese_utils.training.cache import TrainingResult
from siamese_utils.training.config import TrainingConfig, min_batch_size
from siamese_utils.training.small_encoder import SmallEncoderConfig
from siamese_utils.training.transfer import Pretraining, Transfer

Config = TrainingConfig | Pretraining | Transfer | SmallEncoderConfig
MARGINS = (0.5, 1.0, 2.0, 5.0)
FLOP_PER_IMAGE = (
    63e6  # of an epoch, for each image of the seen classes; some validate and some test
)
PEAK_SHARE = 0.6  # of the speed of a matrix product that a training reaches
CLAIMED_MARGINS = (1.0, 5.0)  # the claims are about these; the complex model has them in full
EXERCISE_MARGIN = 3.0  # what a reader is asked to change the margin to
USER_IMAGES_CHAPTER = "20"  # the chapter on a reader's own images
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

    def experiment(self, **changes: object) -> TrainingConfig:
        """Return the base model's experiment in this profile, with changes."""
        own = {"dataset": self.dataset, "images_per_class": self.profile.images_per_class}
        own |= {"batch": min_batch_size(len(self.images.seen))}  # two pairs of each class
        return TrainingConfig(**{"epochs": self.profile.epochs} | own | changes)

    def short(self, **changes: object) -> TrainingConfig:
        """Return a shorter experiment, for a comparison beside the study's tables."""
        return self.experiment(epochs=self.profile.short, **changes)

    def train(self, experiment: TrainingConfig) -> list[TrainingResult]:
        """Return the runs of an experiment for all seeds: from the store, or trained now.

        Shorter experiments of the plan that it passes through are stored on the way.
        """
        return trainer.train_seeds(experiment, self.seeds, self.on_the_way(experiment))

    def chapters(self) -> dict[str, list[TrainingConfig]]:
        """Return what each chapter trains for every seed: number of the notebook -> experiments."""
        base, brakes = self.experiment(), self.experiment(model="complex")
        wide = self.experiment(model="complex", margin=5.0)
        by_margin = [self.short(model="complex", margin=margin) for margin in MARGINS]
        bare = [self.short(margin=margin) for margin in CLAIMED_MARGINS]
        parts = ("base", "dropout", "regularisers", "complex")
        return {
            "03": [base, self.short(margin=EXERCISE_MARGIN)],
            "04": [base, brakes, *(self.short(model=part) for part in parts)],
            "05": [brakes, wide, *bare, *by_margin],
            "06": [self.short(optimizer=o, learning_rate=rate) for o, rate in OPTIMIZERS.values()],
            "07": [base, brakes, wide, self.short(), self.short(objective="triplet")],
            "08": [base, brakes, self.short(objective="softmax"), self.gently_trained()],
            USER_IMAGES_CHAPTER: [base, brakes],
            "10": [replace(base, epochs=n) for n in (*self.profile.milestones, base.epochs)],
        }

    def gently_trained(self) -> TrainingConfig:
        """Return the training that the optimizers' page found best on unseen classes."""
        return self.short(optimizer="adadelta", learning_rate=0.001)

    def lottery(self) -> tuple[list[TrainingConfig], list[TrainingConfig]]:
        """Return short trainings on other choices of classes, and on the study's own choice."""
        profile = self.profile
        limit = profile.images_per_class or settings.CLASS_SPLIT_IMAGES
        short = TrainingConfig(
            epochs=profile.lottery_epochs, dataset=self.dataset, images_per_class=limit
        )
        others = [
            replace(short, seen=choice, seed=i) for i, choice in enumerate(sorted(self._choices()))
        ]
        return others, [replace(short, seed=seed) for seed in range(profile.own_seeds)]

    def full_choices(self) -> list[TrainingConfig]:
        """Return the study's own training, on the first of the other choices that were drawn."""
        drawn = self._choices()[: self.profile.full_choices]
        return [self.experiment(seen=choice, seed=i) for i, choice in enumerate(drawn)]

    def _choices(self) -> list[tuple[int, ...]]:
        """Return other choices of six classes, in the order in which they were drawn."""
        every = [c for c in combinations(self.images.classes, 6) if c != self.images.seen]
        rng = np.random.default_rng(0)
        return [every[i] for i in rng.choice(len(every), self.profile.choices, replace=False)]

    def unseen_splits(self) -> dict[str, list[SmallEncoderConfig]]:
        """Return the splits on which unseen classes are judged, each as its first training.

        Those that were looked at when the ways were chosen; others, drawn; and more of these, drawn
        at the same time. The seed of image split and first weights goes from 0 to 4, in turn.
        """
        classes = self.images.classes
        looked_at, drawn, again = self.profile.unseen_splits
        others = [c for c in combinations(classes, 4) if c not in DEVELOPMENT_SPLITS]
        picked = [others[i] for i in np.random.default_rng(1).permutation(len(others))]
        groups = {
            "looked at": DEVELOPMENT_SPLITS[:looked_at],
            "drawn": picked[:drawn],
            "drawn again": picked[drawn : drawn + again],
        }
        limit = self.profile.images_per_class or settings.CLASS_SPLIT_IMAGES
        step = SmallEncoderConfig(
            dataset=self.dataset, images_per_class=limit, steps=self.profile.unseen_steps
        )
        return {
            name: [
                replace(step, seed=i % 5, seen=tuple(c for c in classes if c not in unseen))
                for i, unseen in enumerate(group)
            ]
            for name, group in groups.items()
        }

    def varied_splits(self) -> list[SmallEncoderConfig]:
        """Return the drawn splits on which the network is changed in one thing at a time."""
        return self.unseen_splits()["drawn"][: self.profile.unseen_varied]

    def recipes(self) -> list[SmallEncoderConfig]:
        """Return the first training of the recipe for unseen classes, for each seed of the plan."""
        step = SmallEncoderConfig(
            dataset=self.dataset,
            images_per_class=self.profile.images_per_class,
            steps=self.profile.unseen_steps,
        )
        return [replace(step, seed=seed) for seed in range(self.seeds)]

    def pretrainings(self) -> list[Pretraining]:
        """Return the second study's first step."""
        return [Pretraining(seed) for seed in range(self.profile.repeats)]

    def transfers(self) -> dict[tuple[str, int], list[Transfer]]:
        """Return the second study's second step: (training, pairs) -> one for each start and seed."""
        found = {}
        for number in self.profile.pair_numbers:
            kinds = {"contrastive": Transfer(number)}
            if number == transfer.STUDY_PAIRS:
                kinds["triplet"] = Transfer(number, objective="triplet")
                kinds["to the end"] = Transfer(number, epochs=self.profile.to_the_end)
            for kind, step in kinds.items():
                found[kind, number] = [
                    replace(step, start=start, seed=seed)
                    for start in transfer.INITIALISATIONS
                    for seed in range(self.profile.repeats)
                ]
        return found

    def fainter(self) -> dict[tuple[float, str], list[Transfer]]:
        """Return transfers on fainter rectangles: (contrast, start) -> one for each seed.

        From scratch, pretrained on digits, and on clothes where they are the plan's data set.
        """
        starts = {"scratch": Transfer(start="scratch"), "digits": Transfer()}
        if self.dataset in transfer.SOURCES[1:]:
            starts["clothes"] = Transfer(source=self.dataset)
        return {
            (contrast, start): [
                replace(step, contrast=contrast, seed=seed) for seed in range(self.profile.repeats)
            ]
            for contrast in self.profile.contrasts
            for start, step in starts.items()
        }

    def steps(self, chapter: str) -> Iterator[Config]:
        """Yield all that a chapter trains, each once; longer trainings before shorter ones."""
        if chapter == "07":
            every = [*self.transfers().values(), *self.fainter().values()]
            yield from dict.fromkeys(s.pretraining for steps in every for s in steps)
            yield from dict.fromkeys(step for steps in every for step in steps)
        if chapter == "09":
            yield from self.full_choices()
            yield from (step for steps in self.lottery() for step in steps)
        if chapter == "11":
            splits = self.unseen_splits()
            every = [
                one
                for group in splits.values()
                for split in group
                for one in split.starts(small_encoder.NUM_INITIALISATIONS)
            ]
            every += [one for split in splits["drawn"] for one in split.ceiling()]
            every += [one for split in self.varied_splits() for one in ablations.trainings(split)]
            yield from dict.fromkeys(every)
        if chapter in ("07", "08", USER_IMAGES_CHAPTER):
            yield from (
                one
                for step in self.recipes()
                for one in step.starts(small_encoder.NUM_INITIALISATIONS)
            )
        own = sorted(dict.fromkeys(self.chapters().get(chapter, ())), key=lambda e: -e.epochs)
        yield from (replace(e, seed=seed) for e in own for seed in range(self.seeds))

    def on_the_way(self, step: Config) -> list[int]:
        """Return the lengths, in epochs, that a training passes through and the plan asks for."""
        if not isinstance(step, TrainingConfig):
            return []
        every = [e for chapter in self.chapters().values() for e in chapter]
        same = replace(step, seed=0)
        return [e.epochs for e in every if replace(e, epochs=step.epochs) == same]


def make_plan(profile: str, dataset: str = "auto", seeds: int | None = None) -> StudyPlan:
    """Return the plan of a profile on a data set. Raises ValueError, DataError."""
    return StudyPlan(settings.get_profile(profile, seeds), datasets.resolve_name(dataset))


def train(step: Config, milestones: Sequence[int] = ()) -> TrainingResult:
    """Return the run of a step, from the store where it is there, else trained.

    milestones: as `trainer.train` takes them.
    """
    if isinstance(step, TrainingConfig):
        return trainer.train(step, milestones)
    return _module_of(step).train(step)


def key_of(step: Config) -> str:
    """Return the name of a step in the store."""
    if isinstance(step, TrainingConfig):
        return trainer.key_of(trainer.resolve(step))
    return _module_of(step).key_of(step)


def _module_of(step: Pretraining | Transfer | SmallEncoderConfig) -> ModuleType:
    return small_encoder if isinstance(step, SmallEncoderConfig) else transfer


def pending(plan: StudyPlan, chapters: list[str]) -> dict[str, list[Config]]:
    """Return what each chapter will have to train, in their order: number -> steps.

    What is in the store is left out, and so is what an earlier one trains or passes through.
    """
    met: set[Config] = set()
    found: dict[str, list[Config]] = {}
    for chapter in chapters:
        found[chapter] = []
        for step in plan.steps(chapter):
            if step not in met and not cache.contains(key_of(step)):
                found[chapter].append(step)
                met |= {replace(step, epochs=n) for n in plan.on_the_way(step) if n < step.epochs}
            met |= {step}
    return found


def expected_seconds(step: Config) -> float:
    """Return about how long a step takes here, if it has the machine for itself."""
    if isinstance(step, Pretraining):
        return 10.0
    if isinstance(step, SmallEncoderConfig):
        return 3.0 + 0.06 * step.steps
    if isinstance(step, Transfer):  # bound by memory
        return 1.5 + 0.026 * step.epochs * step.num_pairs / step.batch
    images = np.isin(trainer.load_data(step).labels, trainer.load_data(step).seen).sum()
    speed = (
        PEAK_SHARE * machine.float32_speed() * (2 if machine.best_precision() != "float32" else 1)
    )
    return 3.0 + step.epochs * images * FLOP_PER_IMAGE / speed
