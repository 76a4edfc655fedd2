"""The options of run_all.py, checked."""

import os
from argparse import Namespace
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from siamese_utils import settings
from siamese_utils.data import datasets, image_folder, user_images
from siamese_utils.publishing import pdf, publish, search
from siamese_utils.publishing.chapters import (
    Chapter,
    list_chapters,
    user_images_chapter,
)
from siamese_utils.training import machine
from siamese_utils.training.study_plan import StudyPlan
from siamese_utils.training.worker_pool import process_pool

MAX_CELL_HOURS = 1000


@dataclass(frozen=True)
class RunOptions:
    """The options of run_all.py, checked.

    Attributes:
        profile: How much to train.
        dataset: Name of the data set.
        chapters: In the order of the report.
        is_partial: Whether some chapters of the series are left out.
        output: Absolute path of the report's folder.
        with_pdf: Whether to make a PDF.
        fresh: Whether to train again what is in the cache.
        workers: Processes that train, if there is no scheduler.
        cell_hours: Most hours that a cell may take.
        precision: Keras dtype policy of training.
        scheduler: Address of a Dask scheduler whose workers train, or "".
    """

    profile: settings.Profile
    dataset: str
    chapters: list[Chapter]
    is_partial: bool
    output: Path
    with_pdf: bool
    fresh: bool
    workers: int = 1
    cell_hours: float = settings.CELL_HOURS
    precision: str = "float32"
    scheduler: str = ""

    @property
    def plan(self) -> StudyPlan:
        """What is to be trained."""
        return StudyPlan(self.profile, datasets.resolve_name(self.dataset))

    @property
    def file_names(self) -> list[str]:
        """The files and folders of the report."""
        pages = [chapter.page for chapter in self.chapters]
        return [*pages, *([pdf.FILE] if self.with_pdf else []), search.FILE, *publish.FOLDERS]

    @property
    def facts(self) -> dict[str, object]:
        """How the report was made, for its pages and its manifest."""
        versions = {name: version(name) for name in ("tensorflow", "keras", "numpy")}
        data = {"dataset": self.plan.images.name, "precision": self.precision}
        return self.parameters | data | {"versions": versions}

    @property
    def parameters(self) -> dict[str, object]:
        """The parameters of every notebook."""
        profile = self.profile
        return {"profile": profile.name, "dataset": self.dataset, "seeds": profile.seeds}


def from_command_line(options: Namespace) -> RunOptions:
    """Return checked options; a folder of images is read.

    Raises:
        ValueError: An option is wrong.
        OSError: A folder of images cannot be read.
        DataError: The data set cannot be had.
    """
    if options.workers < 1:
        raise ValueError(f"--workers must be 1 or more, not {options.workers}")
    if not 0 < options.cell_hours <= MAX_CELL_HOURS:  # NaN fails too
        raise ValueError(
            f"--cell-hours must be above 0 and {MAX_CELL_HOURS} at most, not {options.cell_hours:g}"
        )
    profile = settings.get_profile(options.profile, options.seeds)
    is_folder = options.dataset not in ("auto", *datasets.DATASETS)
    chapters = [user_images_chapter()] if is_folder else _choose_chapters(options)
    short = "" if profile.name == "full" else profile.name  # a short run keeps the full report
    default = settings.REPORTS / ("own" if is_folder else "partial" if options.only else short)
    return RunOptions(
        profile=profile,
        dataset=_import_images(options) if is_folder else options.dataset,
        chapters=chapters,
        is_partial=is_folder or bool(options.only),
        # papermill changes the working directory, so the path must be absolute.
        output=(options.output or default).resolve(),
        with_pdf=not options.no_pdf,
        fresh=options.fresh,
        workers=options.workers,
        cell_hours=options.cell_hours,
        precision=_choose_precision(options.precision),
        scheduler=options.scheduler,
    )


def _choose_precision(choice: str) -> str:
    """Return the Keras dtype policy of the run. Raises ValueError if it cannot run here.

    The precision is tried in another process, since TensorFlow takes memory and might crash.
    """
    choice = choice or os.environ.get(settings.PRECISION_VARIABLE) or "auto"
    if choice == "float32" or (choice == "auto" and not machine.prefers_bfloat16()):
        return machine.choose_precision(choice)
    try:
        with process_pool(1) as process:
            return process.submit(machine.choose_precision, choice).result()
    except BrokenProcessPool:
        if choice == "auto":
            return "float32"
        raise ValueError(f"precision {choice}: TensorFlow crashed when it was tried") from None


def _choose_chapters(options: Namespace) -> list[Chapter]:
    """Return the chapters that the options ask for. Raises ValueError."""
    if options.image_size is not None or options.unseen:
        raise ValueError("--image-size and --unseen are for --dataset FOLDER, your own images")
    chapters = list_chapters()
    if options.only:
        numbers = [chapter.number for chapter in chapters]
        wanted = {number.zfill(2) for number in options.only}
        if unknown := sorted(wanted - set(numbers)):
            raise ValueError(
                f"--only: no notebook {', '.join(unknown)}; there are {', '.join(numbers)}"
            )
        readers = {chapter.number for chapter in chapters if chapter.reads_results}
        if needed := sorted(wanted & readers):
            raise ValueError(
                f"--only: {', '.join(needed)} reads the results of all others; run without --only"
            )
        chapters = [chapter for chapter in chapters if chapter.number in wanted]
    return chapters


def _import_images(options: Namespace) -> str:
    """Import a folder of images and return its name as a data set. Raises ValueError, OSError."""
    if not Path(options.dataset).is_dir():
        known = ", ".join(("auto", *datasets.DATASETS))
        raise ValueError(f"--dataset: {options.dataset!r} is none of {known}, and no folder")
    if options.only:
        raise ValueError("--only chooses from the series; a report on a folder is one notebook")
    if options.scheduler:
        raise ValueError("--scheduler: a cluster's workers have no copy of your own images")
    size = user_images.DEFAULT_SIDE if options.image_size is None else options.image_size
    return image_folder.import_folder(Path(options.dataset), size, options.unseen or ())
