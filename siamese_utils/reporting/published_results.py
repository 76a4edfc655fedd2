"""Published results of the 2019 study.

Source: Hou 2019, Tables 1 to 5.
"""

import pandas as pd

from siamese_utils.data.dataset import TEST_SETS, Dataset
from siamese_utils.training.pair_training import TrainingConfig

FILES = {"x_train, y_train": 60_000, "x_test, y_test": 10_000}  # the published files
# The number of images of each set. Inferred from the percentages and classes in Table 1.
SET_SIZES = {
    "train": 33600,
    "seen": 8400,
    "all": 36400,
    "unseen": 28000,
}
# Test set -> the name of the row in the study's tables, which number the sets in this order.
PAIR_SETS = {
    "seen": "First pair dataset [0,1,2,4,5,9]",
    "all": "Second pair dataset [0-9]",
    "unseen": "Third pair dataset [3,7,8,6]",
}
# Accuracy in %, from one training run for each row. Table 4 repeats Table 3.
TABLES = pd.DataFrame(
    [
        ("Table 2", "base", 1.0, "seen", 99.85, 95.99),
        ("Table 2", "base", 1.0, "all", 99.73, 79.85),
        ("Table 2", "base", 1.0, "unseen", 99.70, 61.43),
        ("Table 3", "complex", 1.0, "seen", 96.75, 96.18),
        ("Table 3", "complex", 1.0, "all", 96.84, 81.69),
        ("Table 3", "complex", 1.0, "unseen", 95.10, 65.32),
        ("Table 5", "complex", 5.0, "seen", 82.58, 81.96),
        ("Table 5", "complex", 5.0, "all", 78.84, 67.78),
        ("Table 5", "complex", 5.0, "unseen", 79.32, 55.43),
    ],
    columns=["table", "model", "margin", "set", "training_accuracy", "testing_accuracy"],
)
# The same test accuracies, a row for each network.
TEST_ACCURACY = TABLES.pivot(
    index=["table", "model", "margin"], columns="set", values="testing_accuracy"
).reset_index()[["table", "model", "margin", *TEST_SETS]]
# Set -> its row in Table 1: the names of its arrays, and its images.
TABLE_1 = {
    "train": ("x_train, y_train", "80 % of the seen classes"),
    "seen": ("x_test1, y_test1", "20 % of the seen classes"),
    "unseen": ("x_only_test2, y_only_test2", "the unseen classes"),
    "all": ("x_test3, y_test3", "all ten classes (inferred: x_test1 and x_only_test2)"),
}
BUMP_EPOCHS = (5, 10, 17, 18)  # epochs near which the complex model's loss has bumps


def find_table(config: TrainingConfig, dataset: Dataset) -> pd.DataFrame:
    """Return the rows of TABLES for a network; none if the study did not train it on this data set."""
    study_config = TrainingConfig(
        model=config.model, margin=config.margin, seed=config.seed, dataset=config.dataset
    )
    rows = (TABLES["model"] == config.model) & (TABLES["margin"] == config.margin)
    return TABLES[rows & (config == study_config and dataset.has_study_figures)]


def published_accuracy(config: TrainingConfig, dataset: Dataset) -> dict[str, float]:
    """Return the study's test accuracy of a network at threshold 0.5.

    Returns:
        Test set -> accuracy in %; {} if the study did not train this config on this data set.
    """
    rows = find_table(config, dataset)
    return dict(zip(rows["set"], rows["testing_accuracy"], strict=True))


def published_training_accuracy(config: TrainingConfig, dataset: Dataset) -> dict[str, float]:
    """Return the study's training accuracies of a network at threshold 0.5.

    Returns:
        Test set that the network was trained for -> accuracy in %; {} as in `published_accuracy`.
    """
    rows = find_table(config, dataset)
    return dict(zip(rows["set"], rows["training_accuracy"], strict=True))
