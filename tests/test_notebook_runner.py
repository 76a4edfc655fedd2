"""Notebooks of a report, several at a time: in their order, with results of their own, once."""

import io
from concurrent.futures import Future
from contextlib import contextmanager, redirect_stdout

import nbformat
import numpy as np
import pytest
from nbformat import v4

from siamese_utils import settings
from siamese_utils.publishing import chapters, execute, notebook_runner
from siamese_utils.publishing.chapters import SUMMARY, Chapter
from siamese_utils.publishing.execute import NotebookError
from siamese_utils.publishing.notebook_runner import NotebookJob, NotebooksFailedError
from siamese_utils.training import cache, replication, worker_pool

WRITES = """
import numpy as np
from siamese_utils import settings
from siamese_utils.training import cache
rows = ["by,value", "all,0.1", "{name},0.30000000000000004", ""]
(settings.results_dir() / "rows.csv").write_text(chr(10).join(rows))
cache.cached({{"shared": 1}}, [], lambda: {{"values": np.arange(3)}})
print("{name}", file=open({ran!r}, "a"))
"""
READS = """
from siamese_utils import settings
print("summary", file=open({ran!r}, "a"))
rows = (settings.published_results_dir() / "rows.csv").read_text()
(settings.results_dir() / "summary.json").write_text(str(len(rows.splitlines())))
print(rows)
"""


@contextmanager
def no_pool(*_, **__):
    """Yield a pool that runs everything in this process, whose imports are done."""

    class ThisProcess:
        def submit(self, work, job):
            future = Future()
            try:
                future.set_result(work(job))
            except NotebookError as error:
                future.set_exception(error)
            return future

    yield ThisProcess()


def no_kernel(chapter, parameters, target, _):
    """Execute a notebook in this process: which one is run again does not depend on how."""
    notebook, scope = nbformat.read(chapter.path, as_version=4), {}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            try:
                with redirect_stdout(io.StringIO()) as printed:
                    exec(cell.source, scope)
            except ZeroDivisionError as error:
                raise NotebookError(f"{chapter.path.name}: {error}") from error
            cell.outputs = [v4.new_output("stream", text=printed.getvalue())]
    nbformat.write(notebook, target)


@pytest.fixture(autouse=True)
def one_process(request, monkeypatch):
    if "processes" not in request.keywords:
        monkeypatch.setattr(worker_pool, "process_pool", no_pool)
        monkeypatch.setattr(execute, "execute", no_kernel)
    for name in (settings.RESULTS_VARIABLE, settings.REPORT_RESULTS_VARIABLE):
        monkeypatch.setenv(name, "")  # a notebook's process has them for itself


@pytest.fixture
def make_jobs(tmp_path, store, monkeypatch):
    """Return a function that makes the jobs to run two notebooks and a summary once more."""
    source = tmp_path / "notebooks"
    source.mkdir()
    monkeypatch.setattr(settings, "NOTEBOOKS", source)
    ran = tmp_path / "ran"

    def write(name, code):
        spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        cells = [
            v4.new_markdown_cell("# T\n\n*Q?*"),
            v4.new_code_cell("profile = 'quick'", metadata={"tags": ["parameters"]}),
            v4.new_code_cell(code.format(name=name, ran=str(ran))),
        ]
        for number, cell in enumerate(cells):
            cell.id = f"{name}-{number}"
        path = source / f"{name}.ipynb"
        nbformat.write(v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), path)

    write("01-a", WRITES)
    write("02-b", WRITES)
    write(SUMMARY, READS)

    def make(number, profile="full", data="digest", names=("01-a", "02-b", SUMMARY)):
        folder = tmp_path / f"run {number}"
        return [
            NotebookJob(
                Chapter(source / f"{name}.ipynb", "T", "Q?", reads_results=name == SUMMARY),
                {"profile": profile},
                data,
                folder / "work" / name,
                folder / "results",
                {},
                cell_hours=1,
            )
            for name in names
        ]

    make.ran, make.write = ran, write
    return make


def run(jobs):
    """Run jobs; return the pages, the texts of the results, and which notebooks were unchanged."""
    remarks = []
    bodies = notebook_runner.run(jobs, lambda name, remark: remarks.append((name, remark)))
    files = {p.name: p.read_text() for p in jobs[0].merged_results.iterdir()}
    assert remarks[-1][0] == SUMMARY
    assert sorted(remarks) == sorted(dict(remarks).items())  # each once
    html = {job.chapter.name: bodies[job.chapter.name].html for job in jobs}
    return html, files, [dict(remarks)[name] == "unchanged" for name in html]


def test_the_summary_and_the_last_chapter_read_the_results_of_others():
    readers = [chapter.name for chapter in chapters.list_chapters() if chapter.reads_results]
    assert readers == [SUMMARY, "12-how-it-was-made"]


@pytest.mark.processes
@pytest.mark.slow
def test_the_summary_reads_the_merged_results_of_all_others(make_jobs):
    first = run(make_jobs(1))
    _, files, unchanged = first
    assert unchanged == [False] * 3
    assert (
        files["rows.csv"]
        == "by,value\nall,0.1\n01-a,0.30000000000000004\n02-b,0.30000000000000004\n"
    )
    assert files["summary.json"] == "4"
    assert set(files) == {"rows.csv", "summary.json"}
    assert make_jobs.ran.read_text().splitlines()[-1] == "summary"
    make_jobs.ran.unlink()
    # nothing has changed: nothing is run again, and all is the same
    assert run(make_jobs(2)) == (*first[:2], [True] * 3)
    assert not make_jobs.ran.exists()


def test_a_changed_notebook_and_the_summary_are_run_again(make_jobs):
    run(make_jobs(1))
    make_jobs.write("02-b", WRITES.replace("0.30000000000000004", "0.4"))
    _, files, unchanged = run(make_jobs(2))
    assert unchanged == [True, False, False]
    assert "02-b,0.4" in files["rows.csv"]
    assert run(make_jobs(3))[2] == [True] * 3  # the new copy is as good as the old one was


@pytest.mark.parametrize("change", [{"profile": "quick"}, {"data": "another"}])
def test_other_parameters_or_images_run_everything_again(make_jobs, change):
    run(make_jobs(1))
    assert run(make_jobs(2, **change))[2] == [False] * 3


def test_a_changed_package_runs_everything_again(make_jobs, monkeypatch, tmp_path):
    jobs = make_jobs(1)
    before = notebook_runner._dependencies(jobs[0])
    copy = tmp_path / "package"
    for path in notebook_runner.PACKAGE.rglob("*.py"):
        target = copy / path.relative_to(notebook_runner.PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    monkeypatch.setattr(notebook_runner, "PACKAGE", copy)
    assert notebook_runner._dependencies(jobs[0]) == before
    with (copy / "publishing" / "pdf.py").open("a") as file:
        file.write("# how it is rendered changes no notebook\n")
    assert notebook_runner._dependencies(jobs[0]) == before
    with (copy / "reporting" / "plots.py").open("a") as file:
        file.write("# this may\n")
    assert notebook_runner._dependencies(jobs[0]) != before


def test_a_page_that_cites_the_report_depends_on_the_citation_file(
    make_jobs, monkeypatch, tmp_path
):
    [job] = [job for job in make_jobs(1) if job.chapter.name == SUMMARY]
    job.merged_results.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(settings, "CITATION", tmp_path / "CITATION.cff")
    digests = []
    for text in ("title: A", "title: B"):
        settings.CITATION.write_text(text)
        digests.append(notebook_runner._dependencies(job))
    assert digests[0] != digests[1]


def test_a_page_depends_on_the_runs_of_the_studys_protocol(make_jobs, monkeypatch, tmp_path):
    job = make_jobs(1)[0]
    monkeypatch.setattr(replication, "FOLDER", tmp_path / "replication")
    replication.FOLDER.mkdir()
    digests = [notebook_runner._dependencies(job)]
    (replication.FOLDER / "table-2-seen.json").write_text("{}", encoding="utf-8")
    digests.append(notebook_runner._dependencies(job))
    assert digests[0] != digests[1]


def test_the_longest_notebooks_start_first_and_none_is_lost(make_jobs):
    names = ("01-a", "08-baselines", "02-b", "09-new-classes")
    started = notebook_runner._longest_first(make_jobs(1, names=names))
    assert [job.chapter.name for job in started] == [
        "09-new-classes",
        "08-baselines",
        "01-a",
        "02-b",
    ]
    folder = settings.ROOT / "notebooks"
    assert all((folder / f"{name}.ipynb").exists() for name in notebook_runner.LONGEST_FIRST)


def test_a_notebook_depends_on_the_cached_files_it_used(make_jobs):
    run(make_jobs(1))
    key = cache.make_key({"shared": 1}, [])
    assert cache.contains(key)
    cache.save_arrays(key, {"values": np.arange(4)})  # trained again, on another machine
    assert run(make_jobs(2))[2] == [False, False, True]  # these wrote the same as before
    cache.path_of(key).unlink()
    assert run(make_jobs(3))[2][:2] == [False, False]


@pytest.mark.fault("a bit of a kept notebook is flipped", "the notebook is run again")
def test_a_damaged_copy_is_not_used(make_jobs):
    run(make_jobs(1))
    path = cache.path_of(notebook_runner._key_of(make_jobs(2)[0]))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert run(make_jobs(2))[2] == [False, True, True]


def test_fresh_runs_everything_again(make_jobs, monkeypatch):
    run(make_jobs(1))
    newest = max(path.stat().st_mtime for path in settings.cache_dir().iterdir())
    monkeypatch.setenv(settings.FRESH_VARIABLE, str(newest + 0.01))
    assert run(make_jobs(2))[2] == [False] * 3


@pytest.mark.fault("two notebooks fail", "the others run and are kept; both failures are named")
def test_a_failing_notebook_does_not_stop_the_others(make_jobs):
    make_jobs.write("01-a", "1 / 0")
    make_jobs.write("03-c", "{{}}[0] if 0 else 0 / 0")
    remarks = []
    with pytest.raises(NotebooksFailedError) as caught:
        notebook_runner.run(
            make_jobs(1, names=("01-a", "02-b", "03-c", SUMMARY)),
            lambda *remark: remarks.append(remark),
        )
    assert caught.value.failures == [
        "01-a.ipynb: division by zero",
        "03-c.ipynb: division by zero",
    ]
    assert ("02-b", "") in remarks
    assert (SUMMARY, "not run: reads the others' results") in remarks
    make_jobs.write("01-a", WRITES)
    make_jobs.write("03-c", WRITES)
    assert run(make_jobs(2))[2] == [False, True, False]  # 02-b was cached


@pytest.mark.processes
@pytest.mark.fault("kill -9 of a notebook's process", "one line says so; the others run")
@pytest.mark.slow
def test_a_failing_notebook_and_a_killed_process_are_both_named(make_jobs):
    make_jobs.write("01-a", "1 / 0")
    make_jobs.write("02-b", "import os, signal; os.kill(os.getppid(), signal.SIGKILL)")
    make_jobs.write("03-c", WRITES)
    remarks = []
    with pytest.raises(NotebooksFailedError) as caught:
        notebook_runner.run(
            make_jobs(1, names=("01-a", "02-b", "03-c")), lambda *remark: remarks.append(remark)
        )
    first, second = caught.value.failures
    assert first.startswith("01-a.ipynb, cell 3: ZeroDivisionError")
    assert second == "02-b.ipynb: its process was killed; is memory short?"
    assert ("03-c", "") in remarks
