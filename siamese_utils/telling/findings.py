"""What the whole report found, in the sentences of its first screen."""

import pandas as pd

from siamese_utils.images.dataset import Dataset
from siamese_utils.measuring import verdicts
from siamese_utils.telling import claims, results
from siamese_utils.telling.tables import say_reproduction

PIXELS = {
    verdicts.HOLDS: "there pixels do better, as on {lost} of {choices} other choices",
    verdicts.FAILS: "pixels do worse there, and better on {lost} of {choices} other choices",
    verdicts.UNDECIDED: "on {lost} of {choices} other choices pixels do better",
}
MARGIN = {
    verdicts.ARTEFACT: "“A wider margin is worse” was a threshold left behind.",
    verdicts.HOLDS: "A wider margin is worse.",
}


def lead(judged: pd.DataFrame) -> str:
    """Return how many of the study's claims hold; judged: as `claims.table` returns them."""
    return f"{(judged['verdict'] == verdicts.HOLDS).sum()} of its {len(judged)} claims hold."


def say(base: pd.Series, dataset: Dataset) -> list[str]:
    """Return the findings, from this report's results.

    base: the base model's accuracy in % at 0.5, by set.
    """
    lottery, recipe = results.read_facts("lottery"), results.read_facts("unseen")
    minus = pd.Series(dtype=object)
    if dataset.has_study_figures:
        minus = results.read_figures("gaps").droplevel("figure")
    kinds = "kinds of clothes" if dataset.has_study_figures else "classes"
    pixels = PIXELS[claims.verdict_on("S4")].format(**lottery)
    sentences = [
        say_reproduction(minus),
        f"On {kinds} it was trained on, the base model judges {base['seen']:.0f} of 100 pairs rightly,"
        f" on new ones {base['unseen']:.0f}; {pixels}.",
        MARGIN.get(claims.verdict_on("4"), ""),
        f"For new kinds a recipe reaches {recipe['right']:.0f} over {recipe['splits']} choices,"
        f" outlines {recipe['outlines_right']:.0f}.",
    ]
    return [sentence for sentence in sentences if sentence]
