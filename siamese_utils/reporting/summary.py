"""Sentences of the summary, made from the results of the report."""

import pandas as pd

from siamese_utils.data.dataset import Dataset
from siamese_utils.evaluation import verdicts
from siamese_utils.reporting import claims, results
from siamese_utils.reporting.tables import describe_reproduction

# Whether raw pixels outperform the base model, by the verdict on claim S4.
PIXELS_WORDS = {
    verdicts.HOLDS: "by AUC pixels do better there, as on",
    verdicts.FAILS: "by AUC pixels do worse there, and better on",
    verdicts.UNDECIDED: "by AUC pixels do better on",
}
MARGIN_WORDS = {
    verdicts.ARTEFACT: "“Margin 5 is worse” was, on all classes, a threshold left behind.",
    verdicts.HOLDS: "Margin 5 is worse than margin 1.",
}
# The result on the test B splits, by what `verdicts.compare` returns.
AGAIN_WORDS = {
    "better": "drawn again, it is ahead again",
    "worse": "drawn again, it is behind",
    "unclear": "drawn again, it is not clearly ahead",
}


def replication_sentence(claim_table: pd.DataFrame) -> str:
    """Return how many of the study's claims hold, from the table that `claims.table` returns."""
    holds = claim_table["verdict"] == verdicts.HOLDS
    return f"{holds.sum()} of its {len(claim_table)} claims hold."


def finding_sentences(base: pd.Series, dataset: Dataset) -> list[str]:
    """Return the main findings as sentences.

    Args:
        base: The base model's accuracy in % at threshold 0.5, set -> value.
        dataset: The data set; the comparison with the study needs the study's.
    """
    lottery, ensemble = results.read_facts("lottery"), results.read_facts("unseen")
    differences = pd.Series(dtype=object)
    if dataset.has_study_figures:
        differences = results.read_measurements("gaps").droplevel("figure")
    sentences = [
        describe_reproduction(differences),
        f"Of 100 pairs the base model judges {base['seen']:.0f} rightly on classes it was trained on,"
        f" {base['unseen']:.0f} on new ones; {PIXELS_WORDS[claims.verdict_on('S4')]} {lottery['lost']} of"
        f" {lottery['choices']} other choices.",
        MARGIN_WORDS.get(claims.verdict_on("4"), ""),
        f"Over choices drawn beforehand a recipe for new kinds reaches {ensemble['right']:.0f},"
        f" outlines {ensemble['outlines_right']:.0f}; {AGAIN_WORDS[ensemble['again']]}.",
    ]
    return [sentence for sentence in sentences if sentence]
