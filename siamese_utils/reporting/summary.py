"""Sentences of the summary, made from the results of the report."""

import pandas as pd

from siamese_utils.data.dataset import Dataset
from siamese_utils.evaluation import verdicts
from siamese_utils.reporting import claims, results
from siamese_utils.reporting.tables import describe_replication

# Whether margin 5 is less accurate than margin 1, by the verdict on a claim.
MARGIN_WORDS = {
    verdicts.SUPPORTED: "Margin 5 is less accurate than margin 1",
    verdicts.THRESHOLD_EFFECT: "Margin 5 is less accurate than margin 1 mainly because the threshold stayed at 0.5",
    verdicts.REFUTED: "Margin 5 is not less accurate than margin 1 by 1 point or more",
    verdicts.INCONCLUSIVE: "Whether margin 5 is less accurate than margin 1 is inconclusive",
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
        f"The base model classifies {base['seen']:.0f} % of pairs correctly on training classes and "
        f"{base['unseen']:.0f} % on unseen classes. On unseen classes, raw pixels reach an AUC of "
        f"{splits['pixels']:.2f}, the base model {splits['base']:.2f}. On {splits['splits']} other class splits, raw "
        f"pixels are better on {splits['lost']}.",
        " ".join(f"{words} ({', '.join(sets)} classes)." for words, sets in margin.items()),
        f"Labelled images of the new classes help: over {new['splits']} other class splits, {new['labelled']} images "
        f"of each new class raise the ensemble's mean AUC from {new['without_labels']:.2f} to "
        f"{new['with_labels']:.2f}. Raw pixels have {new['pixels']:.2f}.",
    ]
    return [sentence for sentence in sentences if sentence]
