"""Published results of the 2019 study.

Source: Hou 2019, Tables 1 to 5.
"""

import pandas as pd

from siamese_utils.data.dataset import TEST_SETS, Dataset
from siamese_utils.training.pair_training import TrainingConfig

# The number of images of each set, from Table 1.
SET_SIZES = {
    "train": 33600,
    "seen": 8400,
    "all": 36400,
    "unseen": 28000,
}
# Accuracy in % at threshold 0.5, from one training run for each value.
TEST_ACCURACY = pd.DataFrame(
    [
        ("Table 2", "base", 1.0, 95.99, 79.85, 61.43),
        ("Tables 3, 4", "complex", 1.0, 96.18, 81.69, 65.32),
        ("Table 5", "complex", 5.0, 81.96, 67.78, 55.43),
    ],
    columns=["table", "model", "margin", *TEST_SETS],
)
# (model, margin) -> training accuracy in % of the three networks of a row, one for each test set.
TRAINING_ACCURACY = {
    ("base", 1.0): (99.85, 99.73, 99.70),
    ("complex", 1.0): (96.75, 96.84, 95.10),
    ("complex", 5.0): (82.58, 78.84, 79.32),
}
BUMP_EPOCHS = (5, 10, 17, 18)  # epochs near which the complex model's loss has bumps


def published_accuracy(config: TrainingConfig, dataset: Dataset) -> dict[str, float]:
    """Return the study's accuracy of a network at threshold 0.5.

    Returns:
        Test set -> accuracy in %; {} if the study did not train this config on this data set.
    """
    study_config = TrainingConfig(
        model=config.model, margin=config.margin, seed=config.seed, dataset=config.dataset
    )
    rows = TEST_ACCURACY[
        (TEST_ACCURACY["model"] == config.model) & (TEST_ACCURACY["margin"] == config.margin)
    ]
    if config != study_config or not dataset.has_study_figures or rows.empty:
        return {}
    return rows.iloc[0][list(TEST_SETS)].to_dict()
