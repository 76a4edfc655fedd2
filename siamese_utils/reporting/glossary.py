"""Glossary of the report; its pages link each term at its first use."""

import re
from typing import NamedTuple

import pandas as pd

from siamese_utils.reporting.show import AnchorCell


class Term(NamedTuple):
    """A term of the glossary.

    Attributes:
        name: The term.
        meaning: Its meaning in this report.
        forms: Other forms of the term that pages use, such as plurals.
    """

    name: str
    meaning: str
    forms: tuple[str, ...] = ()

    @property
    def anchor(self) -> str:
        """The HTML id of the term's row in the glossary."""
        return f"term-{re.sub(r'[^a-z0-9]+', '-', self.name.lower()).strip('-')}"

    @property
    def pattern(self) -> re.Pattern:
        """Regular expression that matches the term and its other forms, longest first."""
        forms = sorted({self.name, *self.forms}, key=len, reverse=True)
        return re.compile(rf"\b(?:{'|'.join(map(re.escape, forms))})\b", re.IGNORECASE)


TERMS = (
    Term("Siamese network", "One encoder that both images of a pair go through, and the distance of "
         "what comes out.", ("Siamese networks",)),
    Term("encoder", "The part of a network that turns an image into an embedding.", ("encoders",)),
    Term("embedding", "The list of numbers that an encoder makes of an image.",
         ("embeddings",)),
    Term("same pair", "Two images of one class. Its label y is 0.", ("same pairs", "positive pair",
         "positive pairs")),
    Term("different pair", "Two images of two classes. Its label y is 1.", ("different pairs",
         "negative pair", "negative pairs")),
    Term("distance", "How far the two embeddings of a pair lie apart: Euclidean, 0 or more.",
         ("distances",)),
    Term("contrastive loss", "What a training on pairs makes small: it pulls same pairs together, and "
         "pushes different ones apart until they are a margin away."),
    Term("margin", "The distance beyond which a different pair costs a training nothing.", ("margins",)),
    Term("threshold", "The distance beyond which a pair is called different.",
         ("thresholds",)),
    Term("tuned threshold", "The threshold of highest accuracy on validation pairs of seen classes.",
         ("threshold tuned",)),
    Term("oracle threshold", "The threshold that is best on the very test pairs; nobody can choose it "
         "beforehand.", ("oracle",)),
    Term("seen classes", "The classes whose images a network is trained on.", ("seen class",)),
    Term("unseen classes", "The classes that no training image shows.", ("unseen class",)),
    Term("split", "Which images train, validate and test; or which classes are unseen.", ("splits",)),
    Term("seed", "A repetition of the whole, with its own split, pairs and first weights.", ("seeds",)),
    Term("epoch", "A pass of the training through all of its pairs.", ("epochs",)),
    Term("AUC", "The area under the ROC curve: how often a different pair lies farther apart than a "
         "same one. 0.5 is chance, 1 perfect; it needs no threshold."),
    Term("ROC curve", "The share of different pairs called different, against the share of same pairs "
         "called different, for every threshold.", ("ROC curves",)),
    Term("EER", "The equal error rate: the share of wrong accepts at the threshold where it equals "
         "that of wrong rejects.", ("equal error rate",)),
    Term("ECE", "The expected calibration error: how far what a network states is from how often it is "
         "so.", ("expected calibration error",)),
    Term("verifier", "What answers, for two images, how probable it is that they are the same.",
         ("verifiers",)),
    Term("panel", "All figures of merit of one network, from all pairs of test images.", ("panels",)),
    Term("95 % interval", "A range that holds the mean of very many repetitions, in 95 of 100 such "
         "reports.", ("95 % intervals",)),
    Term("triplet", "An anchor, a positive of its class and a negative of another.", ("triplets",)),
    Term("pretraining", "Training on other images first, where labels are plenty.", ("pretrained",)),
    Term("silhouette", "Where there is anything at all in an image, blurred.", ("silhouettes",)),
    Term("cosine", "A comparison of directions alone: embeddings are scaled to length 1 first."),
    Term("whitened", "Evened out, so that what varies much inside the seen classes counts little.",
         ("whitening",)),
    Term("recipe", "A way for unseen classes: silhouette, gradients and two small networks, whitened "
         "and joined."),
)  # fmt: skip


def table() -> pd.DataFrame:
    """Return the glossary as a table in alphabetical order; each term has its own HTML id."""
    terms = sorted(TERMS, key=lambda term: term.name.lower())
    rows = [(AnchorCell(term.name, term.anchor), term.meaning) for term in terms]
    return pd.DataFrame(rows, columns=["word", "meaning"])
