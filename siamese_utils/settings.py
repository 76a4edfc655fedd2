"""Profiles and folders: the only place that knows either."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
REPORTS = ROOT / "reports"
CITATION = ROOT / "CITATION.cff"
BENCHMARK = REPORTS / "benchmark"  # what tests/benchmarks/run.py measured

# The environment carries these from run_all.py into the notebooks' kernels.
CACHE_VARIABLE = "SIAMESE_CACHE_DIR"
RESULTS_VARIABLE = "SIAMESE_RESULTS_DIR"  # of one notebook, which writes there
REPORT_RESULTS_VARIABLE = (
    "SIAMESE_REPORT_RESULTS_DIR"  # of those before it, which the summary reads
)
PROGRESS_VARIABLE = "SIAMESE_PROGRESS_FILE"
FRESH_VARIABLE = "SIAMESE_FRESH_SINCE"
DATA_VARIABLE = "SIAMESE_DATA_DIR"
PRECISION_VARIABLE = "SIAMESE_PRECISION"  # auto, float32 or bfloat16


@dataclass(frozen=True)
class Profile:
    """How long to train, on how much, and how often."""

    name: str
    seeds: int  # repetitions of the first study
    epochs: int
    short_epochs: int  # epochs of the comparisons beside the study's tables
    milestones: tuple[int, ...]  # epochs after which a long training is looked at on its way
    images_per_class: int | None  # None: all of them
    num_class_splits: int  # of seen classes, in the split lottery
    study_split_seeds: int  # of the study's choice, beside them
    num_fully_trained: int  # of the former, that are trained as long as the study's
    class_split_epochs: int
    num_unseen_splits: tuple[int, int, int]  # on that page: looked at before, drawn, drawn again
    num_ablation_splits: (
        int  # of the drawn ones, on which the network is changed in one thing at a time
    )
    small_encoder_steps: int  # of a training there
    verifier_sizes: tuple[int, ...]  # images that a verifier learns from, to see how sure it may be
    transfer_seeds: int  # of the second study: most of its trainings take seconds
    pair_numbers: tuple[int, ...]  # how many pairs of textures are learned from
    contrasts: tuple[float, ...]  # of the rectangles among textures
    max_transfer_epochs: int  # epochs in which such a training should end by itself


PROFILES = {
    "full": Profile(
        "full",
        seeds=3,
        epochs=20,
        short_epochs=5,
        milestones=(1, 2, 5, 10),
        images_per_class=None,
        num_class_splits=20,
        study_split_seeds=6,
        num_fully_trained=5,
        class_split_epochs=5,
        num_unseen_splits=(5, 20, 20),
        num_ablation_splits=10,
        small_encoder_steps=100,
        verifier_sizes=(120, 300, 1000, 10_000),
        transfer_seeds=5,
        pair_numbers=(5, 10, 20, 50, 100, 200),
        contrasts=(1.0, 0.5, 0.25, 0.125),
        max_transfer_epochs=100,
    ),
    "quick": Profile(
        "quick",
        seeds=2,
        epochs=3,
        short_epochs=2,
        milestones=(1, 2),
        images_per_class=300,
        num_class_splits=4,
        study_split_seeds=2,
        num_fully_trained=1,
        class_split_epochs=2,
        num_unseen_splits=(1, 2, 1),
        num_ablation_splits=1,
        small_encoder_steps=30,
        verifier_sizes=(300,),
        transfer_seeds=2,
        pair_numbers=(10, 50),
        contrasts=(1.0, 0.125),
        max_transfer_epochs=20,
    ),
}
CELL_HOURS = 4.0  # that a cell of a notebook may take: for long, but not for ever
CLASS_SPLIT_IMAGES = 1000  # of each class, in either profile; on the page on unseen classes too


def get_profile(name: str, seeds: int | None = None) -> Profile:
    """Return the profile of that name, with another number of seeds if one is given.

    Raises ValueError for an unknown name or fewer than one seed.
    """
    if name not in PROFILES:
        raise ValueError(f"unknown profile {name!r}; choose one of {', '.join(PROFILES)}")
    profile = PROFILES[name]
    if seeds is None:
        return profile
    if seeds < 1:
        raise ValueError(f"seeds must be 1 or more, not {seeds}")
    return replace(profile, seeds=seeds)


def cache_dir() -> Path:
    """Return the folder of finished trainings."""
    return Path(os.environ.get(CACHE_VARIABLE) or REPORTS / "cache")


def results_dir() -> Path:
    """Return the folder that a notebook writes its tables to.

    ```run_all.py` sets it. A notebook run by hand writes to a folder of its own, so that the
    report changes through ```run_all.py` alone.
    """
    return Path(os.environ.get(RESULTS_VARIABLE) or REPORTS / "scratch")


def published_results_dir() -> Path:
    """Return the folder that the summary reads: this run's tables, else the committed ones."""
    told = os.environ.get(REPORT_RESULTS_VARIABLE) or os.environ.get(RESULTS_VARIABLE)
    return Path(told or REPORTS / "results")
