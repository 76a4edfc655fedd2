import asyncio
import contextlib
import gc
import io
import json
import re
import signal
import threading
import time
from dataclasses import replace

import nbformat
import papermill
import pytest
from bs4 import BeautifulSoup
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbconvert.exporters import get_exporter
from nbformat import v4
from papermill.exceptions import PapermillExecutionError
from rich.console import Console

from siamese_utils import settings
from siamese_utils.publishing import execute, html, pdf, publish, status
from siamese_utils.publishing.chapters import Chapter
from siamese_utils.publishing.status import Status, format_seconds

FACTS = {"profile": "quick", "dataset": "digits", "seeds": 1, "versions": {"tensorflow": "2.21.0"}}


@pytest.fixture
def make_chapter(tmp_path):
    """Return a function that writes a notebook of these cells and returns its chapter."""

    def make(*cells, name="07-sample", tags=()):
        title = v4.new_markdown_cell("# A title\n\n*A question?*")
        body = [v4.new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
        for cell, names in zip(body, tags, strict=False):
            cell.metadata["tags"] = list(names)
        path = tmp_path / f"{name}.ipynb"
        spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(v4.new_notebook(cells=[title, *body], metadata={"kernelspec": spec}), path)
        return Chapter(path, "A title", "A question?")

    return make


def run(chapter, tmp_path, **parameters):
    target = tmp_path / "executed.ipynb"
    execute.execute(chapter, parameters, target)
    return nbformat.read(target, as_version=4)


SAMPLE = """
import pandas as pd
from siamese_utils.evaluation.intervals import Interval
from siamese_utils.reporting import plots, show
up = pd.DataFrame({"subplot": "", "series": "up", "x": [0, 1], "y": [1, 2]})
show.figure(plots.lines, up, "A line & more.", alt="It rises from 1 to 2.")
figure = Interval(1.5, 1.4, 1.6, 3, "%")
show.table(pd.DataFrame({"word": ["a < b"], "figure": [figure]}), "A small table.")
show.table(pd.DataFrame({"to": [show.LinkCell("base", "03-base-model.ipynb#claim-1a")]}), "A link.")
"""


def test_a_page_has_all_and_loads_nothing(make_chapter, tmp_path):
    text = v4.new_markdown_cell("## A section\n\nMath: $D = p\\,m$, and\n\n$$L = \\tfrac12 D^2$$")
    answer = 'from siamese_utils.reporting import show; show.text("**Yes**, it is so.")'
    chapter = make_chapter(text, SAMPLE, answer, tags=[(), (), ("answer",)])
    body = html.render_body(
        chapter, run(chapter, tmp_path), {"03-base-model": "03-base-model.html"}
    )
    [path] = html.render_pages([body], tmp_path, FACTS, "Mind the gap.", True)
    page = path.read_text()
    content = page[page.index("<main") :]
    assert content.index("it is so") < content.index("A section") < content.index("<figure")
    assert "show.text" not in page  # the code of the answer
    assert 'aria-label="It rises from 1 to 2."' in page
    assert "var(--fig-blue)" in page
    assert 'href="figures/figure-7-1.svg"' in page
    assert 'href="figures/figure-7-1.csv"' in page
    assert (tmp_path / "figures/figure-7-1.svg").read_text().startswith("<svg")
    assert (tmp_path / "figures/figure-7-1.csv").read_text() == "series,x,y\nup,0,1\nup,1,2\n"
    assert "Figure 7.1. A line &amp; more." in page
    assert "Table 7.1. A small table." in page
    assert "Table 7.2. A link." in page
    assert "a &lt; b" in page
    assert '<td style="text-align:right">1.50 ± 0.10</td>' in page
    assert 'href="03-base-model.html#claim-1a"' in page
    assert page.count("<math") == 2
    assert "$" not in re.sub(r"<(style|script).*?</\1>", "", page, flags=re.DOTALL)
    assert "Mind the gap." in page
    assert 'href="#a-section"' in page
    assert 'id="a-section"' in page
    assert not re.search(r'(src|href)="(https?:)?//', page)
    assert "<script src" not in page


CHECKS = """
from siamese_utils.reporting import show
show.check("One is one", 1 == 1)
show.check("One is < two", False)
"""


def test_checks_can_be_linked_and_failed_ones_head_the_page(make_chapter, tmp_path):
    bodies = []
    for name in ("00-summary", "01-a", "02-b"):
        chapter = make_chapter(CHECKS if name == "01-a" else "1", name=name)
        bodies.append(html.render_body(chapter, run(chapter, tmp_path), {}))
    assert [vars(check) for check in bodies[1].checks] == [
        {"link": "01-a.html#check-1", "sentence": "One is one", "passed": True},
        {"link": "01-a.html#check-2", "sentence": "One is < two", "passed": False},
    ]
    assert html.failed_checks(bodies) == bodies[1].checks[1:]
    pages = html.render_pages(bodies, tmp_path, None, "", with_pdf=False)
    soups = [BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser") for page in pages]
    banners = [soup.select(".banner.failed") for soup in soups]
    assert [len(found) for found in banners] == [1, 1, 0]  # the summary, and the page itself
    for [banner] in banners[:2]:
        assert "1 check failed" in banner.text
        assert banner.a.text == "One is < two"
        assert banner.a["href"] == "01-a.html#check-2"
    assert soups[1].find(id="check-1").text == "✓ One is one."
    assert soups[1].find(id="check-2").text == "✗ Check failed: One is < two."


def test_what_others_put_into_a_notebook_is_shown_too(make_chapter, tmp_path):
    pictures = v4.new_markdown_cell("## Code\n\n| a |\n|---|\n| 1 |\n\n## Twice\n\n## Twice")
    frame = "import pandas as pd; pd.DataFrame({'a': [1]})"
    drawing = "from IPython.display import SVG; SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>')"
    plain = "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()"
    formula = "from IPython.display import Latex; Latex('$a_1$')"
    wide = "pd.DataFrame({'k': [1, 1], 'a': [1, 2]}).groupby('k').agg(['mean', 'max'])"
    cells = [pictures, frame, drawing, plain, formula, wide, SAMPLE]
    chapter = make_chapter(*cells)
    executed = run(chapter, tmp_path)
    failed = {"ename": "E", "evalue": "v", "traceback": ["\x1b[31mE\x1b[0m: it <failed>"]}
    executed.cells[3].outputs.append(v4.new_output("error", **failed))
    body = html.render_body(chapter, executed, {})
    soup = BeautifulSoup(body.html, "html.parser")
    assert soup.find("td", string="1")
    assert soup.find("svg", xmlns="http://www.w3.org/2000/svg")
    assert soup.select('img[src^="data:image/png;base64,iVBOR"]')
    assert soup.find("math")
    assert soup.find("pre", string="E: it <failed>")
    assert soup.find("th", colspan="2")
    [path] = html.render_pages([body], tmp_path, None, "", False)
    ids = re.findall(r'\sid="([^"]+)"', path.read_text())
    assert len(ids) == len(set(ids))
    assert [name for name, _ in body.headings] == ["code-1", "twice", "twice-2"]
    pdf.render_pdf([body], tmp_path, banner="", subtitle="")


@pytest.mark.fault("a link of a notebook would run code at a click", "it becomes text")
def test_a_link_that_would_run_code_becomes_text(make_chapter, tmp_path):
    links = ["javascript:alert(1)", " JavaScript:alert(1)", "java&#10;script:x", "vbscript:x",
             "data:text/html,x"]  # fmt: skip
    fine = ["https://example.org/a", "#here", "figures/a.svg", "mailto:a@example.org"]
    text = v4.new_markdown_cell("".join(f'<a href="{link}">words</a> ' for link in links + fine))
    body = html.render_body(make_chapter(text), run(make_chapter(text), tmp_path), {})
    soup = BeautifulSoup(body.html, "html.parser")
    assert [link["href"] for link in soup.find_all("a")] == fine
    assert body.html.count("words") == len(links + fine)


def test_words_are_linked_where_they_are_first_used(make_chapter, tmp_path):
    text = "The threshold, a tuned threshold. `margin` and *margins*, then a margin; [an AUC](#x)."
    chapter = make_chapter(v4.new_markdown_cell(f"## The embedding\n\n{text}\n\n- an AUC"))
    pages = {"00-summary": "index.html"}
    body = html.render_body(chapter, run(chapter, tmp_path), pages)
    terms = BeautifulSoup(body.html, "html.parser").select("a.term")
    assert [(term.text, term["href"]) for term in terms] == [
        ("threshold", "index.html#term-threshold"),
        ("tuned threshold", "index.html#term-tuned-threshold"),
        ("margins", "index.html#term-margin"),
        ("AUC", "index.html#term-auc"),
    ]
    assert terms[3]["data-meaning"].startswith("The area under the ROC curve")
    # Without a glossary among the pages, or with an older one, the words are text.
    [page] = html.render_pages([body], tmp_path, None, "", False)
    assert not BeautifulSoup(page.read_text(), "html.parser").select("a.term")
    plain = html.render_body(chapter, run(chapter, tmp_path), {})
    assert "a.term" not in plain.html
    assert (
        BeautifulSoup(body.html, "html.parser").text
        == BeautifulSoup(plain.html, "html.parser").text
    )


SOLVED = """
from siamese_utils.reporting import show
show.text("It is 2.")
"""
LIVE = """
import pandas as pd
from siamese_utils.publishing import html
from siamese_utils.reporting import plots, show
up = pd.DataFrame({"subplot": "", "series": "up", "x": [0, 1], "y": [1, 2]})
show.figure(plots.lines, up, "A line.", live={"kind": "thresholds", "task": "</script>", "colour": plots.BLUE})
show.table(pd.DataFrame({"n": range(html.MAX_OPEN_ROWS + 1)}), "A row too many.")
show.table(pd.DataFrame({"n": range(html.MAX_OPEN_ROWS)}), "As many rows as stay open.")
show.table(pd.DataFrame({"n": ["word"] * (html.MAX_OPEN_ROWS + 1)}), "As many words.")
"""


def test_an_answer_to_an_exercise_is_folded_with_its_code(make_chapter, tmp_path):
    chapter = make_chapter(SOLVED, tags=[("solution",)])
    body = html.render_body(chapter, run(chapter, tmp_path), {})
    [box] = BeautifulSoup(body.html, "html.parser").select("details.solution")
    assert box.summary.text == "Answer"
    assert box.select_one("p").text == "It is 2."
    assert box.select_one("details.code")
    assert "It is 2" not in " ".join(
        place.text for place in body.places
    )  # nor is it found by a search


def test_a_notebook_run_by_an_older_version_is_shown(make_chapter, tmp_path):
    chapter = make_chapter(SAMPLE)
    executed = run(chapter, tmp_path)
    for output in executed.cells[1].outputs:
        told = output.get("metadata", {}).get("image/svg+xml", {})
        for name in ("narrow", "live"):
            told.pop(name, None)
    body = html.render_body(chapter, executed, {})
    assert [drawing.narrow for drawing in body.drawings] == [""]


def test_what_can_be_handled_brings_its_script_and_long_tables_fold(make_chapter, tmp_path):
    chapter = make_chapter(LIVE)
    body = html.render_body(chapter, run(chapter, tmp_path), {})
    [path] = html.render_pages([body], tmp_path, None, "", False)
    soup = BeautifulSoup(path.read_text(), "html.parser")
    assert json.loads(soup.select_one("script.live-data").string)["task"] == "</script>"
    assert json.loads(soup.select_one("script.live-data").string)["colour"] == "var(--fig-blue)"
    assert "LIVE.thresholds" in soup.select("script")[-1].string
    assert "LIVE.epochs" not in soup.select("script")[-1].string
    wide, narrow = soup.select("figure svg.drawing")
    assert wide["aria-label"] == narrow["aria-label"]
    assert {"narrow"} == set(narrow["class"]) - set(wide["class"])
    [folded] = soup.select("details.folded")
    assert folded.summary.text == f"The {html.MAX_OPEN_ROWS + 1} rows"
    caption = folded.find_previous_sibling("p")
    assert caption.text.startswith("Table 7.1. A row too many.")
    for part in (".table", "table"):
        assert folded.select_one(part)["aria-labelledby"] == caption["id"] == "table-7-1"
    assert len(soup.select("table > caption")) == 2


def test_noise_of_tensorflow_is_left_out_and_nothing_else(make_chapter, tmp_path):
    noise = "WARNING:tensorflow:5 out of the last 9 calls"
    code = f"import sys; print('kept'); print({noise!r}); print({noise!r}, file=sys.stderr)"
    chapter = make_chapter(code, "import warnings; warnings.warn('a real warning')")
    body = html.render_body(chapter, run(chapter, tmp_path), {})
    outputs = [pre.text for pre in BeautifulSoup(body.html, "html.parser").select("pre.output")]
    assert outputs[0] == "kept\n"
    assert "a real warning" in outputs[1]
    assert len(outputs) == 2
    assert noise not in "".join(outputs)


def test_the_pdf_is_whole(make_chapter, tmp_path):
    sections = "## One\n\n[Below](#two): $$L = D^2$$\n\n## Two"  # a link to no label fails
    chapter = make_chapter(v4.new_markdown_cell(sections), SAMPLE)
    body = html.render_body(chapter, run(chapter, tmp_path), {})
    pdf.render_pdf([body], tmp_path, banner="", subtitle="quick")
    content = (tmp_path / "report.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    time.sleep(1.1)  # of a time stamp a second would show
    again = tmp_path / "again"
    again.mkdir()
    pdf.render_pdf([body], again, banner="", subtitle="quick")
    assert (again / "report.pdf").read_bytes() == content


def test_answers_and_code_stand_at_the_end_of_the_pdf(make_chapter, tmp_path, monkeypatch):
    code = v4.new_markdown_cell("```python\nmargin = 1\n```\n\n```python\nseeds = 2\n```")
    chapter = make_chapter(code, SOLVED, tags=[(), ("solution",)])
    body = html.render_body(chapter, run(chapter, tmp_path), {})
    typeset = []
    monkeypatch.setattr(pdf, "_typeset", lambda content, *_: typeset.append(content))
    pdf.render_pdf([body], tmp_path, "", "")
    soup = BeautifulSoup(typeset[0], "html.parser")
    titles = [heading.text for heading in soup.find_all(["h1", "h2", "h3"])]
    assert titles == [
        *["7  A title", "Answers to the exercises", "7  A title: exercise 1"],
        *["The code shown", "Listing 1", "Listing 2"],
    ]
    assert soup.text.index("Code at the end of this document: listing 1") < soup.text.index(
        "It is 2."
    )
    assert soup.find(id="listing-1").find_next("pre").text == "margin = 1"
    assert "show.text" not in soup.text


def test_a_page_with_citations_becomes_a_pdf(make_chapter, tmp_path):
    chapter = make_chapter(v4.new_markdown_cell("## One\n\nSee [@hou2019; @hadsell2006]."))
    body = html.render_body(chapter, run(chapter, tmp_path), {})
    assert ("references", "References") in body.headings
    other = replace(body, chapter=replace(chapter, path=tmp_path / "08-other.ipynb"))
    pdf.render_pdf([body, other], tmp_path, banner="", subtitle="quick")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF-")


def test_nbconvert_offers_both(make_chapter, tmp_path):
    chapter = make_chapter(SAMPLE, name="07-sample")
    nbformat.write(run(chapter, tmp_path), chapter.path)
    page, resources = get_exporter("siamese-html")().from_filename(str(chapter.path))
    assert "Figure 7.1." in page
    assert "figures/figure-7-1.svg" in resources["outputs"]
    document, _ = get_exporter("siamese-pdf")().from_filename(str(chapter.path))
    assert document.startswith(b"%PDF-")
    chapter.path.rename(tmp_path / "other.ipynb")
    with pytest.raises(ValueError, match="must begin with two digits"):
        get_exporter("siamese-html")().from_filename(str(tmp_path / "other.ipynb"))


def test_the_same_notebook_gives_the_same_page(make_chapter, tmp_path):
    chapter = make_chapter("parameter = 1", SAMPLE, tags=[("parameters",)])
    pages = []
    for _ in range(2):
        body = html.render_body(chapter, run(chapter, tmp_path, parameter=2), {})
        pages.append(html.render_pages([body], tmp_path, FACTS, "", False)[0].read_bytes())
    assert pages[0] == pages[1]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0", "cell 2: ZeroDivisionError: division by zero"),
        ("import sys; sys.exit(0)", "SystemExit"),
        ("input()", "cell 2: StdinNotImplementedError"),
        ("import os; os._exit(1)", "cell 2: stopped: the kernel ended with status 1"),
        ("import os; os.kill(os.getpid(), 9)", "cell 2: stopped: the kernel was killed"),
        ("import os; os.kill(os.getpid(), 11)", "cell 2: stopped: the kernel ended by SIGSEGV"),
    ],
)
@pytest.mark.fault(
    "a cell fails, exits or asks for input, or its kernel ends or is killed",
    "one line names notebook, cell and cause",
)
def test_a_failing_notebook_is_named_with_its_cell_and_error(make_chapter, tmp_path, code, message):
    chapter = make_chapter(code)
    with pytest.raises(execute.NotebookError, match=message) as caught:
        run(chapter, tmp_path)
    assert "07-sample.ipynb" in str(caught.value)


@pytest.mark.fault("a cell hangs", "one line names it, and the option that sets the limit")
def test_a_cell_that_takes_too_long_is_ended(make_chapter, tmp_path):
    chapter = make_chapter("import time", "time.sleep(60)")
    with pytest.raises(
        execute.NotebookError, match=r"cell 3: .* more than 0.0003 hours, see --cell"
    ):
        execute.execute(chapter, {}, tmp_path / "executed.ipynb", cell_hours=0.0003)


@pytest.mark.fault("papermill is run directly with a mistyped parameter", "the first cell ends it")
def test_a_notebook_refuses_a_parameter_that_it_does_not_have(tmp_path):
    source, target = settings.NOTEBOOKS / "12-how-it-was-made.ipynb", tmp_path / "executed.ipynb"
    with pytest.raises(PapermillExecutionError, match="no parameter sedes; this notebook has data"):
        papermill.execute_notebook(source, target, {"sedes": 5}, cwd=source.parent)


@pytest.mark.fault("Ctrl-C while a cell runs", "the kernel ends, without a word")
def test_ctrl_c_in_a_cell_leaves_no_word_of_the_kernel_it_ends(
    make_chapter, tmp_path, monkeypatch, caplog
):
    async def watch_closely(client):  # nbclient looks once a second, so it rarely sees the end
        with contextlib.suppress(DeadKernelError):
            while True:
                await asyncio.sleep(0.001)
                await client._async_check_alive()
        client.task_poll_for_reply.cancel()

    def press():
        while not flag.exists():
            time.sleep(0.05)
        signal.raise_signal(signal.SIGINT)

    flag = tmp_path / "running"
    chapter = make_chapter(f"import time; open({str(flag)!r}, 'w').close(); time.sleep(60)")
    monkeypatch.setattr(NotebookClient, "_async_poll_kernel_alive", watch_closely)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=press, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run(chapter, tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    gc.collect()  # asyncio speaks of an error nobody asked for when its task goes
    assert not caplog.records


@pytest.mark.fault("a parameter that the notebook does not have", "it is refused before any work")
def test_a_mistyped_parameter_is_refused(make_chapter):
    chapter = make_chapter("seeds = 3", tags=[("parameters",)])
    execute.check(chapter, {"seeds": 1})
    with pytest.raises(ValueError, match="no parameter sedes"):
        execute.check(chapter, {"sedes": 1})


@pytest.mark.fault("Jupyter has no Python kernel", "one line says how to install it")
def test_a_missing_kernel_is_refused(make_chapter, monkeypatch):
    monkeypatch.setattr(execute, "KERNEL", "no-such-kernel")
    with pytest.raises(ValueError, match="no kernel 'no-such-kernel'"):
        execute.check(make_chapter("1"), {})


def write(folder, *names, text):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def texts(folder):
    """The files below a folder and what is in them, but for the manifest."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != publish.MANIFEST]
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def make_report(folder, *names, text):
    write(publish.open_staging(folder), *names, text=text)
    publish.publish(folder, {})


def test_a_report_replaces_the_old_one_and_nothing_else(tmp_path):
    write(tmp_path, "store/run", "notes.html", text="not a report's")
    old = ["index.html", "report.pdf", "figures/a.svg", "results/a", "results/gone"]
    make_report(tmp_path, *old, text="old")
    staging = publish.open_staging(tmp_path)
    write(staging, "index.html", "results/a", text="new")
    assert texts(tmp_path)["index.html"] == "old"
    publish.publish(tmp_path, {})
    assert texts(tmp_path) == {
        **{"index.html": "new", "results/a": "new"},
        **{"store/run": "not a report's", "notes.html": "not a report's"},
    }


@pytest.mark.parametrize("moves", range(4))
@pytest.mark.fault(
    "a plug is pulled at each step of putting a report in place",
    "the next run finishes it; no reader meets half of one",
)
def test_an_interrupted_move_is_finished(tmp_path, monkeypatch, moves):
    make_report(tmp_path, "index.html", "a.html", "report.pdf", "results/t", text="old")
    write(publish.open_staging(tmp_path), "index.html", "a.html", "b.html", "results/t", text="new")
    replace, left = publish.os.replace, iter(range(moves + 1))

    def plug_is_pulled(source, target):
        if next(left, None) is None:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(publish.os, "replace", plug_is_pulled)
    with pytest.raises(KeyboardInterrupt):
        publish.publish(tmp_path, {})
    monkeypatch.undo()
    assert texts(tmp_path)["index.html"] == "old"
    publish.finish_move(tmp_path)
    assert texts(tmp_path) == dict.fromkeys(["index.html", "a.html", "b.html", "results/t"], "new")
    assert not (tmp_path / publish.COMPLETE).exists()


@pytest.mark.fault("the output holds a file of somebody's own", "it is refused before any work")
def test_a_file_of_another_origin_is_never_replaced(tmp_path):
    write(tmp_path, "results/thesis.csv", text="mine")
    with pytest.raises(ValueError, match="results, which no report left there"):
        publish.check_foreign_files(tmp_path, ["index.html", "results"])
    (tmp_path / "results" / "thesis.csv").unlink()
    (tmp_path / "results").rmdir()
    make_report(tmp_path, "index.html", text="old")
    publish.check_foreign_files(tmp_path, ["index.html", "results"])


@pytest.mark.parametrize(
    "text",
    [
        '{"files": ["index.html", "../victim", "results"]}',
        '{"files": ["index.html", "{folder}/victim", "results"]}',
        '{"files": ["..", "results"]}',
        '{"files": [1]}',
        '{"files": 1}',
        "[]",
        "{}",
        "not JSON",
    ],
)
@pytest.mark.fault(
    "an old report's list of files names files outside, or is no list", "nothing outside is touched"
)
def test_a_manifest_of_a_stranger_deletes_nothing(tmp_path, text):
    write(tmp_path, "victim", text="not a report's")
    output = tmp_path / "report"
    write(output, "results/report.json", text=text.replace("{folder}", str(tmp_path)))
    assert publish.list_files(output) == []
    make_report(output, "index.html", text="new")
    assert (tmp_path / "victim").read_text() == "not a report's"


@pytest.mark.fault("half a report was left behind", "it is thrown away, the old report stays")
def test_what_was_not_whole_is_never_taken(tmp_path):
    make_report(tmp_path, "index.html", text="old")
    write(publish.open_staging(tmp_path), "index.html", text="half")
    staging = publish.open_staging(tmp_path)
    assert texts(staging) == {}
    publish.finish_move(tmp_path)
    assert texts(tmp_path / "results") == {}
    assert (tmp_path / "index.html").read_text() == "old"


def test_the_time_left_follows_the_trainings(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(status.time, "monotonic", lambda: clock[0])
    told = io.StringIO()
    run = Status(90.0, 2, tmp_path / "progress", Console(file=told, width=200))
    pages = 2 * status.SECONDS_PER_NOTEBOOK
    assert run.seconds_left() == pytest.approx(90 + pages)
    clock[0] += 20
    assert run.seconds_left() == pytest.approx(70 + pages)
    clock[0] += 20
    run.training_finished("base", 20.0)  # twice as long as expected
    assert run.seconds_left() == pytest.approx(2 * 70 + pages)
    run.notebook_finished("03-base-model", "unchanged")
    clock[0] += 1000  # far beyond what was expected: less than nothing is never left
    assert run.seconds_left() == status.SECONDS_PER_NOTEBOOK
    lines = told.getvalue().splitlines()
    assert lines[0].split() == ["0:40", "trained:", "base", "(about", "2:32", "left)"]
    assert lines[1].split() == ["0:40", "03-base-model,", "unchanged"]


def test_a_terminal_shows_what_is_trained(tmp_path):
    progress, told = tmp_path / "progress", io.StringIO()
    progress.touch()

    def tell(name, state, epoch):
        line = {"training": name, "state": state, "epoch": epoch, "epochs": 20}
        with progress.open("a") as file:
            file.write(json.dumps(line) + "\n")

    with Status(90.0, 2, progress, Console(file=told, width=200, force_terminal=True)) as run:
        run.begin("trainings")
        for name, epoch in (("base", 3), ("complex", 7)):
            tell(name, "training", epoch)
        deadline = time.monotonic() + 30
        while len(run.training) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert "base, epoch 3 of 20, complex, epoch 7 of 20" in run._text()
        tell("base", "trained", 20)
        while len(run.training) > 1 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert run.training == {"complex": "epoch 7 of 20"}


def test_durations_as_text():
    assert [format_seconds(s) for s in (7, 187, 3787)] == ["0:07", "3:07", "1:03:07"]


def test_profiles():
    assert settings.get_profile("full").epochs == 20
    assert settings.get_profile("quick", seeds=5).seeds == 5
    for name, seeds in (("fast", None), ("quick", 0)):
        with pytest.raises(ValueError, match=r"profile|seeds"):
            settings.get_profile(name, seeds)
