"""What the whole report found, in the sentences of its first screen."""

import pandas as pd

from siamese_utils.images.dataset import Dataset
from siamese_utils.measuring import verdicts
from siamese_utils.telling import claims, results
from siamese_utils.telling.tables import say_reproduction

PIXELS = {
    verdicts.HOLDS: "There comparing pixels does better.",
    verdicts.FAILS: "There that is better than comparing pixels.",
}
MARGIN = {
    verdicts.ARTEFACT: "“Margin 5 is worse” was a threshold left behind.",
    verdicts.HOLDS: "Margin 5 is worse than margin 1.",
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
    sentences = [
        say_reproduction(minus),
        f"The base model judges {base['seen']:.0f} of 100 pairs rightly on {kinds} that it was"
        f" trained on, {base['unseen']:.0f} on new ones. {PIXELS.get(claims.verdict_on('S4'), '')}"
        f" On {lottery['choices']} other choices of classes, in short trainings, it beats pixels on"
        f" {lottery['choices'] - lottery['lost']}.",
        MARGIN.get(claims.verdict_on("4"), ""),
        f"Over {recipe['splits']} choices drawn beforehand, a recipe for new kinds judges"
        f" {recipe['right']:.0f} of 100 pairs rightly, where outlines judge"
        f" {recipe['outlines_right']:.0f}.",
    ]
    return [" ".join(sentence.split()) for sentence in sentences if sentence]
