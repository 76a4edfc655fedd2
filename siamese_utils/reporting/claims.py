"""All claims as one table, how each is judged, and the verdicts of this run."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from IPython.display import HTML, display

from siamese_utils.data.dataset import Dataset
from siamese_utils.evaluation import verdicts
from siamese_utils.evaluation.intervals import Interval, Measurement
from siamese_utils.evaluation.metrics import THRESHOLD_RULES
from siamese_utils.reporting import results
from siamese_utils.reporting.show import LinkCell

STUDY, SECOND_STUDY, OURS = "the study", "the second study", "ours"
SPLIT = "on the study's split"
TEXTURES = "on these textures"
OVER_TEST_SPLITS = "over choices of classes drawn beforehand"
MODELS, MARGIN, OPTIMIZER = "04-complex-model", "05-margin-study", "06-optimizer-comparison"
TRANSFER, BASELINES = "07-one-shot-transfer", "08-plain-baselines"
UNSEEN = "11-unseen-classes"


@dataclass(frozen=True)
class Claim:
    """A claim, and the rule that judges it.

    rule: `sign`: the measured difference has the claimed sign; `threshold`: so has the difference
    in accuracy at 0.5, in the light of the tuned threshold and the AUC; `value`: the measured
    figures have the claimed values, each a range low..high, to half a unit of their last digit.
    """

    number: str
    statement: str
    scope: str  # where it was tried, and nowhere else
    chapter: str  # the notebook that holds its evidence
    figure: str  # what is measured
    rule: str = "sign"
    sign: int = +1
    pair_set: str = ""  # of the rule `threshold`
    values: tuple[tuple[float, float], ...] = ()  # of the rule `value`
    tolerance: float = 0.0  # half a unit of the values' last published digit
    published: str = ""  # the study's figures, as it prints them
    by: str = STUDY

    @property
    def anchor(self) -> str:
        """The id of the place where it is judged."""
        return f"claim-{self.number}"


CLAIMS = {
    claim.number: claim
    for claim in (
        Claim("1a", "The base model overfits (the study writes “underfit”)", SPLIT, MODELS,
              "validation loss minus training loss, after the last epoch",
              published="accuracy 99.85 % in training, 95.99 % on seen"),
        Claim("1b", "Its training loss falls throughout", SPLIT, MODELS,
              "rises of the training loss in one training", rule="value", values=((0, 0),),
              tolerance=0.5, published="no rise"),
        Claim("1c", "Its validation loss stays at 0.03 to 0.04", SPLIT, MODELS,
              "mean validation loss of the second half of the epochs", rule="value",
              values=((0.03, 0.04),), tolerance=0.005, published="0.03 to 0.04"),
        Claim("2a", "Dropout and regularisers bring training and test accuracy together", SPLIT,
              MODELS, "gap between train and seen accuracy at 0.5, base minus complex",
              published="gap of 3.86 down to 0.57"),
        Claim("2b", "Dropout and regularisers help on unseen classes", SPLIT, MODELS,
              "accuracy on unseen classes, complex minus base", rule="threshold",
              pair_set="unseen", published="61.43 to 65.32"),
        Claim("3", "Dropout and regularisers raise the accuracy on all classes", SPLIT, MODELS,
              "accuracy on all classes, complex minus base", rule="threshold", pair_set="all",
              published="79.85 to 81.69"),
        Claim("4", "Margin 5 is worse than margin 1", SPLIT, MARGIN,
              "accuracy on all classes, margin 5 minus margin 1", rule="threshold", sign=-1,
              pair_set="all", published="81.69 to 67.78"),
        Claim("5", "Adadelta is not satisfactory compared with RMSprop",
              "at learning rate 1.0 in a short training, on the study's seen classes", OPTIMIZER,
              "accuracy on seen classes, Adadelta minus RMSprop", rule="threshold", sign=-1,
              pair_set="seen", published="no figure"),
        Claim("6a", "The complex model's loss goes from 0.08 to 0.04 over the epochs", SPLIT, MODELS,
              "loss after the first and the last epoch", rule="value",
              values=((0.08, 0.08), (0.04, 0.04)), tolerance=0.005, published="0.08 to 0.04"),
        Claim("6b", "It has bumps near epochs 5, 10, 17, 18", SPLIT, MODELS,
              "bumps per epoch near these epochs, minus elsewhere", published="four bumps"),
        Claim("B1", "With 50 pairs and the tutorial's training, pretraining on digits helps",
              TEXTURES, TRANSFER, "AUC, pretrained minus from scratch", by=SECOND_STUDY),
        Claim("B2", "With 50 pairs and training to the end, pretraining on digits helps",
              TEXTURES, TRANSFER, "AUC, pretrained minus from scratch", by=SECOND_STUDY),
        Claim("B3", "With 50 pairs and the tutorial's training, transfer is better than raw pixels",
              TEXTURES, TRANSFER, "AUC, pretrained minus raw pixels", by=SECOND_STUDY),
        Claim("B4", "With 50 pairs and fainter rectangles, pretraining on digits helps",
              "on textures of an eighth of the contrast", TRANSFER,
              "AUC, pretrained minus from scratch", by=SECOND_STUDY),
        Claim("S1", "A threshold of half the margin undoes most of what margin 5 loses", SPLIT,
              MARGIN, "accuracy on all classes won at m/2, minus half of what is lost at 0.5",
              by=OURS),
        Claim("S2", "An untrained encoder, compared by Euclidean distance, judges unseen classes "
              "better than the trained base model", SPLIT, BASELINES,
              "AUC on unseen classes, untrained minus trained", by=OURS),
        Claim("S3", "An untrained encoder, compared by cosine, judges unseen classes better than "
              "the trained base model", SPLIT, BASELINES,
              "AUC on unseen classes, untrained minus trained", by=OURS),
        Claim("S4", "Comparing raw pixels by cosine judges unseen classes better than the trained "
              "base model", SPLIT, BASELINES, "AUC on unseen classes, pixels minus trained",
              by=OURS),
        Claim("S5", "From one example each, raw pixels name the unseen classes better than the "
              "base model", SPLIT, TRANSFER, "1-shot accuracy, pixels minus base model", by=OURS),
        Claim("S8", "From one example each, the recipe for unseen classes names them better than "
              "raw pixels", "on the study's split, one of five on which the recipe was found",
              TRANSFER, "1-shot accuracy, the recipe minus pixels", by=OURS),
        Claim("S6", "Outlines, gradients and small networks, whitened and joined, judge unseen "
              "classes better than centred outlines", OVER_TEST_SPLITS, UNSEEN,
              "AUC on unseen classes, the recipe minus the centred silhouette", by=OURS),
        Claim("S7", "In that recipe the networks add to what outlines and gradients tell", OVER_TEST_SPLITS,
              UNSEEN, "AUC on unseen classes, the recipe minus the same without networks",
              by=OURS),
    )
}  # fmt: skip

# The answer to "does it?" in a word, for each verdict.
ANSWERS = {
    verdicts.HOLDS: "Yes, on the study's split.",
    verdicts.FAILS: "No, on the study's split.",
    verdicts.UNDECIDED: "That cannot be told here.",
    verdicts.ARTEFACT: "Only because the threshold stayed behind.",
}
_REASONS = {
    "sign": {
        verdicts.HOLDS: "The whole interval lies on the claim's side of zero.",
        verdicts.FAILS: "The whole interval lies on the other side of zero.",
        verdicts.UNDECIDED: "The interval contains zero.",
        verdicts.ARTEFACT: "It holds at 0.5 alone: at the tuned threshold the difference is clearly "
        "smaller, and neither that nor the AUC bears it out.",
    },
    "value": {
        verdicts.HOLDS: "The whole interval of the mean agrees with the value, to its last digit.",
        verdicts.FAILS: "The whole interval of the mean lies beside the value.",
        verdicts.UNDECIDED: "The interval of the mean holds the value and others too.",
    },
}
_SUPPORT_WORDS = {verdicts.HOLDS: "bears it out", verdicts.FAILS: "says the opposite"}
Evidence = Measurement | pd.Series | Mapping[str, Sequence[Measurement]]


def judge(number: str, evidence: Evidence, dataset: Dataset, **also: Measurement) -> str:
    """Judge a claim, keep the verdict and its figures, display them, and return the verdict.

    evidence: for `sign` the difference; for `threshold` a panel minus another, of which the
    claim's set counts; for `value` the figure, or the figures by what they might be of, where the
    source does not say: one of them must have the values, and these must apply to the dataset.
    also: other figures to stand beside. The place has the claim's own anchor.
    """
    claim = CLAIMS[number]
    verdict, figures = _JUDGES[claim.rule](claim, evidence)
    if claim.rule == "value" and not dataset.has_study_figures:
        verdict = verdicts.UNDECIDED
    figures |= {name.replace("_", " "): figure for name, figure in also.items()}
    rows = pd.Series(figures, dtype=object).rename_axis("figure")
    rows = results.to_rows(rows).assign(claim=number, verdict=verdict)
    results.add(rows[["claim", "verdict", "figure", *results.INTERVAL_COLUMNS]], "claims", "claim")
    display(HTML(_to_html(claim, verdict, figures, dataset.has_study_figures)))
    return verdict


def verdict_on(number: str) -> str:
    """Return the verdict on a claim in this report. Raises KeyError where it was not judged."""
    rows = results.read("claims")
    return rows.set_index("claim").loc[[number], "verdict"].iloc[0]


def table(by: str, with_study: bool) -> pd.DataFrame:
    """Return the claims of one origin with their verdicts, each a link to its evidence.

    with_study: whether the study's figures apply.
    """
    judged = results.read("claims").drop_duplicates("claim").set_index("claim")
    rows = []
    for claim in CLAIMS.values():
        if claim.by == by and claim.number in judged.index:
            found = judged.loc[claim.number]
            link = LinkCell(
                f"{claim.statement}, {claim.scope}", f"{claim.chapter}.ipynb#{claim.anchor}"
            )
            figure = found[results.INTERVAL_COLUMNS].fillna({"unit": ""})
            ours = Interval(*figure, signed=claim.rule != "value")
            row = {"claim": claim.number, "statement": link, "verdict": found["verdict"]}
            row |= {"2019": claim.published} if with_study and by == STUDY else {}
            rows.append(row | {"measured": found["figure"], "ours": ours})
    return pd.DataFrame(rows)


# a mark for each verdict, told apart by its shape too
MARKS = {verdicts.HOLDS: "●", verdicts.FAILS: "✕", verdicts.ARTEFACT: "◆", verdicts.UNDECIDED: "○"}

KEY = {
    verdicts.HOLDS: "holds",
    verdicts.FAILS: "does not",
    verdicts.ARTEFACT: "fixed threshold alone",
    verdicts.UNDECIDED: "open",
}


def show_verdict_strip() -> None:
    """Display the verdicts on all claims, a mark each, which leads to the claim's evidence."""
    judged = results.read("claims").drop_duplicates("claim").set_index("claim")["verdict"]
    parts = []
    for origin in (STUDY, SECOND_STUDY, OURS):
        marks = []
        for claim in (c for c in CLAIMS.values() if c.by == origin and c.number in judged.index):
            verdict = judged[claim.number]
            words = html.escape(f"Claim {claim.number}: {verdict}. {claim.statement}.")
            marks.append(
                f'<a class="mark" data-verdict="{verdict}" title="{words}" aria-label="{words}"'
                f' href="{claim.chapter}.ipynb#{claim.anchor}">{MARKS[verdict]}</a>'
            )
        parts.append(f"<span>{origin} {' '.join(marks)}</span>")
    key = " ".join(f"<span>{MARKS[verdict]} {words}</span>" for verdict, words in KEY.items())
    display(HTML(f'<p class="verdicts">{" ".join(parts)}</p><p class="verdicts key">{key}</p>'))


def _judge_sign(claim: Claim, evidence: Measurement) -> tuple[str, dict[str, Measurement]]:
    return verdicts.judge(evidence, claim.sign), {claim.figure: evidence}


def _judge_threshold(claim: Claim, evidence: pd.Series) -> tuple[str, dict[str, Measurement]]:
    change = evidence[claim.pair_set]
    fixed, tuned, auc = (
        change[THRESHOLD_RULES["0.5"]],
        change[THRESHOLD_RULES["tuned"]],
        change["AUC"],
    )
    verdict = verdicts.judge_threshold(fixed, tuned, auc, claim.sign)
    figures = {f"{claim.figure}, at 0.5": fixed, "at the tuned threshold": tuned, "AUC": auc}
    return verdict, figures


def _judge_value(
    claim: Claim, evidence: Measurement | Mapping[str, Sequence[Measurement]]
) -> tuple[str, dict[str, Measurement]]:
    if isinstance(evidence, Measurement):
        evidence = {claim.figure: [evidence]}
    found, figures = [], {}
    for name, of_name in evidence.items():
        told = {
            verdicts.judge_value(figure, low, high, claim.tolerance)
            for figure, (low, high) in zip(of_name, claim.values, strict=True)
        }
        found.append(
            next(v for v in (verdicts.FAILS, verdicts.UNDECIDED, verdicts.HOLDS) if v in told)
        )
        places = ("first", "last") if len(of_name) > 1 else ("",)
        figures |= {
            ", ".join(filter(None, (name, place))): figure
            for place, figure in zip(places, of_name, strict=True)
        }
    best = next(v for v in (verdicts.HOLDS, verdicts.UNDECIDED, verdicts.FAILS) if v in found)
    return best, figures


_JUDGES = {"sign": _judge_sign, "threshold": _judge_threshold, "value": _judge_value}


def _to_html(claim: Claim, verdict: str, figures: dict[str, Measurement], applies: bool) -> str:
    """Return the claim, its verdict, figures and reason as HTML, under the claim's anchor."""
    reason = _REASONS["value" if claim.rule == "value" else "sign"][verdict]
    if not any(figure.interval.has_ends for figure in figures.values()):
        reason = "One seed gives no interval."
    if claim.rule == "value" and not applies:
        reason = "The study's value is of other images."
    if claim.rule == "threshold":
        tuned, auc = (
            _SUPPORT_WORDS.get(verdicts.judge(figures[name], claim.sign), "leaves it open")
            for name in ("at the tuned threshold", "AUC")
        )
        reason += f" The tuned threshold {tuned}; the AUC, which needs none, {auc}."
    measured = "; ".join(f"{name}: {figure:±}" for name, figure in figures.items())
    published = f" In 2019: {claim.published}." if claim.published and applies else ""
    words = html.escape(f"{measured[:1].upper()}{measured[1:]}. {reason}{published}")
    statement = html.escape(f"{claim.statement}, {claim.scope}")
    return (
        f'<div class="claim" id="{claim.anchor}"><p><strong>Claim {claim.number}: {verdict}.'
        f"</strong> {statement}.</p><p>{words}</p></div>"
    )
