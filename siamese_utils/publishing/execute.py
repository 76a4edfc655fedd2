"""Execution of one notebook with papermill."""

import logging
import os
import signal
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

from siamese_utils import settings
from siamese_utils.publishing.chapters import Chapter
from siamese_utils.training.worker_pool import end_with_parent

KERNEL = "python3"


class QuietKernelManager(AsyncKernelManager):
    """Kernel manager whose kernels end with this process and write their messages to a file.

    In a terminal, the messages would disturb the display.

    Attributes:
        stderr_path: File for the standard error of the kernels.
        exit_code: Exit code of the last kernel that died by itself; negative for a signal.
    """

    stderr_path = Path(os.devnull)
    exit_code: int | None = None

    async def start_kernel(self, **arguments: Any) -> None:
        """Start the kernel with its standard error in `stderr_path`."""
        with self.stderr_path.open("w") as file:
            await super().start_kernel(stderr=file, preexec_fn=end_with_parent, **arguments)

    async def is_alive(self) -> bool:
        """Return whether the kernel runs; if not, store its exit code."""
        alive = await super().is_alive()
        if not alive and self.provisioner:
            QuietKernelManager.exit_code = await self.provisioner.poll()
        return alive


class NotebookError(Exception):
    """A notebook failed; the message names the notebook, the cell and the error."""


def check(chapter: Chapter, parameters: dict[str, Any]) -> None:
    """Check that a notebook can run with these parameters.

    papermill itself would only warn of an unknown parameter and run with the default.

    Raises:
        ValueError: Jupyter has no Python kernel, or the notebook lacks one of the parameters.
    """
    try:
        KernelSpecManager().get_kernel_spec(KERNEL)
    except NoSuchKernel:
        raise ValueError(
            f"Jupyter has no kernel {KERNEL!r}; install it with: python -m ipykernel install --sys-prefix"
        ) from None
    known = papermill.inspect_notebook(_escape_braces(chapter.path))
    if unknown := sorted(set(parameters) - set(known)):
        names = f"no parameter {', '.join(unknown)}; its parameters are {', '.join(known)}"
        raise ValueError(f"{chapter.path.name} has {names}")


def execute(
    chapter: Chapter,
    parameters: dict[str, Any],
    target: Path,
    cell_hours: float = settings.CELL_HOURS,
) -> None:
    """Execute a notebook and write it with its outputs.

    Args:
        chapter: The notebook.
        parameters: Values of its parameters.
        target: File to write.
        cell_hours: Longest duration of a cell, in hours.

    Raises:
        NotebookError: A cell fails or takes too long, or the kernel dies.
    """
    # The exceptions have all that is needed, and after Ctrl-C these loggers report errors of their
    # own making.
    for name in ("papermill", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    QuietKernelManager.stderr_path = target.with_suffix(".log")
    started = [0]  # indices of the cells that began
    try:
        notebook = papermill.execute_notebook(
            _escape_braces(chapter.path),
            _escape_braces(target),
            parameters=parameters,
            kernel_name=KERNEL,
            cwd=str(chapter.path.parent),
            progress_bar=False,
            log_output=False,
            execution_timeout=max(1, round(3600 * cell_hours)),
            kernel_manager_class=QuietKernelManager,
            on_cell_start=lambda cell, cell_index: started.append(cell_index),
        )
    except PapermillExecutionError as error:
        raise _cell_error(chapter, error.cell_index, error.ename, error.evalue) from error
    except (DeadKernelError, CellTimeoutError) as error:
        reason = _describe_death(error, cell_hours)
        raise _cell_error(chapter, started[-1], "stopped", reason) from error
    except RuntimeError as error:
        log = QuietKernelManager.stderr_path.read_text(errors="replace").split("\n")
        reason = " ".join([str(error).splitlines()[0], *log[-2:-1]])
        raise NotebookError(f"{chapter.path.name}: the kernel did not start: {reason}") from error
    _check_no_errors(chapter, notebook)
    _normalise(notebook, target)


def _describe_death(error: DeadKernelError | CellTimeoutError, cell_hours: float) -> str:
    """Return why a kernel stopped, and what to do."""
    again = "finished training runs are cached; run again"
    if isinstance(error, CellTimeoutError):
        return f"the cell took more than {cell_hours:g} hours, see --cell-hours; {again}"
    code = QuietKernelManager.exit_code
    if code == -signal.SIGKILL:
        return f"the kernel was killed, probably for lack of memory; {again}"
    how = f"by {signal.Signals(-code).name}" if code and code < 0 else f"with status {code}"
    return f"the kernel ended {how}; {again}"


def _escape_braces(path: Path) -> str:
    """Return a path for papermill, which would format the braces in it."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _check_no_errors(chapter: Chapter, notebook: nbformat.NotebookNode) -> None:
    """Raise NotebookError for errors that papermill ignores, such as sys.exit(0) in a cell."""
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            if output.output_type == "error":
                raise _cell_error(chapter, index, output.ename, output.evalue)


def _cell_error(chapter: Chapter, index: int, name: str, value: str) -> NotebookError:
    """Return an error with the cell's number in the source, which lacks papermill's added cell."""
    source = nbformat.read(chapter.path, as_version=4).cells
    tagged = [i for i, cell in enumerate(source) if "parameters" in cell.metadata.get("tags", ())]
    number = index if tagged and index > tagged[0] else index + 1
    return NotebookError(f"{chapter.path.name}, cell {number}: {name}: {value}")


def _normalise(notebook: nbformat.NotebookNode, target: Path) -> None:
    """Write a notebook without times, paths and random ids, so that equal runs give equal files."""
    notebook.metadata.pop("papermill", None)
    for number, cell in enumerate(notebook.cells):
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
        if "injected-parameters" in cell.metadata.get("tags", ()):
            cell.id = f"injected-{number}"
    nbformat.write(notebook, target)
