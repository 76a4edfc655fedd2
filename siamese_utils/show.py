"""What a notebook puts on its page: figures, tables, sentences and source code."""

import html
import inspect
import io
import math
import re
from collections.abc import Callable
from numbers import Number
from typing import NamedTuple

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import HTML, SVG, Markdown, display
from matplotlib.figure import Figure

from siamese_utils import plots


class Link(NamedTuple):
    """A cell of a table that leads to another notebook or page."""

    text: str
    target: str


def figure(
    drawn: Figure, caption: str, alt: str, explorer: dict[str, object] | None = None
) -> None:
    """Display a figure as SVG above its caption.

    All that its page wants travels in the output's metadata: the caption once more, the alt text,
    the figure's data, and for the threshold explorer, which takes the figure's place where scripts
    run, `explorer.describe` of each network by name.
    """
    buffer = io.StringIO()
    with plt.rc_context(plots.STYLE):
        drawn.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        data = plots.data_of(drawn).to_csv(index=False, float_format="%.6g", lineterminator="\n")
    plt.close(drawn)
    told = {"caption": " ".join(caption.split()), "alt": " ".join(alt.split())}
    told |= {"data": data.strip(), "explorer": explorer}
    display(SVG(buffer.getvalue()), metadata={"image/svg+xml": told})
    # for readers of the notebook; a page has it in the figure
    display(Markdown(f"*{told['caption']}*"), metadata={"text/markdown": {"caption": True}})


def table(rows: pd.DataFrame, caption: str) -> None:
    """Display a table under its caption: words to the left, figures to the right.

    A row with a cell that ends with "in 2019" holds the study's own figures, and is marked so.
    """
    sides = ["left" if _is_text(rows[column]) else "right" for column in rows]
    head = "".join(
        f'<th scope="col" style="text-align:{side}">{html.escape(str(name))}</th>'
        for name, side in zip(rows.columns, sides, strict=True)
    )
    body = "\n".join(
        f"<tr{_mark(row)}>" + "".join(map(_cell, row, sides)) + "</tr>"
        for row in rows.itertuples(index=False)
    )
    display(
        HTML(
            f"<table>\n<caption>{html.escape(caption)}</caption>\n"
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
        )
    )


def text(markdown: str) -> None:
    """Display a sentence made from results."""
    display(Markdown(markdown))


def source(function: Callable) -> None:
    """Display a function of the package as it stands, so that no notebook has a copy of it."""
    display(Markdown(f"```python\n{inspect.getsource(function).strip()}\n```"))


# A figure, perhaps with the half-width of its interval, or several between slashes.
_FIGURE = re.compile(r"[+−-]?\d[\d,.]*%?( (±|/) \d[\d.]*)*")


def _is_text(column: pd.Series) -> bool:
    figures = [_FIGURE.fullmatch(_text(value)) is not None for value in column]
    return 2 * sum(figures) <= len(figures)


def _text(value: object) -> str:
    """Return a cell's text: large whole numbers in groups of three, nothing known as a dash."""
    if not isinstance(value, Number):
        return str(value)
    if math.isnan(value):
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,g}"


def _mark(row: tuple[object, ...]) -> str:
    of_study = any(isinstance(value, str) and value.endswith("in 2019") for value in row)
    return ' class="study"' if of_study else ""


def _cell(value: object, side: str) -> str:
    if isinstance(value, Link):
        content = f'<a href="{html.escape(value.target)}">{html.escape(value.text)}</a>'
    else:
        content = html.escape(_text(value))
    return f'<td style="text-align:{side}">{content}</td>'
