"""Sentences of the summary, made from the results of the report."""

import pandas as pd

from siamese_utils.data.dataset import Dataset
from siamese_utils.evaluation import verdicts
from siamese_utils.reporting import claims, results
from siamese_utils.reporting.tables import describe_replication

# Whether raw pixels outperform the base model, by the verdict on claim S4.
PIXELS_WORDS = {
    verdicts.SUPPORTED: "Raw pixels reach a higher AUC there, as on",
    verdicts.REFUTED: "Raw pixels do not reach an AUC that is 0.01 higher there. They reach a higher AUC on",
    verdicts.INCONCLUSIVE: "Raw pixels reach a higher AUC on",
}
# The finding on margin 5, by the verdicts on claims 4a, 4b and 4c (seen, all and unseen classes).
MARGIN_WORDS = {
    verdicts.SUPPORTED: "worse",
    verdicts.THRESHOLD_EFFECT: "worse mostly because of the unscaled threshold",
    verdicts.REFUTED: "not worse by 1 point or more",
    verdicts.INCONCLUSIVE: "inconclusive",
}


def finding_sentences(base: pd.Series, dataset: Dataset) -> list[str]:
    """Return the main findings as sentences.

    Args:
        base: The base model's accuracy in % at threshold 0.5, set -> value.
        dataset: The data set; the comparison with the study needs the study's.
    """
    splits, new = results.read_facts("class-splits"), results.read_facts("new-classes")
    replication = results.read("replication") if dataset.has_study_figures else pd.DataFrame()
    margin = {
        s: MARGIN_WORDS[claims.verdict_on(number)]
        for number, s in (("4a", "seen"), ("4b", "all"), ("4c", "unseen"))
    }
    sentences = [
        describe_replication(replication),
        f"The base model classifies {base['seen']:.0f} % of pairs correctly on training classes and "
        f"{base['unseen']:.0f} % on unseen classes. {PIXELS_WORDS[claims.verdict_on('S4')]} "
        f"{splits['lost']} of {splits['splits']} other class splits.",
        f"Margin 5 against margin 1: {', '.join(f'{w} on {s} classes' for s, w in margin.items())}.",
        f"With {new['labelled']} labelled images of each new class the mean AUC on new classes over "
        f"{new['splits']} other class splits rises from {new['without_labels']:.2f} to "
        f"{new['with_labels']:.2f}; raw pixels have {new['pixels']:.2f}.",
    ]
    return [sentence for sentence in sentences if sentence]
