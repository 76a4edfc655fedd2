"""What a notebook puts on its page: figures, tables, sentences, checks and source code."""

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

INJECTED_CELL = "# Parameters\n"  # how papermill begins the cell that it adds


class LinkCell(NamedTuple):
    """A cell of a table that leads to another notebook or page."""

    text: str
    target: str


class AnchorCell(NamedTuple):
    """A cell of a table that links lead to."""

    text: str
    anchor: str


def check_parameters() -> None:
    """Raise ValueError where papermill was given a parameter that the notebook does not have.

    papermill would only warn of it, and run with the defaults.
    """
    shell = get_ipython()
    cells = list(shell.user_ns["In"]) if shell else []
    injected = [cell for cell in cells if cell.startswith(INJECTED_CELL)]
    if not injected:
        return
    before = cells[cells.index(injected[0]) - 1]  # the notebook's own parameters
    if unknown := _names(injected[-1]) - _names(before):
        had = ", ".join(sorted(_names(before)))
        raise ValueError(f"no parameter {', '.join(sorted(unknown))}; this notebook has {had}")


def _names(cell: str) -> set[str]:
    """Return the names that a cell of plain assignments gives values to."""
    nodes = [node for node in ast.parse(cell).body if isinstance(node, ast.Assign)]
    return {target.id for node in nodes for target in node.targets if isinstance(target, ast.Name)}


class CheckFailedError(Exception):
    """A fact that every later number rests on is false."""


def check(sentence: str, passed: bool) -> None:
    """Display the result of a check: a green line, or a red one. A failed check stops nothing.

    ```run_all.py` counts the failed checks, links them on the summary, and exits with status 1.

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

    For facts whose failure would make every later number wrong, such as images that training and
    test share.

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
    """Draw data with a function of `plots`, and display it as SVG above its caption.

    All that its page wants travels in the output's metadata: the caption once more, the alt text
    (by default what the data say in words), the data where they are a frame, the drawing for a
    phone where it has one, and what a function of `live` told: where scripts run, something to
    handle takes the figure's place.
    """
    told = {"caption": " ".join(caption.split()), "live": live, "data": "", "narrow": ""}
    if plot in plots.WITH_NARROW_VARIANT:
        told["narrow"] = _as_svg(plot(data, narrow=True, **options))
    if isinstance(data, pd.DataFrame):
        csv = (
            data.replace("", np.nan)
            .dropna(axis="columns", how="all")
            .to_csv(index=False, float_format="%.6g")
        )
        told["data"] = csv.strip()
    told["alt"] = alt or plots.describe_data(data)
    drawing = SVG(_as_svg(plot(data, **options)))
    display(drawing, metadata={"image/svg+xml": told})
    # for readers of the notebook; a page has it in the figure
    display(Markdown(f"*{told['caption']}*"), metadata={"text/markdown": {"caption": True}})


def _as_svg(drawn: Figure) -> str:
    buffer = io.StringIO()
    with plt.rc_context(plots.STYLE), warnings.catch_warnings():
        # of letters that the font has not, in the names of a reader's classes
        warnings.filterwarnings("ignore", "Glyph .* missing")
        drawn.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(drawn)
    return buffer.getvalue()


def table(
    rows: pd.DataFrame | pd.Series, caption: str, save: str = "", over: str = "seeds"
) -> None:
    """Display a table under its caption: words to the left, figures to the right.

    A frame with a named index shows it in front. A measured figure stands with its interval, which
    the caption explains; a difference whose interval does not contain 0 stands in bold. A row with
    a cell that ends with "in 2019" holds the study's own figures, and is marked so. save: the name
    of its CSV, if any; over: what the intervals are over.
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
        f"<tr{_mark(row)}>" + "".join(map(_cell, row, sides)) + "</tr>"
        for row in frame.itertuples(index=False)
    )
    display(
        HTML(
            f"<table>\n<caption>{html.escape(caption + _explain(frame, over))}</caption>\n"
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
        )
    )


def pairs(
    dataset: Dataset,
    drawn: Pairs,
    chosen: np.ndarray,
    caption: str,
    distance: np.ndarray | None = None,
) -> None:
    """Display the pairs at the positions `chosen`, under their classes and, if given, distances."""
    names = np.array(dataset.class_names)[dataset.labels]
    titles = []
    for position in chosen:
        a, b = names[drawn.first[position]], names[drawn.second[position]]
        title = a if a == b else f"{a} / {b}"
        titles.append(title if distance is None else f"{title}\nD = {distance[position]:.2f}")
    both = np.stack([dataset.images[of[chosen]] for of in (drawn.first, drawn.second)], axis=1)
    alt = f"Pairs of images: {'; '.join(titles)}.".replace("\n", ", ")
    figure(plots.pair_gallery, both, caption, alt=alt, titles=titles)


def text(markdown: str) -> None:
    """Display a sentence made from results."""
    display(Markdown(markdown))


def literal(words: str) -> str:
    """Return Markdown that shows words as they are, such as names that a reader gave."""
    return re.sub(r"([\\`*_{}\[\]<>#|!$~&])", r"\\\1", words)


def answer(first: str, *sentences: str) -> None:
    """Display a page's answer: a word or a short sentence, then a few more; empty ones are left out."""
    text(" ".join([f"**{first}**", *filter(None, sentences)]))


def source(name: str) -> None:
    """Display a function or class of the package as it stands, so that no notebook has a copy of it.

    name: dotted below the package, such as `training.losses.contrastive_loss`.
    """
    display(Markdown(f"```python\n{source_of(name)}\n```"))


def _explain(frame: pd.DataFrame, what: str) -> str:
    """Return what the measured figures of a table are, for the end of its caption."""
    figures = [
        cell for cell in frame.to_numpy().ravel() if isinstance(cell, Measurement | Interval)
    ]
    intervals = [f.interval if isinstance(f, Measurement) else f for f in figures]
    if not figures:
        return ""
    if not any(found.has_ends for found in intervals):
        if not any(found.seeds for found in intervals):
            return ""
        return f" {'One seed' if what == 'seeds' else f'One of the {what}'}, so no interval."
    numbers = sorted({found.seeds for found in intervals if found.has_ends})
    over = f"{numbers[0]} {what}" if len(numbers) == 1 else f"the {what}"
    images = any(isinstance(f, Measurement) and f.groups is not None for f in figures)
    with_images = f", over {what} and images" if images else ""
    words = ""
    if not all(found.signed for found in intervals):
        words = f" Means over {over} ± half the width of the 95 % interval{with_images}."
    if any(found.signed for found in intervals):
        words += f" Differences: means over {over} (95 % interval{with_images}); bold where it does not contain 0."
    return words


def _heading(name: object) -> str:
    """Return a column's name; of several levels those that are not empty."""
    return ", ".join(filter(None, map(str, name))) if isinstance(name, tuple) else str(name)


def _is_text(column: pd.Series) -> bool:
    return all(isinstance(value, str | LinkCell | AnchorCell | list) for value in column)


def _text(value: object) -> str:
    """Return a cell's text: large whole numbers in groups of three, nothing known as a dash."""
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


def _mark(row: tuple[object, ...]) -> str:
    of_study = any(isinstance(value, str) and value.endswith("in 2019") for value in row)
    return ' class="study"' if of_study else ""


def _cell(value: object, side: str) -> str:
    if isinstance(value, AnchorCell):
        return f'<td id="{value.anchor}" style="text-align:{side}">{html.escape(value.text)}</td>'
    content = html.escape(_text(value))
    if isinstance(value, LinkCell):
        content = f'<a href="{html.escape(value.target)}">{html.escape(value.text)}</a>'
    elif getattr(value, "signed", False) and verdicts.compare(value) != "unclear":
        content = f"<strong>{content}</strong>"
    return f'<td style="text-align:{side}">{content}</td>'
