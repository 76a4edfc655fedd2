"""The claims under test, the rules that judge them, and the display of their verdicts."""

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
    """A claim and the rule that judges it.

    Attributes:
        number: The claim's number in this report, such as "1a".
        statement: The claim as a sentence without a full stop.
        scope: The data or setting on which the claim was tested.
        chapter: The notebook that holds the evidence, without its suffix.
        figure: The metric that is measured.
        rule: `sign`: the measured difference has the claimed sign. `threshold`: so has the
            difference in accuracy at threshold 0.5, and the tuned threshold and the AUC decide
            whether the fixed threshold is its cause. `value`: the measured values lie in the
            claimed ranges.
        sign: The claimed sign, +1 or -1.
        pair_set: For the rule `threshold`, the set of pairs that counts.
        values: For the rule `value`, the claimed ranges (low, high), both ends included.
        tolerance: Half a unit of the last published digit of `values`.
        published: The published values as the source prints them.
        by: The origin of the claim: STUDY, SECOND_STUDY or OURS.
    """

    number: str
    statement: str
    scope: str
    chapter: str
    figure: str
    rule: str = "sign"
    sign: int = +1
    pair_set: str = ""
    values: tuple[tuple[float, float], ...] = ()
    tolerance: float = 0.0
    published: str = ""
    by: str = STUDY

    @property
    def anchor(self) -> str:
        """The HTML id of the claim's verdict on its chapter's page."""
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

# Short answers for the pages whose title asks whether a claim holds.
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
    """Judge a claim, save its verdict and metrics, and display them under the claim's anchor.

    Args:
        number: A key of CLAIMS.
        evidence: For the rule `sign`, the measured difference. For `threshold`, the difference of
            the metrics of two encoders, (set, metric) -> difference. For `value`, the measured
            value. If the source does not say what it measured: candidate -> one value for each
            range of the claim, of which one candidate must match.
        dataset: The data set. The rule `value` applies only if it is the study's.
        also: More metrics to display, by name; underscores become spaces.

    Returns:
        The verdict.
    """
    claim = CLAIMS[number]
    verdict, metrics = _JUDGES[claim.rule](claim, evidence)
    if claim.rule == "value" and not dataset.has_study_figures:
        verdict = verdicts.UNDECIDED
    metrics |= {name.replace("_", " "): metric for name, metric in also.items()}
    rows = results.to_rows(pd.Series(metrics, dtype=object).rename_axis("figure"))
    rows = rows.assign(claim=number, verdict=verdict)
    results.add(rows[["claim", "verdict", "figure", *results.INTERVAL_COLUMNS]], "claims", "claim")
    display(HTML(_to_html(claim, verdict, metrics, dataset.has_study_figures)))
    return verdict


def verdict_on(number: str) -> str:
    """Return the saved verdict on a claim.

    Raises:
        KeyError: The report has not judged the claim.
    """
    return results.read("claims").set_index("claim").loc[[number], "verdict"].iloc[0]


def table(by: str, with_study: bool) -> pd.DataFrame:
    """Return the claims of one origin with their verdicts and links to the evidence.

    Args:
        by: The origin: STUDY, SECOND_STUDY or OURS.
        with_study: Whether to show the study's published values.
    """
    judged = results.read("claims").drop_duplicates("claim").set_index("claim")
    rows = []
    for claim in CLAIMS.values():
        if claim.by == by and claim.number in judged.index:
            saved = judged.loc[claim.number]
            link = LinkCell(
                f"{claim.statement}, {claim.scope}", f"{claim.chapter}.ipynb#{claim.anchor}"
            )
            interval = saved[results.INTERVAL_COLUMNS].fillna({"unit": ""})
            ours = Interval(*interval, signed=claim.rule != "value")
            row = {"claim": claim.number, "statement": link, "verdict": saved["verdict"]}
            row |= {"2019": claim.published} if with_study and by == STUDY else {}
            rows.append(row | {"measured": saved["figure"], "ours": ours})
    return pd.DataFrame(rows)


# The marks differ in shape, so that they can be distinguished without colour.
MARKS = {verdicts.HOLDS: "●", verdicts.FAILS: "✕", verdicts.ARTEFACT: "◆", verdicts.UNDECIDED: "○"}
KEY = {
    verdicts.HOLDS: "holds",
    verdicts.FAILS: "does not",
    verdicts.ARTEFACT: "fixed threshold alone",
    verdicts.UNDECIDED: "open",
}


def show_verdict_strip() -> None:
    """Display one mark per claim, linked to the evidence, and a key to the marks."""
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
    differences = evidence[claim.pair_set]
    fixed, tuned = (differences[THRESHOLD_RULES[rule]] for rule in ("0.5", "tuned"))
    auc = differences["AUC"]
    verdict = verdicts.judge_threshold(fixed, tuned, auc, claim.sign)
    metrics = {f"{claim.figure}, at 0.5": fixed, "at the tuned threshold": tuned, "AUC": auc}
    return verdict, metrics


def _judge_value(
    claim: Claim, evidence: Measurement | Mapping[str, Sequence[Measurement]]
) -> tuple[str, dict[str, Measurement]]:
    if isinstance(evidence, Measurement):
        evidence = {claim.figure: [evidence]}
    candidate_verdicts, metrics = set(), {}
    for name, values in evidence.items():
        # A candidate is as good as its worst value, and the claim as its best candidate.
        value_verdicts = {
            verdicts.judge_value(value, low, high, claim.tolerance)
            for value, (low, high) in zip(values, claim.values, strict=True)
        }
        worst_first = (verdicts.FAILS, verdicts.UNDECIDED, verdicts.HOLDS)
        candidate_verdicts.add(next(v for v in worst_first if v in value_verdicts))
        labels = ("first", "last") if len(values) > 1 else ("",)
        for label, value in zip(labels, values, strict=True):
            metrics[", ".join(filter(None, (name, label)))] = value
    best_first = (verdicts.HOLDS, verdicts.UNDECIDED, verdicts.FAILS)
    return next(v for v in best_first if v in candidate_verdicts), metrics


_JUDGES = {"sign": _judge_sign, "threshold": _judge_threshold, "value": _judge_value}


def _to_html(claim: Claim, verdict: str, metrics: dict[str, Measurement], applies: bool) -> str:
    """Return a claim's verdict, metrics and reason as HTML.

    Args:
        claim: The claim.
        verdict: Its verdict.
        metrics: The measured values by name.
        applies: Whether the study's published values apply to the data set.
    """
    reason = _REASONS["value" if claim.rule == "value" else "sign"][verdict]
    if not any(metric.interval.has_ends for metric in metrics.values()):
        reason = "One seed gives no interval."
    if claim.rule == "value" and not applies:
        reason = "The study's value is of other images."
    if claim.rule == "threshold":
        tuned, auc = (
            _SUPPORT_WORDS.get(verdicts.judge(metrics[name], claim.sign), "leaves it open")
            for name in ("at the tuned threshold", "AUC")
        )
        reason += f" The tuned threshold {tuned}; the AUC, which needs none, {auc}."
    measured = "; ".join(f"{name}: {metric:±}" for name, metric in metrics.items())
    published = f" In 2019: {claim.published}." if claim.published and applies else ""
    words = html.escape(f"{measured[:1].upper()}{measured[1:]}. {reason}{published}")
    statement = html.escape(f"{claim.statement}, {claim.scope}")
    return (
        f'<div class="claim" id="{claim.anchor}"><p><strong>Claim {claim.number}: {verdict}.'
        f"</strong> {statement}.</p><p>{words}</p></div>"
    )
