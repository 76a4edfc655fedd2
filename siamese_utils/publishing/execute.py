"""Run one notebook with papermill, and believe nothing but its exception."""

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
from siamese_utils.publishing.worker_pool import end_with_parent

KERNEL = "python3"


class QuietKernelManager(AsyncKernelManager):
    """Starts kernels that end with this process, and whose own messages go to a file.

    In a terminal these would tear the display.
    """

    stderr_path = Path(os.devnull)
    exit_code: int | None = None  # of the last kernel that died by itself

    async def start_kernel(self, **arguments: Any) -> None:
        """Start the kernel with its standard error in the log."""
        with self.stderr_path.open("w") as file:
            await super().start_kernel(stderr=file, preexec_fn=end_with_parent, **arguments)

    async def is_alive(self) -> bool:
        """Return whether the kernel runs, and note how it ended."""
        alive = await super().is_alive()
        if not alive and self.provisioner:
            QuietKernelManager.exit_code = await self.provisioner.poll()
        return alive


class NotebookError(Exception):
    """A notebook failed: the message names it, its cell and the error."""


def check(chapter: Chapter, parameters: dict[str, Any]) -> None:
    """Raise ValueError where a notebook cannot run: no kernel, or a parameter it does not know.

    papermill itself would only warn of an unknown parameter, and run with the default.
    """
    try:
        KernelSpecManager().get_kernel_spec(KERNEL)
    except NoSuchKernel:
        raise ValueError(
            f"Jupyter has no kernel {KERNEL!r}; install it with: python -m ipykernel install --sys-prefix"
        ) from None
    known = papermill.inspect_notebook(_escape_braces(chapter.path))
    if unknown := sorted(set(parameters) - set(known)):
        raise ValueError(f"{chapter.path.name} has no parameter {', '.join(unknown)}")


def execute(
    chapter: Chapter,
    parameters: dict[str, Any],
    target: Path,
    cell_hours: float = settings.CELL_HOURS,
) -> None:
    """Run a notebook and write it with its outputs to `target`.

    cell_hours: how long a cell may take. Raises NotebookError where one fails or takes longer, or
    the kernel dies.
    """
    for name in ("papermill", "asyncio"):  # the exception says it; after Ctrl-C theirs is noise
        logging.getLogger(name).setLevel(logging.CRITICAL)
    QuietKernelManager.stderr_path = target.with_suffix(".log")
    started = [0]
    try:
        notebook = _run(chapter, parameters, target, cell_hours, started)
    except PapermillExecutionError as error:
        raise _failure(chapter, error.cell_index, error.ename, error.evalue) from error
    except (DeadKernelError, CellTimeoutError) as error:
        raise _failure(
            chapter, started[-1], "stopped", _describe_death(error, cell_hours)
        ) from error
    except RuntimeError as error:
        said = QuietKernelManager.stderr_path.read_text(errors="replace").split("\n")
        reason = " ".join([str(error).splitlines()[0], *said[-2:-1]])
        raise NotebookError(f"{chapter.path.name}: the kernel did not start: {reason}") from error
    _check_no_errors(chapter, notebook)
    _normalise(notebook, target)


def _run(
    chapter: Chapter,
    parameters: dict[str, Any],
    target: Path,
    cell_hours: float,
    started: list[int],
) -> nbformat.NotebookNode:
    """Run a notebook, and add the index of each cell that begins to `started`."""
    return papermill.execute_notebook(
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


def _describe_death(error: DeadKernelError | CellTimeoutError, cell_hours: float) -> str:
    """Return why a kernel stopped, and how to go on."""
    again = "finished trainings are kept, run again"
    if isinstance(error, CellTimeoutError):
        return f"the cell took more than {cell_hours:g} hours, see --cell-hours; {again}"
    code = QuietKernelManager.exit_code
    if code == -signal.SIGKILL:
        return f"the kernel was killed, as a system does that is short of memory; {again}"
    how = f"by {signal.Signals(-code).name}" if code and code < 0 else f"with status {code}"
    return f"the kernel ended {how}; {again}"


def _escape_braces(path: Path) -> str:
    """Return a path for papermill, which takes braces for a parameter's place."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _check_no_errors(chapter: Chapter, notebook: nbformat.NotebookNode) -> None:
    """Refuse what papermill tolerates, such as sys.exit(0) in the middle of a notebook."""
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            if output.output_type == "error":
                raise _failure(chapter, index, output.ename, output.evalue)


def _failure(chapter: Chapter, index: int, name: str, value: str) -> NotebookError:
    """Name the cell by its place in the source, where papermill's added cell is not."""
    source = nbformat.read(chapter.path, as_version=4).cells
    tagged = [i for i, cell in enumerate(source) if "parameters" in cell.metadata.get("tags", ())]
    number = index if tagged and index > tagged[0] else index + 1
    return NotebookError(f"{chapter.path.name}, cell {number}: {name}: {value}")


def _normalise(notebook: nbformat.NotebookNode, target: Path) -> None:
    """Give the cell that papermill adds a fixed id, and drop times and paths of this machine.

    The same run makes the same file.
    """
    notebook.metadata.pop("papermill", None)
    for number, cell in enumerate(notebook.cells):
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
        if "injected-parameters" in cell.metadata.get("tags", ()):
            cell.id = f"injected-{number}"
    nbformat.write(notebook, target)
