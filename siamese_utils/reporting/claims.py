"""The claims under test, the rules that judge them, and the display of their verdicts."""

from __future__ import annotations

import html
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd
from IPython.display import HTML, display

from siamese_utils.data.dataset import Dataset
from siamese_utils.evaluation import verdicts
from siamese_utils.evaluation.intervals import DECIMALS, MINUS, Interval, Measurement
from siamese_utils.evaluation.metrics import THRESHOLD_RULES
from siamese_utils.evaluation.verdicts import SMALLEST_AUC, SMALLEST_POINTS
from siamese_utils.reporting import results
from siamese_utils.reporting.show import LinkCell, VerdictCell, pill

STUDY, ARTICLE, OURS = "the study", "the article", "ours"
SAMPLED, ALL_PAIRS = "the study's pairs", "all pairs"
# how the verdict on a claim names its pair set
PAIR_SETS = {"seen": "seen classes", "all": "all classes", "unseen": "unseen classes"}
TEXTURES = "our textures, similar to the article's"
OVER_TEST_SPLITS = "test class splits"
MODELS, MARGIN, OPTIMIZER = "04-complex-model", "05-margin-study", "06-optimizer-comparison"
TRANSFER, BASELINES = "07-one-shot-transfer", "08-baselines"
NEW_CLASSES = "09-new-classes"


@dataclass(frozen=True)
class Claim:
    """A claim and the rule that judges it.

    Attributes:
        number: The claim's number in this report, such as "1a".
        statement: The claim as a sentence without a full stop.
        chapter: The notebook that holds the evidence, without its suffix.
        metric: The metric that is measured.
        pair_set: The pairs on which the metric is measured: `train`, `validation`, `seen`, `all`,
            `unseen`, or another description if they are not pairs of the study's class split.
        counting: Which pairs are counted: SAMPLED, ALL_PAIRS, or "" if no pairs are.
        rule: `sign`: the measured difference has the claimed sign. `threshold`: so has the
            difference in accuracy at threshold 0.5; the tuned threshold and the AUC decide whether
            the fixed threshold is its cause. `value`: the measured values lie in the claimed
            ranges.
        sign: The claimed sign, +1 or -1.
        smallest_effect: For the rules `sign` and `threshold`, the smallest effect that matters, in
            the unit of the metric; a claim is refuted if effects of this size are excluded.
        values: For the rule `value`, the claimed ranges (low, high), both ends included; infinite if
            a range has no such end.
        tolerance: Half a unit of the last published digit of `values`.
        published: The published values as the source prints them.
        topic: The claim in a few words, for lists.
        by: The origin of the claim: STUDY, ARTICLE or OURS.
        in_summary: Whether the summary lists the claim.
    """

    number: str
    statement: str
    chapter: str
    metric: str
    pair_set: str
    counting: str = ""
    rule: str = "sign"
    sign: int = +1
    smallest_effect: float = 0.0
    values: tuple[tuple[float, float], ...] = ()
    tolerance: float = 0.0
    published: str = ""
    topic: str = ""
    by: str = STUDY
    in_summary: bool = True

    @property
    def anchor(self) -> str:
        """The HTML id of the claim's verdict on its chapter's page."""
        return f"claim-{self.number}"


def _threshold_claim(
    number: str, statement: str, chapter: str, pair_set: str, difference: str, **fields: Any
) -> Claim:
    """Return a claim about a difference in accuracy at threshold 0.5, from all test pairs."""
    fields = {"counting": ALL_PAIRS, "smallest_effect": SMALLEST_POINTS} | fields
    metric = f"accuracy on {pair_set} {'pairs' if pair_set == 'train' else 'classes'}, {difference}"
    return Claim(
        number,
        statement,
        chapter,
        metric,
        pair_set,
        rule="threshold",
        **fields,
    )


_COMPLEX, _MARGIN_5, _ADADELTA = (
    "complex minus base",
    "margin 5 minus margin 1",
    "Adadelta minus RMSprop",
)
CLAIMS = {
    claim.number: claim
    for claim in (
        Claim("1a", "The base model overfits (the study writes “underfit”, but describes overfitting)", MODELS,
              "validation loss minus training loss, after the last epoch", "train, validation", SAMPLED,
              topic="the base model overfits",
              published="training loss falls, validation loss 0.03 to 0.04"),
        Claim("1b", "The base model's training loss falls throughout", MODELS,
              "number of epochs in which the training loss rises, mean over runs", "train", SAMPLED, rule="value",
              values=((-math.inf, 0.5),),
              topic="a falling training loss", published="no rise", in_summary=False),
        Claim("1c", "The base model's validation loss fluctuates between 0.03 and 0.04", MODELS,
              "mean validation loss of the second half of the epochs", "validation", SAMPLED,
              rule="value", values=((0.03, 0.04),), tolerance=0.005,
              topic="the base model's validation loss is 0.03 to 0.04", published="0.03 to 0.04"),
        Claim("1d", "With more epochs the base model's validation loss moves away from its training "
              "loss", MODELS, "growth of the gap between validation and training loss, from "
              "the middle to the last third of the epochs", "train, validation", SAMPLED, smallest_effect=0.001,
              topic="the base model's validation and training loss move apart",
              published="further apart"),
        Claim("1e", "The base model's validation accuracy fluctuates between 95 and 96 %", MODELS,
              "mean validation accuracy of the second half of the epochs", "validation", SAMPLED,
              rule="value", values=((95.0, 96.0),), tolerance=0.5,
              topic="the base model's validation accuracy is 95 to 96 %",
              published="95 % to approximately 96 %"),
        Claim("1f", "With more epochs the base model's validation loss grows", MODELS,
              "mean validation loss, last third of the epochs minus middle third", "validation",
              SAMPLED, smallest_effect=0.001,
              topic="the base model's validation loss grows", published="the loss value was growing"),
        Claim("1g", "The base model's training accuracy nears 100 %", MODELS,
              "training accuracy at threshold 0.5", "train", SAMPLED, rule="value",
              values=((99.5, math.inf),),
              topic="the base model's training accuracy is nearly 100 % (99.5 % or more)", published="“nearly to 100%”"),
        Claim("2a", "Dropout and weight penalties bring training and test accuracy together", MODELS,
              "gap between training accuracy and accuracy on seen classes, at threshold 0.5, base minus complex", "train, seen", SAMPLED,
              smallest_effect=SMALLEST_POINTS,
              topic="dropout and penalties narrow the gap between training and test",
              published="gap 3.86 → 0.57"),
        _threshold_claim("2b", "Dropout and weight penalties raise the accuracy on unseen classes",
                         MODELS, "unseen", _COMPLEX,
                         topic="dropout and penalties help on unseen classes", published="61.43 → 65.32 (“increased by 3.89 %”)"),
        _threshold_claim("2c", "Dropout alone raises the accuracy on unseen classes", MODELS,
                         "unseen", "dropout minus base",
                         topic="dropout alone helps on unseen classes", published="61.43 → 65.32, with both"),
        _threshold_claim("2d", "Dropout and weight penalties raise the accuracy on seen classes",
                         MODELS, "seen", _COMPLEX,
                         smallest_effect=0.0, topic="dropout and penalties help on seen classes", published="95.99 → 96.18"),
        Claim("2e", "Dropout and weight penalties lower the training accuracy", MODELS,
              "training accuracy at threshold 0.5, complex minus base", "train", SAMPLED,
              sign=-1, smallest_effect=SMALLEST_POINTS,
              topic="dropout and penalties lower the training accuracy",
              published="99.85, 99.73, 99.70 → 96.75, 96.84, 95.10"),
        Claim("2f", "With dropout and weight penalties, training and validation loss follow the same trend (tested: the gap between them is smaller)",
              MODELS, "gap between validation and training loss after the last epoch, "
              "base minus complex", "train, validation", SAMPLED, smallest_effect=0.001,
              topic="dropout and penalties bring training and validation loss together",
              published="the lines were “following the same trend”"),
        _threshold_claim("3", "Dropout and weight penalties raise the accuracy on all classes", MODELS,
                         "all", _COMPLEX,
                         topic="dropout and penalties help on all classes",
                         published="79.85 → 81.69 (the text says 2.11 %)"),
        _threshold_claim("4a", "Margin 5 is worse than margin 1 on seen classes", MARGIN, "seen",
                         _MARGIN_5, sign=-1,
                         topic="margin 5 is worse on seen classes", published="96.18 → 81.96"),
        _threshold_claim("4b", "Margin 5 is worse than margin 1 on all classes", MARGIN, "all",
                         _MARGIN_5, sign=-1,
                         topic="margin 5 is worse on all classes", published="81.69 → 67.78"),
        _threshold_claim("4c", "Margin 5 is worse than margin 1 on unseen classes", MARGIN,
                         "unseen", _MARGIN_5, sign=-1,
                         topic="margin 5 is worse on unseen classes", published="65.32 → 55.43"),
        _threshold_claim("4d", "Margin 5 is worse than margin 1 in training", MARGIN, "train",
                         _MARGIN_5, sign=-1, counting=SAMPLED,
                         topic="margin 5 is worse in training",
                         published="96.75, 96.84, 95.10 → 82.58, 78.84, 79.32"),
        _threshold_claim("5a", "Adadelta at learning rate 1.0 is worse than RMSprop on seen classes", OPTIMIZER,
                         "seen", _ADADELTA, sign=-1,
                         topic="Adadelta (rate 1.0) is worse than RMSprop on seen classes", published="no number"),
        _threshold_claim("5b", "Adadelta at learning rate 0.001 is worse than RMSprop on seen classes", OPTIMIZER,
                         "seen", _ADADELTA, sign=-1,
                         topic="Adadelta (rate 0.001) is worse than RMSprop on seen classes", published="no number"),
        _threshold_claim("5c", "Adadelta at learning rate 1.0 is worse than RMSprop on unseen classes",
                         OPTIMIZER, "unseen", _ADADELTA, sign=-1,
                         topic="Adadelta (rate 1.0) is worse than RMSprop on unseen classes",
                         published="RMSprop “will improve the generalization”"),
        _threshold_claim("5d", "Adadelta at learning rate 0.001 is worse than RMSprop on unseen classes",
                         OPTIMIZER, "unseen", _ADADELTA, sign=-1,
                         topic="Adadelta (rate 0.001) is worse than RMSprop on unseen classes",
                         published="RMSprop “will improve the generalization”"),
        Claim("6a", "The complex model's loss goes from 0.08 to 0.04 over the epochs", MODELS,
              "loss after the first and the last epoch", "train, validation", SAMPLED,
              rule="value", values=((0.08, 0.08), (0.04, 0.04)), tolerance=0.005,
              topic="the complex model's loss goes from 0.08 to 0.04", published="0.08 → 0.04"),
        Claim("6b", "The complex model's validation loss has bumps near epochs 5, 10, 17, 18",
              MODELS, "bumps per epoch near these epochs, minus elsewhere", "validation", SAMPLED,
              topic="bumps of the loss", published="rises “such as around epochs 5,10,17,18”", in_summary=False),
        Claim("6c", "The complex model's validation loss still falls in the last third of the epochs", MODELS,
              "mean validation loss, middle third of the epochs minus last third", "validation",
              SAMPLED, smallest_effect=0.001,
              topic="the complex model's validation loss still falls in the last third", published="“Over time … better results”"),
        Claim("7", "Accuracy is lower on unseen than on seen classes", MODELS,
              "accuracy of the base model at 0.5, seen minus unseen classes", "seen, unseen",
              ALL_PAIRS, smallest_effect=SMALLEST_POINTS, topic="accuracy is lower on unseen classes",
              published="95.99 → 61.43"),
        Claim("B1", "With 50 pairs, pretraining on digits helps", TRANSFER,
              "AUC, pretrained on digits minus from scratch", TEXTURES, smallest_effect=SMALLEST_AUC,
              by=ARTICLE),
        Claim("B2", "With 50 pairs, transfer from digits is better than raw pixels", TRANSFER,
              "AUC, pretrained on digits minus raw pixels", TEXTURES, smallest_effect=SMALLEST_AUC,
              by=ARTICLE),
        Claim("B3", "With 200 pairs, pretraining on digits helps", TRANSFER,
              "AUC, pretrained on digits minus from scratch", TEXTURES, smallest_effect=SMALLEST_AUC,
              by=ARTICLE),
        Claim("B4", "The accuracy of the article's system is lower on fresh pairs than on its test pairs", TRANSFER,
              "accuracy at 0.5, the article's test pairs minus fresh pairs", TEXTURES,
              smallest_effect=SMALLEST_POINTS, by=ARTICLE),
        Claim("S1", "With margin 5, a threshold of half the margin recovers more than half of the accuracy lost at 0.5", MARGIN,
              "accuracy on all classes recovered at m/2, minus half of the accuracy lost at 0.5", "all",
              ALL_PAIRS, in_summary=False, by=OURS),
        Claim("S2", "On the study's class split, an untrained base model, compared by Euclidean distance, is better on unseen "
              "classes than the trained base model", BASELINES,
              "AUC on unseen classes, untrained minus trained", "unseen", ALL_PAIRS,
              smallest_effect=SMALLEST_AUC, by=OURS,
              in_summary=False),
        Claim("S3", "On the study's class split, the cosine of an untrained base model's embeddings separates unseen classes better "
              "than the Euclidean distance of the trained base model's embeddings", BASELINES,
              "AUC on unseen classes, untrained minus trained", "unseen", ALL_PAIRS,
              smallest_effect=SMALLEST_AUC, by=OURS),
        Claim("S4", "On the study's class split, the cosine of raw pixels separates unseen classes better than the Euclidean "
              "distance of the trained base model's embeddings", BASELINES, "AUC on unseen classes, pixels minus trained", "unseen",
              ALL_PAIRS, smallest_effect=SMALLEST_AUC, by=OURS),
        Claim("S5", "With one example of each unseen class, raw pixels classify more images correctly than the base model",
              TRANSFER, "1-shot accuracy, pixels minus base model", "unseen",
              smallest_effect=SMALLEST_POINTS, by=OURS),
        Claim("S8", "With one example of each unseen class, the ensemble classifies more images correctly than raw pixels",
              TRANSFER, "1-shot accuracy, the ensemble minus pixels", "unseen",
              smallest_effect=SMALLEST_POINTS, by=OURS, in_summary=False),
        Claim("S6", "If no images of new classes are labelled, the ensemble is better on new classes than the "
              "foreground mask", NEW_CLASSES, "AUC on new classes, the ensemble minus the mask",
              OVER_TEST_SPLITS, ALL_PAIRS, smallest_effect=SMALLEST_AUC, by=OURS),
        Claim("S7", "If no images of new classes are labelled, the two networks of the ensemble improve its AUC on new classes", NEW_CLASSES,
              "AUC on new classes, the ensemble with minus without networks",
              OVER_TEST_SPLITS, ALL_PAIRS, smallest_effect=SMALLEST_AUC, by=OURS),
        Claim("S9", "Twenty labelled images of each new class improve the ensemble's AUC on these classes", NEW_CLASSES,
              "AUC on new classes, retrained with labelled images minus without",
              OVER_TEST_SPLITS, ALL_PAIRS, smallest_effect=SMALLEST_AUC, by=OURS),
    )
}  # fmt: skip

# Heading of the column of the tables of claims with what a measured value is compared with.
EFFECT_COLUMN = "smallest effect that matters, or published value"
# Name of the measurement that decides whether a supported claim is a threshold effect.
THRESHOLD_TEST = "half of the difference at 0.5 minus the difference at the tuned threshold"
# Short answers for the pages whose title asks whether a claim holds.
ANSWERS = {
    verdicts.SUPPORTED: "At threshold 0.5 yes, on the study's class split.",
    verdicts.REFUTED: "No: an effect of 1 point or more is excluded, on the study's class split.",
    verdicts.INCONCLUSIVE: "Inconclusive.",
    verdicts.THRESHOLD_EFFECT: "At threshold 0.5 yes, but mainly because of this threshold.",
}
Evidence = Measurement | pd.Series | Mapping[str, Sequence[Measurement]]


def judge(number: str, evidence: Evidence, dataset: Dataset, **also: Measurement) -> str:
    """Judge a claim, save its verdict and values, and display them under the claim's anchor.

    claims.csv gets a row for each metric, with what the rule needs to be applied again, and
    claim-values.csv the values of each seed and group of images behind them.

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
    verdict, evidences = _JUDGES[claim.rule](claim, evidence)
    if claim.rule == "value" and not dataset.has_study_figures:
        verdict = verdicts.INCONCLUSIVE
    evidences += [_Evidence(name.replace("_", " "), "also", m) for name, m in also.items()]
    _save(claim, verdict, evidences)
    display(HTML(_to_html(claim, verdict, evidences, dataset.has_study_figures)))
    return verdict


def verdict_on(number: str) -> str:
    """Return the saved verdict on a claim.

    Raises:
        KeyError: The report has not judged the claim.
    """
    return results.read("claims").set_index("claim").loc[[number], "verdict"].iloc[0]


def table(by: str, with_study: bool) -> pd.DataFrame:
    """Return the claims of one origin with their verdicts and links to the evidence.

    Claims that are not `in_summary` are left out.

    Args:
        by: The origin: STUDY, ARTICLE or OURS.
        with_study: Whether to show the study's published values.
    """
    of_all = results.read("claims")
    num_values = of_all[of_all["role"] == "value"].groupby("claim").size()
    judged = of_all.drop_duplicates("claim").set_index("claim")
    rows = []
    for claim in _listed(by, judged.index):
        saved = judged.loc[claim.number]
        number = num_values.get(claim.number, 1)
        others = f"; the first of {number} values on the linked page" if number > 1 else ""
        link = LinkCell(claim.statement, f"{claim.chapter}.ipynb#{claim.anchor}")
        interval = saved[results.INTERVAL_COLUMNS].fillna({"unit": ""})
        ours = Interval(*interval, signed=claim.rule != "value")
        row = {"claim": claim.number, "statement": link}
        row |= {"2019": claim.published} if with_study and by == STUDY else {}
        pairs = f" ({claim.counting})" if claim.counting else ""
        row |= {"quantity": f"{saved['metric']}{pairs}{others}", "ours": ours}
        row |= {EFFECT_COLUMN: _claimed_effect(claim, ours.unit)}
        rows.append(row | {"verdict": VerdictCell(saved["verdict"])})
    return pd.DataFrame(rows)


def _claimed_effect(claim: Claim, unit: str) -> str:
    """Return the smallest effect that matters for a claim, or the published value."""
    if claim.rule == "value":
        return _describe_range(*claim.values[0])
    if not claim.smallest_effect:
        return "above 0" if claim.sign > 0 else "below 0"
    sign = "+" if claim.sign > 0 else MINUS
    points = " point" if unit == "points" else ""
    return f"{sign}{claim.smallest_effect:g}{points} or {'more' if claim.sign > 0 else 'lower'}"


def _describe_range(low: float, high: float) -> str:
    """Return a range in words."""
    if math.isinf(low) or math.isinf(high):
        return f"{low:g} or more" if math.isinf(high) else f"{high:g} or less"
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def by_verdict() -> dict[str, list[Claim]]:
    """Return verdict -> the study's claims that have it, of those that the summary lists."""
    judged = results.read("claims").drop_duplicates("claim").set_index("claim")["verdict"]
    listed = _listed(STUDY, judged.index)
    groups = {
        verdict: [claim for claim in listed if judged[claim.number] == verdict]
        for verdict in verdicts.VERDICTS
    }
    return {verdict: claims for verdict, claims in groups.items() if claims}


def _listed(by: str, judged: Collection[str]) -> list[Claim]:
    """Return the claims of one origin that are judged and listed in the summary."""
    return [c for c in CLAIMS.values() if c.by == by and c.in_summary and c.number in judged]


def show_verdicts() -> None:
    """Display the study's claims by verdict: a pill, and the topics, linked to the evidence."""
    rows = []
    for verdict, listed in by_verdict().items():
        links = "; ".join(
            f'<a href="{claim.chapter}.ipynb#{claim.anchor}">{html.escape(claim.topic)}</a>'
            for claim in listed
        )
        rows.append(f"<li>{pill(verdict)} {links}</li>")
    display(HTML(f'<ul class="verdicts">{"".join(rows)}</ul>'))


class _Evidence(NamedTuple):
    """A metric behind a verdict.

    Attributes:
        name: Name of the metric.
        role: `difference`, `fixed`, `tuned` or `value`, as the rule takes it; `auc` or `also` if it
            is only displayed.
        value: The measured value.
        low: Lower end of the range in which the rule `value` accepts it.
        high: Upper end.
    """

    name: str
    role: str
    value: Measurement
    low: float = math.nan
    high: float = math.nan


def _judge_sign(claim: Claim, evidence: Measurement) -> tuple[str, list[_Evidence]]:
    verdict = verdicts.judge(evidence, claim.sign, claim.smallest_effect)
    return verdict, [_Evidence(claim.metric, "difference", evidence)]


def _judge_threshold(claim: Claim, evidence: pd.Series) -> tuple[str, list[_Evidence]]:
    differences = evidence[claim.pair_set]
    fixed, tuned = (differences[THRESHOLD_RULES[rule]] for rule in ("0.5", "tuned"))
    auc = differences["AUC"]
    verdict = verdicts.judge_threshold(fixed, tuned, claim.sign, claim.smallest_effect)
    evidences = [
        _Evidence(f"{claim.metric}, at 0.5", "fixed", fixed),
        _Evidence("at the tuned threshold", "tuned", tuned),
        _Evidence("AUC", "auc", auc),
    ]
    if verdict in (verdicts.SUPPORTED, verdicts.THRESHOLD_EFFECT):
        part = verdicts.threshold_part(fixed, tuned)
        evidences.append(_Evidence(THRESHOLD_TEST, "also", part))
    return verdict, evidences


def _judge_value(
    claim: Claim, evidence: Measurement | Mapping[str, Sequence[Measurement]]
) -> tuple[str, list[_Evidence]]:
    if isinstance(evidence, Measurement):
        evidence = {claim.metric: [evidence]}
    candidate_verdicts, evidences = set(), []
    for name, values in evidence.items():
        # A candidate is as good as its worst value, and the claim as its best candidate.
        value_verdicts = {
            verdicts.judge_value(value, low, high, claim.tolerance)
            for value, (low, high) in zip(values, claim.values, strict=True)
        }
        worst_first = (verdicts.REFUTED, verdicts.INCONCLUSIVE, verdicts.SUPPORTED)
        candidate_verdicts.add(next(v for v in worst_first if v in value_verdicts))
        labels = ("first epoch", "last epoch") if len(values) > 1 else ("",)
        for label, value, (low, high) in zip(labels, values, claim.values, strict=True):
            row = ", ".join(filter(None, (name, label)))
            ends = low - claim.tolerance, high + claim.tolerance
            evidences.append(_Evidence(row, "value", value, *ends))
    best_first = (verdicts.SUPPORTED, verdicts.INCONCLUSIVE, verdicts.REFUTED)
    return next(v for v in best_first if v in candidate_verdicts), evidences


_JUDGES = {"sign": _judge_sign, "threshold": _judge_threshold, "value": _judge_value}


def _save(claim: Claim, verdict: str, evidences: Sequence[_Evidence]) -> None:
    """Write a claim to claims.csv and claim-values.csv of this run's results."""
    metrics = pd.Series({e.name: e.value for e in evidences}, dtype=object)
    rows = results.to_rows(metrics.rename_axis("metric")).assign(
        claim=claim.number,
        verdict=verdict,
        rule=claim.rule,
        role=[e.role for e in evidences],
        sign=claim.sign,
        smallest_effect=claim.smallest_effect,
        accepted_low=[e.low for e in evidences],
        accepted_high=[e.high for e in evidences],
    )
    columns = ["claim", "verdict", "metric", "rule", "role", "sign", "smallest_effect"]
    columns += ["accepted_low", "accepted_high", *results.INTERVAL_COLUMNS]
    results.add(rows[columns], "claims", "claim")
    values = pd.concat(
        [results.values_of(e.value).assign(claim=claim.number, metric=e.name) for e in evidences]
    )
    results.add(values[["claim", "metric", "seed", "group", "value"]], "claim-values", "claim")


def _to_html(claim: Claim, verdict: str, evidences: Sequence[_Evidence], applies: bool) -> str:
    """Return a claim's verdict, metrics and reason as HTML.

    Args:
        claim: The claim.
        verdict: Its verdict.
        evidences: The metrics.
        applies: Whether the study's published values apply to the data set.
    """
    metrics = "".join(
        f"<li>{html.escape(f'{e.name[:1].upper()}{e.name[1:]}: {e.value:±}')}</li>"
        for e in evidences
    )
    published = f" In 2019: {claim.published}." if claim.published and applies else ""
    counted = PAIR_SETS.get(claim.pair_set, claim.pair_set)
    counted += f" ({claim.counting})" if claim.counting else ""
    seeds = evidences[0].value.interval.seeds
    repetitions = "class splits" if claim.pair_set == OVER_TEST_SPLITS else "seeds"
    repetitions = "seed" if seeds == 1 else repetitions
    reason = _reason(claim, verdict, evidences, applies).strip()
    words = f"{reason}{published} Measured on: {counted}; {seeds} {repetitions}."
    return (
        f'<div class="claim" id="{claim.anchor}"><p><strong>Claim {claim.number}:'
        f"</strong> {pill(verdict)} {html.escape(claim.statement)}.</p><ul>{metrics}</ul>"
        f"<p>{html.escape(words)}</p></div>"
    )


def _reason(claim: Claim, verdict: str, evidences: Sequence[_Evidence], applies: bool) -> str:
    """Return in a sentence why the rule gives a verdict."""
    deciding = evidences[0].value
    if claim.rule == "value" and not applies:
        return "The published value is for another data set."
    if not any(e.value.interval.has_ends for e in evidences):
        return "One seed gives no interval."
    if claim.rule == "value":
        ranges = dict.fromkeys(
            _describe_range(e.low, e.high) for e in evidences if e.role == "value"
        )
        accepted = f"what counts as the published value ({' and '.join(ranges)})".replace(
            "-", MINUS
        )
        return {
            verdicts.SUPPORTED: f"The 95 % interval lies inside {accepted}.",
            verdicts.REFUTED: f"Outside {accepted}: {_outside(evidences)}.",
            verdicts.INCONCLUSIVE: f"The 95 % interval lies partly outside {accepted}.",
        }[verdict]
    if verdict == verdicts.THRESHOLD_EFFECT:
        return (
            f"A tuned threshold removes more than half of the difference: the interval of “{THRESHOLD_TEST}” lies on the claimed side of zero. "
            f"{_support(claim, evidences)}"
        )
    if verdict == verdicts.SUPPORTED:
        reason = "The 95 % interval lies on the claimed side of zero."
        if claim.rule == "threshold":
            reason = "The 95 % interval at threshold 0.5 lies on the claimed side of zero. That of the value that tests for a threshold effect does not, so it is not shown that a tuned threshold removes more than half of the difference."
        return f"{reason} {_support(claim, evidences)}"
    if verdicts.judge(deciding, claim.sign) == verdicts.REFUTED:
        return (
            "The 95 % interval lies on the other side of zero from the claim. "
            f"{_support(claim, evidences)}"
        )
    largest = verdicts.largest_effect(deciding, claim.sign)
    size = f"{largest:.{DECIMALS.get(deciding.unit, 3)}f} {deciding.unit}".strip()
    reason = (
        f"Effects in the claimed direction of up to {size} are compatible with the data, all smaller than {claim.smallest_effect:g}, the smallest that matters."
        if verdict == verdicts.REFUTED
        else f"The 95 % interval contains zero. Effects in the claimed direction of up to {size} are compatible with the data."
    )
    return f"{reason} {_support(claim, evidences)}"


def _outside(evidences: Sequence[_Evidence]) -> str:
    """Return the names of the values whose 95 % intervals lie outside their ranges."""
    return "; ".join(
        e.name
        for e in evidences
        if e.role == "value"
        and verdicts.judge_value(e.value, e.low, e.high, 0.0) == verdicts.REFUTED
    )


def _support(claim: Claim, evidences: Sequence[_Evidence]) -> str:
    """Return whether the tuned threshold and the AUC support a claim at the fixed threshold."""
    if claim.rule != "threshold":
        return ""
    by_role = {e.role: e.value for e in evidences}
    smallest_auc = SMALLEST_AUC if claim.smallest_effect else 0.0
    tuned = _describe_effect(by_role["tuned"], claim.sign, claim.smallest_effect)
    auc = _describe_effect(by_role["auc"], claim.sign, smallest_auc)
    return (
        f"The same effect at the tuned threshold: {tuned}; by AUC, which needs no threshold: {auc}."
    )


def _describe_effect(difference: Measurement, sign: int, smallest_effect: float) -> str:
    """Return in words whether a difference is the claimed effect."""
    verdict = verdicts.judge(difference, sign, smallest_effect)
    if verdict != verdicts.REFUTED:
        return verdict
    if verdicts.judge(difference, -sign) == verdicts.SUPPORTED:
        return "significant in the other direction"
    if verdicts.judge(difference, sign) == verdicts.SUPPORTED:
        return "too small to matter"
    return "absent or too small to matter"
