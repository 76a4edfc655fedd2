"""Run all notebooks in order and render the report. See `python run_all.py --help`."""

from __future__ import annotations

import argparse
import os
import sys
import webbrowser
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from siamese_utils import cli_utils, settings
from siamese_utils.cli_utils import OneLineParser, exit_with
from siamese_utils.data import user_images

if TYPE_CHECKING:
    from siamese_utils.publishing.run_options import RunOptions

# What takes seconds to load is loaded by the functions that need it: --help and a mistyped option do
# not wait for it, nor do processes that train, each of which loads this file too.

NAME = "run_all.py"


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; a mistake ends with exit 2."""
    parser = OneLineParser(prog=NAME, description=__doc__.split(" See")[0], allow_abbrev=False)
    parser.add_argument(
        "--profile",
        choices=settings.PROFILES,
        default="full",
        help="full (default): 20 epochs on all images, one and a half to four hours on two cores; quick: 3 epochs on "
        "a part of the images, three to eight minutes; smoke: as little as possible, to test the software",
    )
    parser.add_argument(
        "--dataset",
        default="auto",
        metavar="NAME",
        help="fashion-mnist; digits; auto (default): fashion-mnist, or digits if the download fails; or a "
        "folder of your own images, with a subfolder for each class, for a report on these",
    )
    parser.add_argument(
        "--image-size",
        type=int,
        metavar="N",
        help=f"resize your own images to N x N pixels, at most {user_images.MAX_ENSEMBLE_SIDE} (default "
        f"{user_images.DEFAULT_SIDE})",
    )
    parser.add_argument(
        "--unseen",
        nargs="+",
        metavar="CLASS",
        help="classes of your own images to exclude from training (default: a random 40 %%)",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NN",
        help="run only these notebooks, such as 03 05",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        metavar="N",
        help="repetitions with different random seeds (default: full 3, quick 2)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder of the report (default: reports; reports/quick with --profile quick, reports/partial "
        "with --only, reports/own for your own images)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=min(2, os.cpu_count() or 1),
        metavar="N",
        help="train in N processes, which share the cores (default: 2, or 1 if there is one core)",
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
        default=settings.CELL_HOURS,
        metavar="H",
        help=f"stop if a notebook cell takes more than H hours (default {settings.CELL_HOURS:g})",
    )
    parser.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        help="arithmetic of training (default auto: bfloat16 if it is faster here, otherwise float32)",
    )
    parser.add_argument("--no-pdf", action="store_true", help="make HTML pages, but no PDF")
    parser.add_argument(
        "--fresh", action="store_true", help="ignore cached training runs, and train again"
    )
    parser.add_argument(
        "--list",
        action="store_true",
        help="list the planned training runs and their time, without training",
    )
    parser.add_argument("--open", action="store_true", help="open the report when it is done")
    return parser.parse_args(arguments)


class PatientConsole(Console):
    """A console that ignores a closed pipe, as behind `| head -1`: the run goes on."""

    def on_broken_pipe(self) -> None:
        """Print nothing more; by default, the process would exit."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: list[str]) -> int:
    """Make the report that the command line asks for, and return the exit status."""
    try:
        return run(parse(arguments))
    except KeyboardInterrupt:
        return exit_with(NAME, 130, "stopped before any work")


def run(arguments: argparse.Namespace) -> int:
    """Check the options, make the report, and return the exit status."""
    from siamese_utils.data.datasets import DataError
    from siamese_utils.publishing import build, publish, run_options

    with ExitStack() as held:
        try:
            options = run_options.from_command_line(arguments)
            if arguments.list:
                print(build.describe_plan(options))
                return 0
            held.enter_context(publish.lock_output(options.output))
            build.check(options)
        except RecursionError:
            return exit_with(NAME, 2, "error: a folder lies too deep")
        except (ValueError, OSError, RuntimeError, DataError) as error:
            # A RuntimeError comes from a loop of symbolic links.
            return exit_with(NAME, 2, f"error: {error}")
        return make_report(options, arguments.open)


def make_report(options: RunOptions, with_browser: bool) -> int:
    """Make a report with checked options, and return the exit status."""
    from siamese_utils.publishing import build
    from siamese_utils.publishing.notebook_runner import NotebooksFailedError
    from siamese_utils.publishing.parallel_training import WorkersLostError
    from siamese_utils.publishing.pdf import PdfError
    from siamese_utils.training.trainer import TrainingDivergedError

    console = PatientConsole()
    try:
        failed = build.build(options, console)
    except NotebooksFailedError as error:
        return max(exit_with(NAME, 1, failure) for failure in error.failures)
    except (PdfError, WorkersLostError, TrainingDivergedError, OSError) as error:
        return exit_with(NAME, 1, str(error))
    except KeyboardInterrupt:
        return exit_with(NAME, 130, "stopped; finished trainings are kept, the old report stands")
    page = options.output / options.chapters[0].page
    if not (with_browser and webbrowser.open(page.resolve().as_uri())):
        console.print(f"Open {page}", highlight=False, soft_wrap=True)
    if failed:
        links = ", ".join(str(options.output / check.link) for check in failed)
        return exit_with(NAME, 1, f"{len(failed)} check{'s' * (len(failed) > 1)} failed: {links}")
    return 0


if __name__ == "__main__":
    cli_utils.open_streams()
    cli_utils.handle_signals()
    sys.exit(main(sys.argv[1:]))
