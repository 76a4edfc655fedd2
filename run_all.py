"""Run all notebooks in order and render the report. `python run_all.py --help` says how."""

import argparse
import os
import sys
import webbrowser
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from siamese_utils import settings, terminal
from siamese_utils.images import adopted, own, sources
from siamese_utils.images.sources import DataError
from siamese_utils.learning.training import TrainingDivergedError
from siamese_utils.report import build, publish, series
from siamese_utils.report.ahead import WorkersLostError
from siamese_utils.report.execute import CELL_HOURS, NotebookError
from siamese_utils.report.pdf import PdfError
from siamese_utils.report.series import Chapter
from siamese_utils.terminal import Parser, end

NAME = "run_all.py"
MOST_HOURS = 1000  # that a cell may take


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; a mistake ends with exit 2."""
    parser = Parser(prog=NAME, description=__doc__.split("`")[0], allow_abbrev=False)
    parser.add_argument(
        "--profile",
        choices=settings.PROFILES,
        default="full",
        help="full: 20 epochs on all images, two to four hours; quick: 3 epochs on a part, some eight minutes",
    )
    parser.add_argument(
        "--dataset",
        default="auto",
        metavar="NAME",
        help="fashion-mnist; digits; auto: the former, or the latter where it cannot be had; or a "
        "folder of your own images, with a subfolder for each class, for a report on these",
    )
    parser.add_argument(
        "--image-size",
        type=int,
        metavar="N",
        help=f"pixels of a side, to which your own images are brought ({own.SIDE})",
    )
    parser.add_argument(
        "--unseen",
        nargs="+",
        metavar="CLASS",
        help="of your own images, the classes that nothing is trained on (four tenths, drawn)",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NN",
        help="run just these notebooks, such as 03 05, into their own report",
    )
    parser.add_argument(
        "--seeds", type=int, metavar="N", help="repetitions of the first study (full: 3, quick: 2)"
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="where the report goes (reports)"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=min(2, os.cpu_count() or 1),
        metavar="N",
        help="train in N processes, which share the cores (2, or 1 where there is one core)",
    )
    parser.add_argument(
        "--scheduler",
        default="",
        metavar="ADDRESS",
        help="train on the workers of a Dask scheduler, such as tcp://host:8786",
    )
    parser.add_argument(
        "--cell-hours",
        type=float,
        default=CELL_HOURS,
        metavar="H",
        help=f"end where a cell takes longer ({CELL_HOURS:g})",
    )
    parser.add_argument("--no-pdf", action="store_true", help="make the pages alone")
    parser.add_argument("--fresh", action="store_true", help="train anew what the store has")
    parser.add_argument(
        "--list",
        action="store_true",
        help="say what would be trained, and how long, and train nothing",
    )
    parser.add_argument("--open", action="store_true", help="open the report when it is done")
    return parser.parse_args(arguments)


def make_order(options: argparse.Namespace) -> build.Order:
    """Turn options into an order; a folder of images is read. Raises ValueError, OSError, DataError."""
    if options.workers < 1:
        raise ValueError(f"--workers must be 1 or more, not {options.workers}")
    if not 0 < options.cell_hours <= MOST_HOURS:  # neither is what is no number
        raise ValueError(
            f"--cell-hours must be above 0 and {MOST_HOURS} at most, not {options.cell_hours:g}"
        )
    profile = settings.get_profile(options.profile, options.seeds)
    is_own = options.dataset not in ("auto", *sources.DATASETS)
    chapters = [series.own()] if is_own else choose_chapters(options)
    default = settings.REPORTS / ("own" if is_own else "partial" if options.only else "")
    return build.Order(
        profile=profile,
        dataset=adopt(options) if is_own else options.dataset,
        chapters=chapters,
        is_part=is_own or bool(options.only),
        # absolute: papermill changes folder while it works
        output=(options.output or default).resolve(),
        with_pdf=not options.no_pdf,
        fresh=options.fresh,
        workers=options.workers,
        cell_hours=options.cell_hours,
        scheduler=options.scheduler,
    )


def choose_chapters(options: argparse.Namespace) -> list[Chapter]:
    """Return the notebooks of the series that the options ask for. Raises ValueError."""
    if options.image_size is not None or options.unseen:
        raise ValueError("--image-size and --unseen are for --dataset FOLDER, your own images")
    chapters = series.chapters()
    if options.only:
        numbers = [chapter.number for chapter in chapters]
        wanted = {number.zfill(2) for number in options.only}
        if unknown := sorted(wanted - set(numbers)):
            raise ValueError(
                f"--only: no notebook {', '.join(unknown)}; there are {', '.join(numbers)}"
            )
        if needy := sorted(wanted & {name[:2] for name in series.READERS}):
            raise ValueError(
                f"--only: {', '.join(needy)} reads what all others find; run without --only"
            )
        chapters = [chapter for chapter in chapters if chapter.number in wanted]
    return chapters


def adopt(options: argparse.Namespace) -> str:
    """Read a folder of images and return its name as a data set. Raises ValueError, OSError."""
    if not Path(options.dataset).is_dir():
        known = ", ".join(("auto", *sources.DATASETS))
        raise ValueError(f"--dataset: {options.dataset!r} is none of {known}, and no folder")
    if options.only:
        raise ValueError("--only chooses from the series; a report on a folder is one notebook")
    if options.scheduler:
        raise ValueError("--scheduler: a cluster's workers have no copy of your own images")
    size = own.SIDE if options.image_size is None else options.image_size
    return adopted.adopt(Path(options.dataset), size, options.unseen or ())


class PatientConsole(Console):
    """Goes on in silence when nobody listens any more, as behind `| head -1`."""

    def on_broken_pipe(self) -> None:
        """Let the run go on; by default it would end."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: list[str]) -> int:
    """Do what the command line says and return the exit status."""
    with ExitStack() as held:
        try:
            options = parse(arguments)
            order = make_order(options)
            if options.list:
                print(build.describe_plan(order))
                return 0
            held.enter_context(publish.alone_in(order.output))
            # what is asked for can be done and is there, before any work
            build.check(order)
            order = replace(order, dataset=order.plan.dataset)
        except RecursionError:
            return end(NAME, 2, "error: a folder lies too deep")
        except (ValueError, OSError, RuntimeError, DataError) as error:  # a loop of links is one
            return end(NAME, 2, f"error: {error}")
        except KeyboardInterrupt:
            return end(NAME, 130, "stopped before any work")
        return make(order, options.open)


def make(order: build.Order, with_browser: bool) -> int:
    """Carry a checked order out and return the exit status."""
    console = PatientConsole()
    try:
        page = build.build(order, console)
    except (NotebookError, PdfError, WorkersLostError, TrainingDivergedError, OSError) as error:
        return end(NAME, 1, str(error))
    except KeyboardInterrupt:
        return end(NAME, 130, "stopped; finished trainings are kept, the old report stands")
    if not (with_browser and webbrowser.open(page.resolve().as_uri())):
        console.print(f"Open {page}", highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    terminal.open_streams()
    terminal.heed_signals()
    sys.exit(main(sys.argv[1:]))
