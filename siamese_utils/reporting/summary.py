"""Sentences of the summary, made from the results of the report."""

import pandas as pd

from siamese_utils.data.dataset import Dataset
from siamese_utils.evaluation import verdicts
from siamese_utils.reporting import claims, results
from siamese_utils.reporting.tables import describe_replication

# Whether margin 5 is less accurate than margin 1, by the verdict on a claim.
MARGIN_WORDS = {
    verdicts.SUPPORTED: "margin 5 is less accurate than margin 1 at threshold 0.5",
    verdicts.THRESHOLD_EFFECT: "margin 5 is less accurate than margin 1 at threshold 0.5, mainly because this threshold is too low for margin 5",
    verdicts.REFUTED: "margin 5 is not 1 point or more less accurate than margin 1",
    verdicts.INCONCLUSIVE: "the results do not show whether margin 5 is less accurate than margin 1",
}


def finding_sentences(base: pd.Series, dataset: Dataset) -> list[str]:
    """Return the main findings as sentences.

    Args:
        base: The base model's accuracy in % at threshold 0.5, set -> value.
        dataset: The data set; the comparison with the study needs the study's.
    """
    splits, new = results.read_facts("class-splits"), results.read_facts("new-classes")
    replication = results.read("replication") if dataset.has_study_figures else pd.DataFrame()
    margin: dict[str, list[str]] = {}
    for number, pair_set in (("4a", "seen"), ("4b", "all"), ("4c", "unseen")):
        margin.setdefault(MARGIN_WORDS[claims.verdict_on(number)], []).append(pair_set)
    sentences = [
        describe_replication(replication),
        f"At threshold 0.5, the base model classifies {base['seen']:.0f} % of pairs correctly on training classes and "
        f"{base['unseen']:.0f} % on unseen classes; guessing gives 50 %.",
        f"On unseen classes, raw pixels reach an AUC of {splits['pixels']:.2f}, the base model {splits['base']:.2f}. On "
        f"{splits['splits']} other class splits, the mean AUC is {splits['pixels_on_splits']:.2f} for raw pixels and {splits['base_on_splits']:.2f} for the "
        f"base model, which is trained there for {splits['epochs']} epochs on fewer images.",
        " ".join(
            f"In our runs, on {join(sets)} classes, {words}." for words, sets in margin.items()
        ),
        f"Labels help: on {new['splits']} other class splits, {new['labelled']} labelled images of each new class raise "
        f"the mean AUC of an ensemble of image features and two small networks from {new['without_labels']:.2f} to "
        f"{new['with_labels']:.2f}. On these splits, raw pixels have a mean AUC of {new['pixels']:.2f}.",
    ]
    return [sentence for sentence in sentences if sentence]


def join(names: list[str]) -> str:
    """Return names as text: "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
