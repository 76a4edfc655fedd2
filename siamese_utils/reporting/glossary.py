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
    Term("Siamese network", "A network that embeds two images with one encoder and outputs the distance "
         "of the two embeddings.", ("Siamese networks",)),
    Term("encoder", "The part of a network that turns an image into an embedding.", ("encoders",)),
    Term("embedding", "The vector that an encoder computes for an image.", ("embeddings",)),
    Term("positive pair", "Two images of one class; the label y is 0.",
         ("positive pairs", "same pair", "same pairs")),
    Term("negative pair", "Two images of different classes; the label y is 1.",
         ("negative pairs", "different pair", "different pairs")),
    Term("distance", "The Euclidean distance of two embeddings, 0 or more. “By cosine” means that embeddings are "
         "scaled to length 1 first.", ("distances",)),
    Term("contrastive loss", "A loss that pulls positive pairs together, and pushes negative pairs apart "
         "until their distance is a margin."),
    Term("margin", "The distance above which a negative pair has no loss.", ("margins",)),
    Term("threshold", "The distance above which a pair is classified as negative.", ("thresholds",)),
    Term("tuned threshold", "The most accurate threshold on validation pairs (of seen classes, unless a page says otherwise).",
         ("threshold tuned",)),
    Term("oracle threshold", "The most accurate threshold on the test pairs themselves; in practice it is "
         "unknown.", ("oracle",)),
    Term("seen classes", "The classes that a network is trained on.", ("seen class",)),
    Term("unseen classes", "Classes that are not used in training.", ("unseen class",)),
    Term("new classes", "Classes that the first training did not use; some methods get a few labelled images of them, others none.", ("new class",)),
    Term("base model", "A network of two convolutions and two dense layers, without dropout and weight penalties.", ("base models",)),
    Term("complex model", "The base model with dropout and weight penalties.", ("complex models",)),
    Term("the study's pairs", "Pairs that we sample with our reconstruction of the study's rule. Half are positive.",
         ("study's pairs",)),
    Term("all pairs", "All pairs of test images. Positive pairs together and negative pairs together each have half of the weight."),
    Term("reconstructed protocol", "The study's training procedure as far as we know it, run by us."),
    Term("profile", "How much run_all.py computes: full (the whole report), quick (a small one), or smoke (a test of the software).", ("profiles",)),
    Term("fresh pairs", "Pairs of textures whose images are in none of the article's pairs."),
    Term("test splits", "The class splits on which methods for new classes are tested; no method was chosen by its results on them.", ("test split",)),
    Term("development splits", "The class splits on which methods for new classes were chosen.", ("development split",)),
    Term("recalibrated", "With threshold and probability fitted again, to pairs of the classes in question.", ("recalibration",)),
    Term("accept", "To classify a pair as positive.", ("accepted", "accepts")),
    Term("prediction interval", "An interval that contains the result of one more training run with probability 95 %.",
         ("prediction intervals",)),
    Term("significant", "Said of a difference whose 95 % interval does not contain 0.", ("significantly",)),
    Term("threshold effect", "A difference at threshold 0.5 that a tuned threshold reduces by significantly more than half.",
         ("threshold effects",)),
    Term("average precision", "The area under the precision-recall curve for finding positive pairs."),
    Term("class split", "A choice of seen and unseen classes.", ("class splits",)),
    Term("split", "The assignment of images to training, validation and test."),
    Term("seed", "The random seed of a repetition. It fixes the split, the pairs and the initial weights.", ("seeds",)),
    Term("epoch", "One pass over all training pairs.", ("epochs",)),
    Term("AUC", "The area under the ROC curve: the probability that a negative pair has a larger distance "
         "than a positive pair. 0.5 is chance, 1 perfect; no threshold is needed."),
    Term("ROC curve", "The share of positive pairs classified as positive against the share of negative "
         "pairs classified as positive, for all thresholds.", ("ROC curves",)),
    Term("EER", "The equal error rate: the error rate at the threshold where positive and negative "
         "pairs have the same error rate.", ("equal error rate",)),
    Term("ECE", "The expected calibration error: the mean absolute difference between "
         "predicted probability and observed frequency, over bins of predictions.", ("expected calibration error",)),
    Term("verifier", "A model that gives the probability that two images show one class.",
         ("verifiers",)),
    Term("HOG", "Histograms of oriented gradients: image features that count edge directions in cells "
         "of the image."),
    Term("log-loss", "The mean of minus log p, where p is the predicted probability of the true label; lower is better."),
    Term("Brier score", "The mean squared difference between predicted probability and outcome; lower is "
         "better."),
    Term("95 % interval", "A confidence interval: in 95 % of repetitions of the experiment such an "
         "interval contains the true mean.", ("95 % intervals",)),
    Term("bfloat16", "A format of 16-bit numbers with fewer digits than float32."),
    Term("dropout", "In each training step, a random part of a layer's outputs is set to 0."),
    Term("small network", "A network of three convolutional blocks whose embeddings have 64 numbers. Its supervised contrastive loss compares each image of a batch with "
         "all others and uses their class labels; see the page on new classes.", ("small networks",)),
    Term("confidence", "The probability of the more probable answer."),
    Term("triplet", "An anchor image, an image of its class and an image of another class.",
         ("triplets",)),
    Term("one-shot learning", "Learning from one example of each class. The article means learning from few pairs."),
    Term("1-shot accuracy", "The share of images that are classified correctly from one example of each class."),
    Term("pretraining", "Training on another labelled data set before training on the task.",
         ("pretrained",)),
    Term("foreground mask", "An image that is 1 where a pixel is not black and 0 elsewhere, and is then blurred.",
         ("foreground masks",)),
    Term("cosine", "The similarity of the directions of two embeddings, whatever their lengths. It ranks pairs as the Euclidean distance "
         "does after scaling embeddings to length 1."),
    Term("whitening", "Here a PCA followed by within-class covariance normalisation: a linear map that scales "
         "down directions with a large variance within classes.",
         ("whitened",)),
    Term("ensemble", "Here one vector of concatenated features: HOG features, the foreground mask and the embeddings of "
         "two small networks, each whitened first.", ("ensembles",)),
)  # fmt: skip


def table(with_study: bool = True) -> pd.DataFrame:
    """Return the glossary as a table in alphabetical order; each term has its own HTML id.

    Args:
        with_study: Whether to list terms that speak of the study, the article or the test splits.
    """
    terms = sorted(TERMS, key=lambda term: term.name.lower())
    left_out = re.compile("study|article|test splits|development splits")
    terms = [term for term in terms if with_study or not left_out.search(term.name + term.meaning)]
    rows = [(AnchorCell(term.name, term.anchor), term.meaning) for term in terms]
    return pd.DataFrame(rows, columns=["word", "meaning"])
