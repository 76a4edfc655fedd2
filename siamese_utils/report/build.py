"""The whole way from notebooks to a published report."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import nbformat
from rich.console import Console

from siamese_utils import settings
from siamese_utils.images import sources
from siamese_utils.learning import plans
from siamese_utils.learning.plans import Plan
from siamese_utils.report import execute, html, pdf, publish
from siamese_utils.report.ahead import train_ahead
from siamese_utils.report.series import SUMMARY, Chapter
from siamese_utils.report.status import Status, format_seconds
from siamese_utils.telling import results


@dataclass(frozen=True)
class Order:
    """What run_all.py was asked for, checked."""

    profile: settings.Profile
    dataset: str  # a name; `auto` until it is known which one it stands for
    chapters: list[Chapter]  # in the order of the report
    is_part: bool  # not all of the series
    output: Path
    with_pdf: bool
    fresh: bool
    workers: int = 1  # processes that train ahead of the notebooks; 1: each trains its own

    @property
    def in_running_order(self) -> list[Chapter]:
        """The notebooks as they run: the summary last, since it reads the others' results."""
        return sorted(self.chapters, key=lambda chapter: chapter.name == SUMMARY)

    @property
    def plan(self) -> Plan:
        """What is to be trained."""
        return Plan(self.profile, sources.resolve(self.dataset))

    @property
    def names(self) -> list[str]:
        """The files and folders of the report."""
        pages = [chapter.page for chapter in self.chapters]
        return [*pages, *(["report.pdf"] if self.with_pdf else []), "figures", "results"]

    @property
    def facts(self) -> dict[str, object]:
        """What readers must know of the report's making."""
        versions = {name: version(name) for name in ("tensorflow", "keras", "numpy")}
        return self.parameters | {"versions": versions}

    @property
    def parameters(self) -> dict[str, object]:
        """What every notebook is told."""
        profile = self.profile
        return {"profile": profile.name, "dataset": self.dataset, "seeds": profile.seeds}


def check(order: Order) -> None:
    """Raise ValueError or OSError where the order cannot be carried out; nothing was done then."""
    for chapter in order.chapters:
        execute.check(chapter, order.parameters)
    settings.store_dir().mkdir(parents=True, exist_ok=True)
    probe = settings.store_dir() / ".probe"  # the lock has shown that the output can be written
    probe.touch()
    probe.unlink(missing_ok=True)  # of another run too, where they share the store
    publish.refuse_strangers(order.output, order.names)
    if order.is_part and (order.output / "index.html").exists():
        raise ValueError(f"--only: {order.output} holds a whole report; choose another --output")


def describe_plan(order: Order) -> str:
    """Return what each notebook trains, what of it the store has, and the time expected."""
    chapters = order.in_running_order
    pending = plans.pending(order.plan, [chapter.number for chapter in chapters])
    lines, total = [], 0.0
    for chapter in chapters:
        steps, to_do = list(order.plan.steps(chapter.number)), pending[chapter.number]
        seconds = sum(map(plans.expected_seconds, to_do))
        total += seconds
        time_left = f", about {format_seconds(seconds)}" if to_do else ""
        lines.append(f"{chapter.name}: {len(steps)} trainings, {len(to_do)} to do{time_left}")
        lines += [f"  {'to do ' if step in to_do else 'there '} {step.label}, {step.epochs} epochs"
                  for step in steps]  # fmt: skip
    number = sum(map(len, pending.values()))
    return "\n".join([*lines, f"{number} to do, about {format_seconds(total)} on two cores"])


def build(order: Order, console: Console) -> Path:
    """Run the notebooks, render them, put the report in place and return its front page.

    Until the last moment the old report stays as it is. Raises NotebookError, PdfError.
    """
    start = time.monotonic()
    staging = publish.open_staging(order.output)
    progress = staging / "progress"
    progress.touch()
    try:
        with _environment(order, staging, progress):
            pending = plans.pending(order.plan, [c.number for c in order.in_running_order])
            work = [sum(map(plans.expected_seconds, steps)) for steps in pending.values()]
            ahead = order.workers > 1
            with Status(
                [sum(work), *(0.0 for _ in work)] if ahead else work, progress, console
            ) as status:
                _announce(pending, sum(work), status)
                if ahead:
                    _train_ahead(order, pending, status)
                executed = _execute(order, staging, status)
                _render(order, executed, staging, status)
    except BaseException:  # Ctrl-C too: leave no half of a report
        shutil.rmtree(staging, ignore_errors=True)
        raise
    for path in (progress, *staging.glob("*.ipynb"), *staging.glob("*.log")):
        path.unlink()  # of use while it was built
    publish.publish(order.output, order.facts)
    _tell(order, time.monotonic() - start, console)
    return order.output / order.chapters[0].page


def _announce(pending: dict[str, list[plans.Step]], seconds: float, status: Status) -> None:
    """Say at once how much there is to train."""
    number = sum(map(len, pending.values()))
    if number:
        status.say(
            f"{number} trainings to do, about {format_seconds(seconds)} on two cores; "
            "--profile quick does less, --list names them"
        )


def _train_ahead(order: Order, pending: dict[str, list[plans.Step]], status: Status) -> None:
    status.begin(f"trainings, in {order.workers} processes")
    steps = [step for steps in pending.values() for step in steps]
    train_ahead(order.plan, steps, order.workers, status.say)
    status.chapter_done()


def _tell(order: Order, seconds: float, console: Console) -> None:
    """Say what was made, and what it found where the summary was made too."""
    figures = len(list((order.output / "figures").glob("*.svg")))
    made = f"{len(order.chapters)} pages, {figures} figures{', report.pdf' * order.with_pdf}"
    lines = [f"Done in {format_seconds(seconds)}: {made}, in {order.output}."]
    folder = order.output / "results"
    if (folder / "headlines.csv").exists():
        found = results.read_figures("headlines", folder)
        lines += [f"  {name}: {figure:±}" for (name,), figure in found.items()]
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


@contextmanager
def _environment(order: Order, staging: Path, progress: Path) -> Iterator[None]:
    """Tell the notebooks' kernels, which inherit it, where to write and what to pass over."""
    before = dict(os.environ)
    os.environ[settings.RESULTS_VARIABLE] = str(staging / "results")
    os.environ[settings.PROGRESS_VARIABLE] = str(progress)
    for name in (settings.STORE_VARIABLE, settings.DATA_VARIABLE):
        if given := os.environ.get(name):  # the kernels run in another folder
            os.environ[name] = str(Path(given).resolve())
    if order.fresh:
        os.environ[settings.FRESH_VARIABLE] = str(time.time())
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _execute(order: Order, staging: Path, status: Status) -> dict[str, Path]:
    executed = {}
    for chapter in order.in_running_order:
        status.begin(chapter.name)
        target = staging / f"{chapter.name}.ipynb"
        execute.execute(chapter, order.parameters, target, status.cell)
        status.chapter_done()
        executed[chapter.name] = target
    return executed


def _render(order: Order, executed: dict[str, Path], staging: Path, status: Status) -> None:
    status.begin("pages")
    banner = order.plan.images.banner
    pages = {chapter.name: chapter.page for chapter in order.chapters}
    notebooks = [(c, nbformat.read(executed[c.name], as_version=4)) for c in order.chapters]
    bodies = [html.render_body(*notebook, pages) for notebook in notebooks]
    html.render_pages(bodies, staging, order.facts, banner, order.with_pdf)
    if order.with_pdf:
        status.begin("PDF")
        anchors = {name: f"#{name}" for name in pages}
        bodies = [html.render_body(*notebook, anchors, False) for notebook in notebooks]
        facts = "Data set {dataset}, profile {profile}, seeds: {seeds}"
        subtitle = facts.format(**order.parameters)
        pdf.render_pdf(bodies, staging / "report.pdf", banner, subtitle)
