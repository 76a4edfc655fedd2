"""Notebook output: figures, tables, sentences, checks and source code."""

import ast
import html
import io
import math
import re
import warnings
from collections.abc import Callable
from numbers import Number
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython import get_ipython
from IPython.display import HTML, SVG, Markdown, display
from matplotlib.figure import Figure

from siamese_utils.data.dataset import Dataset
from siamese_utils.data.pairs import Pairs
from siamese_utils.evaluation import verdicts
from siamese_utils.evaluation.intervals import Interval, Measurement
from siamese_utils.reporting import plots, results
from siamese_utils.training.code_digest import source_of

PRINTED_NUMBER = re.compile(r"[−-]?[\d.,]+( to [−-]?[\d.,]+)?|–")
INJECTED_CELL = "# Parameters\n"  # the first line of the cell that papermill adds


class LinkCell(NamedTuple):
    """A table cell that links to another notebook or page.

    Attributes:
        text: The text of the cell.
        target: The relative URL, such as `05-margin-study.ipynb#claim-4`.
    """

    text: str
    target: str


class VerdictCell(NamedTuple):
    """A table cell with a verdict, shown as a pill.

    Attributes:
        text: A name in `verdicts.VERDICTS`.
    """

    text: str


class AnchorCell(NamedTuple):
    """A table cell that is the target of links.

    Attributes:
        text: The text of the cell.
        anchor: The HTML id of the cell.
    """

    text: str
    anchor: str


def check_parameters() -> None:
    """Check that the notebook has every parameter that papermill was given.

    papermill itself only warns about an unknown parameter and runs with the defaults.

    Raises:
        ValueError: A parameter is unknown.
    """
    shell = get_ipython()
    cells = list(shell.user_ns["In"]) if shell else []
    injected = [cell for cell in cells if cell.startswith(INJECTED_CELL)]
    if not injected:
        return
    # papermill adds its cell after the one with the notebook's own parameters.
    known = _assigned_names(cells[cells.index(injected[0]) - 1])
    if unknown := _assigned_names(injected[-1]) - known:
        raise ValueError(
            f"no parameter {', '.join(sorted(unknown))}; this notebook has {', '.join(sorted(known))}"
        )


def _assigned_names(cell: str) -> set[str]:
    """Return the names to which a cell assigns values."""
    nodes = [node for node in ast.parse(cell).body if isinstance(node, ast.Assign)]
    return {target.id for node in nodes for target in node.targets if isinstance(target, ast.Name)}


class CheckFailedError(Exception):
    """A statement on which all later results depend is false."""


def check(sentence: str, passed: bool) -> None:
    """Display the result of a check as a green or red line; a failed check does not stop the run.

    `run_all.py` counts the failed checks, links them on the summary, and exits with status 1.

    Args:
        sentence: What is checked, as a statement without a full stop, such as "Every training ran
            for 20 epochs".
        passed: Whether the statement is true.
    """
    result = {"sentence": sentence, "passed": bool(passed)}
    colour, mark = ("#00704f", "✓") if passed else ("#b34700", "✗ Check failed:")
    kind = "passed" if passed else "failed"
    line = f'<p class="check {kind}" style="color:{colour}">{mark} {html.escape(sentence)}.</p>'
    display(HTML(line), metadata={"text/html": {"check": result}})


def require(sentence: str, passed: bool) -> None:
    """Display the result of a check as `check` does, and stop the notebook if it failed.

    This is for statements on which all later results depend, such as that training and test share
    no image.

    Args:
        sentence: As `check` takes it.
        passed: Whether the statement is true.

    Raises:
        CheckFailedError: The statement is false.
    """
    check(sentence, passed)
    if not passed:
        raise CheckFailedError(sentence)


def figure(
    plot: Callable[..., Figure],
    data: Any,
    caption: str,
    *,
    alt: str = "",
    live: dict[str, object] | None = None,
    **options: Any,
) -> None:
    """Draw a figure and display it as SVG above its caption.

    The metadata of the output hold what the page needs: caption, alt text, data as CSV, the drawing
    for a phone, and the data of the interactive figure.

    Args:
        plot: A function of `plots`, or another that returns a Matplotlib figure.
        data: The argument of `plot`.
        caption: The caption.
        alt: The alt text; "": `plots.describe_data` makes it from the data.
        live: The data of an interactive figure, as `interactive_figures` returns them, which
            replaces the drawing if the browser runs scripts.
        options: Further arguments of `plot`.
    """
    metadata = {"caption": " ".join(caption.split()), "live": live, "data": "", "narrow": ""}
    if plot in plots.WITH_NARROW_VARIANT:
        metadata["narrow"] = _to_svg(plot(data, narrow=True, **options))
    if isinstance(data, pd.DataFrame):
        columns = data.replace("", np.nan).dropna(axis="columns", how="all")
        metadata["data"] = columns.to_csv(index=False, float_format="%.6g").strip()
    metadata["alt"] = alt or plots.describe_data(data)
    with plt.rc_context(plots.STYLE):  # for functions of other modules than `plots`
        drawing = plot(data, **options)
    display(SVG(_to_svg(drawing)), metadata={"image/svg+xml": metadata})
    # Notebook viewers show this caption; the page has it in the figure and drops this output.
    display(Markdown(f"*{metadata['caption']}*"), metadata={"text/markdown": {"caption": True}})


def _to_svg(drawing: Figure) -> str:
    buffer = io.StringIO()
    with plt.rc_context(plots.STYLE), warnings.catch_warnings():
        # The names of a user's classes may have characters that the font lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        drawing.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(drawing)
    return buffer.getvalue()


def table(
    rows: pd.DataFrame | pd.Series, caption: str, save: str = "", over: str = "seeds"
) -> None:
    """Display a table under its caption.

    Text is aligned left; numbers, also printed ones, right. Measured values are shown with their intervals, which
    the caption explains; a difference whose interval excludes 0 is bold.

    Args:
        rows: The table; a named index is shown as its first columns.
        caption: The caption, to which an explanation of the intervals is added.
        save: Name of the CSV to save the table as; "": none.
        over: The units over which the intervals are taken.
    """
    if save:
        results.save(rows, save)
    frame = rows.to_frame() if isinstance(rows, pd.Series) else rows
    if any(frame.index.names):
        frame = frame.reset_index()
    frame = frame.set_axis([_heading(name) for name in frame.columns], axis="columns")
    sides = ["left" if _is_text(frame[column]) else "right" for column in frame]
    head = "".join(
        f'<th scope="col" style="text-align:{side}">{html.escape(name)}</th>'
        for name, side in zip(frame.columns, sides, strict=True)
    )
    body = "\n".join(
        "<tr>" + "".join(map(_cell, row, sides)) + "</tr>" for row in frame.itertuples(index=False)
    )
    display(
        HTML(
            f"<table>\n<caption>{html.escape(caption + _describe_intervals(frame, over))}</caption>\n"
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
        )
    )


def pairs(
    dataset: Dataset,
    sampled: Pairs,
    positions: np.ndarray,
    caption: str,
    distance: np.ndarray | None = None,
) -> None:
    """Display pairs of images with their classes.

    Args:
        dataset: The data set.
        sampled: The pairs.
        positions: Which of them to display.
        caption: The caption.
        distance: (pairs,) distances of all sampled pairs to display, if any.
    """
    names = np.array(dataset.class_names)[dataset.labels]
    titles = []
    for position in positions:
        first, second = names[sampled.first[position]], names[sampled.second[position]]
        title = first if first == second else f"{first} / {second}"
        titles.append(title if distance is None else f"{title}\nD = {distance[position]:.2f}")
    images = np.stack(
        [dataset.images[rows[positions]] for rows in (sampled.first, sampled.second)], axis=1
    )
    alt = f"Pairs of images: {'; '.join(titles)}.".replace("\n", ", ")
    figure(plots.pair_gallery, images, caption, alt=alt, titles=titles)


def text(markdown: str) -> None:
    """Display Markdown text."""
    display(Markdown(markdown))


def literal(words: str) -> str:
    """Return text escaped for Markdown, such as a name that a user gave."""
    return re.sub(r"([\\`*_{}\[\]<>#|!$~&])", r"\\\1", words)


def answer(verdict: str, *sentences: str) -> None:
    """Display the answer to a page's question: the verdict in bold, then a list of findings.

    Args:
        verdict: A word or a short sentence.
        sentences: The findings, a sentence or two each; empty ones are left out.
    """
    findings = "\n".join(f"- {sentence}" for sentence in filter(None, sentences))
    text(f"**{verdict}**\n\n{findings}")


def pill(verdict: str) -> str:
    """Return a verdict as HTML, with the colour that it has on all pages."""
    return f'<span class="pill" data-verdict="{verdict}">{verdict}</span>'


def source(name: str) -> None:
    """Display the source code of a function or class of the package.

    Args:
        name: Dotted name within the package, such as `training.losses.contrastive_loss`.
    """
    display(Markdown(f"```python\n{source_of(name)}\n```"))


def _describe_intervals(frame: pd.DataFrame, over: str) -> str:
    """Return sentences for a caption that explain the intervals of a table, or "".

    Args:
        frame: The table.
        over: The units over which the intervals are taken, in the plural.
    """
    cells = [cell for cell in frame.to_numpy().ravel() if isinstance(cell, Measurement | Interval)]
    intervals = [cell.interval if isinstance(cell, Measurement) else cell for cell in cells]
    if not any(interval.has_ends for interval in intervals):
        if not any(interval.seeds for interval in intervals):
            return ""
        number = "One seed" if over == "seeds" else f"Only one of the {over}"
        return f" {number}, so no interval."
    numbers = sorted({interval.seeds for interval in intervals if interval.has_ends})
    units = f"{numbers[0]} {over}" if len(numbers) == 1 else f"the {over}"
    has_groups = any(isinstance(cell, Measurement) and cell.groups is not None for cell in cells)
    images = f", over {over} and images" if has_groups else ""
    words = ""
    if not all(interval.signed for interval in intervals):
        words = f" Means over {units} ± half the width of the 95 % interval{images}."
    if any(interval.signed for interval in intervals):
        words += f" Differences: means over {units} (95 % interval{images}); bold where it does not contain 0."
    return words


def _heading(name: object) -> str:
    """Return a column's name as text, without the empty ones of several levels."""
    return ", ".join(filter(None, map(str, name))) if isinstance(name, tuple) else str(name)


def _is_text(column: pd.Series) -> bool:
    """Return whether a column is aligned left: it holds words, and not only printed numbers."""
    if all(isinstance(value, str) and PRINTED_NUMBER.fullmatch(value) for value in column):
        return False
    words = str | LinkCell | AnchorCell | VerdictCell | list
    return all(isinstance(value, words) for value in column)


def _text(value: object) -> str:
    """Return a cell's text: integers with thousands separators, missing values as a dash."""
    if isinstance(value, Measurement | Interval):
        return format(value)
    if value is None or (isinstance(value, Number) and math.isnan(value)):
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if not isinstance(value, Number):
        return str(value)
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,g}"


def _cell(value: object, side: str) -> str:
    if isinstance(value, AnchorCell):
        return f'<td id="{value.anchor}" style="text-align:{side}">{html.escape(value.text)}</td>'
    content = html.escape(_text(value))
    if getattr(value, "signed", False):  # a narrow column may break a line before the interval
        content = re.sub(r" (\(.+\))$", r' <span class="ends">\1</span>', content)
    if isinstance(value, VerdictCell):
        content = pill(value.text)
    elif isinstance(value, LinkCell):
        content = f'<a href="{html.escape(value.target)}">{html.escape(value.text)}</a>'
    elif getattr(value, "signed", False) and verdicts.compare(value) != "unclear":
        content = f"<strong>{content}</strong>"
    return f'<td style="text-align:{side}">{content}</td>'
