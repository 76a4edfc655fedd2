"""What the whole report found, in the sentences of its first screen."""

import pandas as pd

from siamese_utils.data.dataset import Dataset
from siamese_utils.evaluation import verdicts
from siamese_utils.reporting import claims, results
from siamese_utils.reporting.tables import describe_reproduction

PIXELS_WORDS = {
    verdicts.HOLDS: "by AUC pixels do better there, as on",
    verdicts.FAILS: "by AUC pixels do worse there, and better on",
    verdicts.UNDECIDED: "by AUC pixels do better on",
}
MARGIN_WORDS = {
    verdicts.ARTEFACT: "“Margin 5 is worse” was, on all classes, a threshold left behind.",
    verdicts.HOLDS: "Margin 5 is worse than margin 1.",
}

AGAIN_WORDS = {  # on choices drawn again, by `verdicts.compare`
    "better": "drawn again, it is ahead again",
    "worse": "drawn again, it is behind",
    "unclear": "drawn again, it is not clearly ahead",
}


def replication_sentence(judged: pd.DataFrame) -> str:
    """Return how many of the study's claims hold; judged: as `claims.table` returns them."""
    return f"{(judged['verdict'] == verdicts.HOLDS).sum()} of its {len(judged)} claims hold."


def finding_sentences(base: pd.Series, dataset: Dataset) -> list[str]:
    """Return the findings, from this report's results.

    base: the base model's accuracy in % at 0.5, by set.
    """
    lottery, recipe = results.read_facts("lottery"), results.read_facts("unseen")
    minus = pd.Series(dtype=object)
    if dataset.has_study_figures:
        minus = results.read_figures("gaps").droplevel("figure")
    sentences = [
        describe_reproduction(minus),
        f"Of 100 pairs the base model judges {base['seen']:.0f} rightly on classes it was trained on,"
        f" {base['unseen']:.0f} on new ones; {PIXELS_WORDS[claims.verdict_on('S4')]} {lottery['lost']} of"
        f" {lottery['choices']} other choices.",
        MARGIN_WORDS.get(claims.verdict_on("4"), ""),
        f"Over choices drawn beforehand a recipe for new kinds reaches {recipe['right']:.0f},"
        f" outlines {recipe['outlines_right']:.0f}; {AGAIN_WORDS[recipe['again']]}.",
    ]
    return [sentence for sentence in sentences if sentence]
