"""Settings: profiles, folders, and the environment variables that carry them to kernels."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
REPORTS = ROOT / "reports"
CITATION = ROOT / "CITATION.cff"
BENCHMARK = REPORTS / "benchmark"  # output of tests/benchmarks/run.py

# Environment variables, through which run_all.py configures the notebooks' kernels.
CACHE_VARIABLE = "SIAMESE_CACHE_DIR"
RESULTS_VARIABLE = "SIAMESE_RESULTS_DIR"  # where a notebook writes its results
REPORT_RESULTS_VARIABLE = "SIAMESE_REPORT_RESULTS_DIR"  # the earlier notebooks' results
PROGRESS_VARIABLE = "SIAMESE_PROGRESS_FILE"
FRESH_VARIABLE = "SIAMESE_FRESH_SINCE"
DATA_VARIABLE = "SIAMESE_DATA_DIR"
PRECISION_VARIABLE = "SIAMESE_PRECISION"  # auto, float32 or bfloat16


@dataclass(frozen=True)
class Profile:
    """A profile: the number and length of the training runs of a report.

    Attributes:
        name: A name in PROFILES.
        seeds: Repetitions of the first study, with the seeds 0, 1, ...
        epochs: Epochs of the study's training runs.
        short_epochs: Epochs of comparisons that are not in the study's tables.
        milestones: Epochs after which a longer training run is also evaluated.
        images_per_class: Images of each class at most; None: all.
        num_new_class_splits: Development and test splits of classes.
        num_study_network_splits: Test splits on which the study's networks are trained.
        num_stopping_rule_splits: Test splits on which the stopping rule is tried.
        steps_below_an_epoch: Gradient steps after which the base model is evaluated on these splits.
        num_initialisations: Initial weights of the untrained encoder, on the study's class split.
        num_second_splits: Class splits of the second data set on that page.
        num_user_splits: Class splits of a user's images.
        num_class_number_repetitions: Repetitions of the comparison of numbers of classes.
        small_encoder_steps: Training steps of a small encoder.
        verifier_sizes: Numbers of training images in the trials of the verifier's calibration.
        transfer_seeds: Repetitions of the article, whose training runs take seconds.
        transfer_epochs: Epochs of the article's training runs, at most.
        pair_numbers: Numbers of texture pairs to train on.
    """

    name: str
    seeds: int
    epochs: int
    short_epochs: int
    milestones: tuple[int, ...]
    images_per_class: int | None
    num_new_class_splits: tuple[int, int]
    num_study_network_splits: int
    num_stopping_rule_splits: int
    steps_below_an_epoch: tuple[int, ...]
    num_initialisations: int
    num_second_splits: int
    num_user_splits: int
    num_class_number_repetitions: int
    small_encoder_steps: int
    verifier_sizes: tuple[int, ...]
    transfer_seeds: int
    transfer_epochs: int
    pair_numbers: tuple[int, ...]


PROFILES = {
    "full": Profile(
        "full",
        seeds=3,
        epochs=20,
        short_epochs=5,
        milestones=(1, 2, 5, 10),
        images_per_class=None,
        num_new_class_splits=(5, 20),
        num_study_network_splits=20,
        num_stopping_rule_splits=10,
        steps_below_an_epoch=(10, 30),
        num_initialisations=100,
        num_second_splits=20,
        num_user_splits=5,
        num_class_number_repetitions=10,
        small_encoder_steps=100,
        verifier_sizes=(120, 300, 1000, 10_000),
        transfer_seeds=5,
        transfer_epochs=10,
        pair_numbers=(5, 10, 20, 50, 100, 200),
    ),
    "quick": Profile(
        "quick",
        seeds=2,
        epochs=3,
        short_epochs=2,
        milestones=(1, 2),
        images_per_class=300,
        num_new_class_splits=(1, 2),
        num_study_network_splits=2,
        num_stopping_rule_splits=2,
        steps_below_an_epoch=(2,),
        num_initialisations=3,
        num_second_splits=2,
        num_user_splits=2,
        num_class_number_repetitions=2,
        small_encoder_steps=30,
        verifier_sizes=(300,),
        transfer_seeds=2,
        transfer_epochs=10,
        pair_numbers=(10, 50),
    ),
}
# As little of `quick` as every page can be made of, for tests of the software; its numbers mean nothing.
PROFILES["smoke"] = replace(
    PROFILES["quick"],
    name="smoke",
    images_per_class=100,
    small_encoder_steps=10,
    verifier_sizes=(120,),
    transfer_epochs=1,
)
CELL_HOURS = 4.0  # default time limit of a notebook cell
CLASS_SPLIT_IMAGES = 1000  # per class, for the pages that train on many class splits


def get_profile(name: str, seeds: int | None = None) -> Profile:
    """Return a profile.

    Args:
        name: A name in PROFILES.
        seeds: Repetitions of the first study; None: the profile's own number.

    Raises:
        ValueError: The name is unknown, or there is less than one seed.
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
    """Return the folder of cached results."""
    return Path(os.environ.get(CACHE_VARIABLE) or REPORTS / "cache")


def results_dir() -> Path:
    """Return the folder to which a notebook writes its tables.

    `run_all.py` sets it. A notebook that is run by hand writes to a scratch folder, so that only
    `run_all.py` changes the report.
    """
    return Path(os.environ.get(RESULTS_VARIABLE) or REPORTS / "scratch")


def published_results_dir() -> Path:
    """Return the folder from which the summary reads tables: this run's, else the committed ones."""
    folder = os.environ.get(REPORT_RESULTS_VARIABLE) or os.environ.get(RESULTS_VARIABLE)
    return Path(folder or REPORTS / "results")
