"""The whole way from notebooks to a published report."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pandas as pd
from rich.console import Console

from siamese_utils import settings
from siamese_utils.images import sources
from siamese_utils.learning import plans
from siamese_utils.learning.plans import Step
from siamese_utils.report import execute, html, notebooks, pdf, publish, search
from siamese_utils.report.ahead import Ahead, check_scheduler, train_here, train_on_cluster
from siamese_utils.report.html import Body, Check
from siamese_utils.report.notebooks import Job
from siamese_utils.report.orders import Order
from siamese_utils.report.pdf import PdfError
from siamese_utils.report.series import FRONT
from siamese_utils.report.status import Status, format_seconds
from siamese_utils.telling import results

SAME_FOR_ALL = {
    # sums in another order are others in their last digits, whichever process does them
    "OPENBLAS_NUM_THREADS": "1",
}


def check(order: Order) -> None:
    """Raise ValueError, OSError or DataError where the order cannot be carried out.

    Nothing was done then, but that images may have been downloaded.
    """
    if order.with_pdf:
        pdf.check()
    sources.load(order.plan.dataset)
    for chapter in order.chapters:
        execute.check(chapter, order.parameters)
    settings.store_dir().mkdir(parents=True, exist_ok=True)
    probe = settings.store_dir() / ".probe"  # the lock has shown that the output can be written
    probe.touch()
    probe.unlink(missing_ok=True)  # of another run too, where they share the store
    publish.refuse_strangers(order.output, order.names)
    pages = {path.name for path in order.output.glob("*.html")} - set(order.names)
    if order.is_part and FRONT in publish.list_files(order.output) and pages:
        raise ValueError(f"{order.output} holds a whole report; choose another --output")
    if order.scheduler:
        check_scheduler(order.scheduler)


def describe_plan(order: Order) -> str:
    """Return what each notebook trains, what of it the store has, and the time expected."""
    chapters = order.in_running_order
    lines, total = [], 0.0
    with _environment(order, Path(os.devnull)):
        pending = plans.pending(order.plan, [chapter.number for chapter in chapters])
        for chapter in chapters:
            steps, to_do = list(order.plan.steps(chapter.number)), pending[chapter.number]
            seconds = sum(map(plans.expected_seconds, to_do))
            total += seconds
            time_left = f", about {format_seconds(seconds)}" if to_do else ""
            lines.append(f"{chapter.name}: {len(steps)} trainings, {len(to_do)} to do{time_left}")
            lines += [f"  {'to do ' if step in to_do else 'there '} {step.label}, {step.epochs} epochs"
                      for step in steps]  # fmt: skip
    number = sum(map(len, pending.values()))
    return "\n".join([*lines, f"{number} to do, about {format_seconds(total)} here"])


def build(order: Order, console: Console) -> list[Check]:
    """Train, run the notebooks, render them, put the report in place and return its failed checks.

    Until the last moment the old report stays as it is. Raises NotebooksFailedError,
    WorkersLostError, TrainingDivergedError; and PdfError, when the pages are in place without a PDF.
    """
    start = time.monotonic()
    order = replace(order, dataset=order.plan.dataset)  # the one that auto stands for, for all
    staging = publish.open_staging(order.output)
    work = staging / "work"
    work.mkdir()
    progress = work / "progress"
    progress.touch()
    try:
        with _environment(order, progress):
            pending = plans.pending(order.plan, [c.number for c in order.in_running_order])
            steps = [step for of_chapter in pending.values() for step in of_chapter]
            expected = sum(map(plans.expected_seconds, steps))
            with Status(expected, len(order.chapters), progress, console) as status:
                if steps:
                    _train(order, steps, expected, status)
                bodies = _run_notebooks(order, staging, status)
                failure = _render(order, bodies, staging, status)
    except BaseException:  # Ctrl-C too: leave no half of a report
        shutil.rmtree(staging, ignore_errors=True)
        raise
    shutil.rmtree(work)  # of use while it was built
    publish.publish(order.output, order.facts)
    if failure:
        raise PdfError(f"the pages are in {order.output}, but without a PDF: {failure}")
    _tell(order, time.monotonic() - start, console)
    return html.failed_checks(bodies)


def _train(order: Order, steps: list[Step], expected: float, status: Status) -> None:
    """Say at once how much there is to train, and train it."""
    where = f"on {order.scheduler}" if order.scheduler else f"{order.workers} at a time"
    less = "" if order.profile.name == "quick" else "--profile quick does less, "
    status.begin(
        f"{len(steps)} trainings to do, {where}, about {format_seconds(expected)} here; "
        f"{less}--list names them"
    )
    ahead = Ahead(
        order.plan,
        steps,
        lambda step: status.training_done(step.label, plans.expected_seconds(step)),
        status.say,
    )
    if order.scheduler:
        train_on_cluster(ahead, order.scheduler)
    else:
        train_here(ahead, order.workers)


def _offer_notebooks(order: Order, staging: Path) -> None:
    """Put the executed notebooks where readers can download them."""
    folder = staging / "notebooks"
    folder.mkdir()
    for chapter in order.chapters:
        name = f"{chapter.name}.ipynb"
        shutil.copyfile(staging / "work" / chapter.name / name, folder / name)


def _tell(order: Order, seconds: float, console: Console) -> None:
    """Say what was made, and what it found where the summary was made too."""
    figures = len(list((order.output / "figures").glob("*.svg")))
    pages = len(order.chapters)
    made = f"{pages} page{'s' * (pages > 1)}, {figures} figures{', report.pdf' * order.with_pdf}"
    lines = [f"Done in {format_seconds(seconds)}: {made}, in {order.output}."]
    folder = order.output / "results"
    if (folder / "headlines.csv").exists():
        found = results.read_figures("headlines", folder)
        lines += [f"  {name}: {figure:±}" for (name,), figure in found.items()]
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


@contextmanager
def _environment(order: Order, progress: Path) -> Iterator[None]:
    """Tell all processes of the run, which inherit it, where the store is and what to pass over."""
    before = dict(os.environ)
    os.environ |= SAME_FOR_ALL
    os.environ[settings.PROGRESS_VARIABLE] = str(progress)
    os.environ[settings.PRECISION_VARIABLE] = order.precision.removeprefix("mixed_")
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


def _run_notebooks(order: Order, staging: Path, status: Status) -> list[Body]:
    status.begin("notebooks")
    jobs = [
        Job(
            chapter,
            order.parameters,
            order.plan.images.digest,
            folder=staging / "work" / chapter.name,
            others=staging / "results",
            pages={c.name: c.page for c in order.chapters},
            cell_hours=order.cell_hours,
        )
        for chapter in order.in_running_order
    ]
    by_name = notebooks.run(jobs, status.notebook_done)
    bodies = [by_name[chapter.name] for chapter in order.chapters]
    checks = [vars(check) for body in bodies for check in body.checks]
    table = pd.DataFrame(checks, columns=["link", "sentence", "passed"])
    (staging / "results" / "checks.csv").write_text(table.to_csv(index=False), encoding="utf-8")
    return bodies


def _render(order: Order, bodies: list[Body], staging: Path, status: Status) -> PdfError | None:
    """Render all, and return what went wrong with the PDF: the pages do not wait for it."""
    banner, failure = order.plan.images.banner, None
    if order.with_pdf:
        status.begin("PDF")
        facts = "Data set {dataset}, profile {profile}, seeds: {seeds}"
        subtitle = facts.format(**order.facts)
        notes = [banner]
        if failed := html.failed_checks(bodies):
            sentences = "; ".join(check.sentence for check in failed)
            notes.append(f"Failed checks ({len(failed)}): {sentences}.")
        try:
            pdf.render_pdfs(bodies, staging, order.pdfs, " ".join(notes).strip(), subtitle)
        except PdfError as error:
            failure = error
            for name in order.pdfs:  # all or none
                (staging / name).unlink(missing_ok=True)
    status.begin("pages")
    with_pdf = order.with_pdf and not failure
    (staging / search.FILE).write_text(search.make_index(bodies), encoding="utf-8")
    _offer_notebooks(order, staging)
    html.render_pages(bodies, staging, order.facts, banner, with_pdf)
    return failure
