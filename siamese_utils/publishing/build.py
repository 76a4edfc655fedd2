"""Making a report: train, execute the notebooks, render the pages and PDFs, publish."""

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
from siamese_utils.data import datasets
from siamese_utils.publishing import execute, html, notebook_runner, pdf, publish, search
from siamese_utils.publishing.chapters import FRONT_PAGE
from siamese_utils.publishing.html import Body, Check
from siamese_utils.publishing.notebook_runner import NotebookJob
from siamese_utils.publishing.parallel_training import (
    TrainingJob,
    check_scheduler,
    train_locally,
    train_on_cluster,
)
from siamese_utils.publishing.pdf import PdfError
from siamese_utils.publishing.run_options import RunOptions
from siamese_utils.publishing.status import Status, format_seconds
from siamese_utils.reporting import results
from siamese_utils.training import study_plan
from siamese_utils.training.config import Config

# Of all processes of a run: sums in another order differ in their last digits, so the number of
# threads must not depend on the process.
COMMON_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}


def check(options: RunOptions) -> None:
    """Check that a report can be made, before any work; images may be downloaded.

    Raises:
        ValueError: Something is missing, or the output belongs to something else.
        OSError: A folder cannot be written.
        DataError: The data set cannot be had.
    """
    if options.with_pdf:
        pdf.check()
    datasets.load(options.plan.dataset)
    for chapter in options.chapters:
        execute.check(chapter, options.parameters)
        options.plan.check(chapter.name)
    settings.cache_dir().mkdir(parents=True, exist_ok=True)
    # The lock has shown already that the output can be written.
    probe = settings.cache_dir() / ".probe"
    probe.touch()
    probe.unlink(missing_ok=True)  # another run with the same cache may have removed it
    publish.check_foreign_files(options.output, options.file_names)
    other_pages = {path.name for path in options.output.glob("*.html")} - set(options.file_names)
    if options.is_partial and FRONT_PAGE in publish.list_files(options.output) and other_pages:
        raise ValueError(f"{options.output} holds a whole report; choose another --output")
    if options.scheduler:
        check_scheduler(options.scheduler)


def describe_plan(options: RunOptions) -> str:
    """Return what each notebook trains, which of it is cached, and the expected time."""
    chapters = options.chapters
    lines, total = [], 0.0
    with _environment(options, Path(os.devnull)):
        pending = study_plan.pending(options.plan, [chapter.name for chapter in chapters])
        for chapter in chapters:
            configs, to_do = options.plan.configs(chapter.name), pending[chapter.name]
            seconds = sum(config.expected_seconds() for config in to_do)
            total += seconds
            time_left = f", about {format_seconds(seconds)}" if to_do else ""
            lines.append(f"{chapter.name}: {len(configs)} trainings, {len(to_do)} to do{time_left}")
            for config in configs:
                state = "to do " if config in to_do else "cached"
                lines.append(f"  {state} {config.label}, {config.epochs} epochs")
    number = sum(map(len, pending.values()))
    return "\n".join([*lines, f"{number} to do, about {format_seconds(total)} here"])


def build(options: RunOptions, console: Console) -> list[Check]:
    """Make a report and return its failed checks; until the last moment the old report stays.

    Raises:
        NotebooksFailedError: One or more notebooks failed.
        WorkersLostError: Workers died again and again.
        TrainingDivergedError: A loss, weight or embedding is not finite.
        PdfError: The report was published without a PDF.
    """
    start = time.monotonic()
    # All processes use the data set that "auto" stands for now.
    options = replace(options, dataset=options.plan.dataset)
    staging = publish.open_staging(options.output)
    work = staging / "work"
    work.mkdir()
    progress = work / "progress"
    progress.touch()
    try:
        with _environment(options, progress):
            pending = study_plan.pending(options.plan, [c.name for c in options.chapters])
            configs = [config for of_chapter in pending.values() for config in of_chapter]
            expected = sum(config.expected_seconds() for config in configs)
            with Status(expected, len(options.chapters), progress, console) as status:
                if configs:
                    _train(options, configs, expected, status)
                bodies = _run_notebooks(options, staging, status)
                failure = _render(options, bodies, staging, status)
    except BaseException:  # Ctrl-C too
        shutil.rmtree(staging, ignore_errors=True)
        raise
    shutil.rmtree(work)
    publish.publish(options.output, options.facts)
    if failure:
        raise PdfError(f"the pages are in {options.output}, but without a PDF: {failure}")
    _print_summary(options, time.monotonic() - start, console)
    return html.failed_checks(bodies)


def _train(options: RunOptions, configs: list[Config], expected: float, status: Status) -> None:
    """Print how much there is to train, and train it."""
    where = f"on {options.scheduler}" if options.scheduler else f"{options.workers} at a time"
    less = "--profile quick does less, " if options.profile.name == "full" else ""
    status.begin(
        f"{len(configs)} trainings to do, {where}, about {format_seconds(expected)} here; "
        f"{less}--list names them"
    )

    def done(config: Config) -> None:
        status.training_finished(config.label, config.expected_seconds())

    job = TrainingJob(options.plan, configs, done, status.say)
    if options.scheduler:
        train_on_cluster(job, options.scheduler)
    else:
        train_locally(job, options.workers)


def _copy_notebooks(options: RunOptions, staging: Path) -> None:
    """Copy the executed notebooks into the report, for download."""
    folder = staging / "notebooks"
    folder.mkdir()
    for chapter in options.chapters:
        name = f"{chapter.name}.ipynb"
        shutil.copyfile(staging / "work" / chapter.name / name, folder / name)


def _print_summary(options: RunOptions, seconds: float, console: Console) -> None:
    """Print what was made, and the headline results if there is a summary."""
    figures = len(list((options.output / "figures").glob("*.svg")))
    pages = len(options.chapters)
    made = f"{pages} page{'s' * (pages > 1)}, {figures} figures{', report.pdf' * options.with_pdf}"
    lines = [f"Done in {format_seconds(seconds)}: {made}, in {options.output}."]
    folder = options.output / "results"
    if (folder / "headlines.csv").exists():
        headlines = results.read_measurements("headlines", folder)
        lines += [f"  {name}: {value:±}" for (name,), value in headlines.items()]
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


@contextmanager
def _environment(options: RunOptions, progress: Path) -> Iterator[None]:
    """Set the environment variables that all processes of a run inherit."""
    before = dict(os.environ)
    os.environ |= COMMON_ENVIRONMENT
    os.environ[settings.PROGRESS_VARIABLE] = str(progress)
    os.environ[settings.PRECISION_VARIABLE] = options.precision.removeprefix("mixed_")
    for name in (settings.CACHE_VARIABLE, settings.DATA_VARIABLE):
        if folder := os.environ.get(name):  # the kernels run in another folder
            os.environ[name] = str(Path(folder).resolve())
    if options.fresh:
        os.environ[settings.FRESH_VARIABLE] = str(time.time())
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _run_notebooks(options: RunOptions, staging: Path, status: Status) -> list[Body]:
    status.begin("notebooks")
    jobs = [
        NotebookJob(
            chapter,
            options.parameters,
            options.plan.images.digest,
            folder=staging / "work" / chapter.name,
            merged_results=staging / "results",
            pages={c.name: c.page for c in options.chapters},
            cell_hours=options.cell_hours,
        )
        for chapter in options.chapters
    ]
    by_name = notebook_runner.run(jobs, status.notebook_finished)
    bodies = [by_name[chapter.name] for chapter in options.chapters]
    checks = [vars(check) for body in bodies for check in body.checks]
    table = pd.DataFrame(checks, columns=["link", "sentence", "passed"])
    (staging / "results" / "checks.csv").write_text(table.to_csv(index=False), encoding="utf-8")
    return bodies


def _render(
    options: RunOptions, bodies: list[Body], staging: Path, status: Status
) -> PdfError | None:
    """Render pages and PDFs, and return the error if a PDF failed: the pages are made anyway."""
    banner, failure = options.plan.images.banner, None
    if options.with_pdf:
        status.begin("PDF")
        facts = "Data set {dataset}, profile {profile}, seeds: {seeds}"
        subtitle = facts.format(**options.facts)
        notes = [banner]
        if failed := html.failed_checks(bodies):
            sentences = "; ".join(check.sentence for check in failed)
            notes.append(f"Failed checks ({len(failed)}): {sentences}.")
        try:
            pdf.render_pdf(bodies, staging, " ".join(notes).strip(), subtitle)
        except PdfError as error:
            failure = error
    status.begin("pages")
    with_pdf = options.with_pdf and not failure
    (staging / search.FILE).write_text(search.make_index(bodies), encoding="utf-8")
    _copy_notebooks(options, staging)
    html.render_pages(bodies, staging, options.facts, banner, with_pdf)
    return failure
