"""What stands where a report is to go."""

import subprocess
import sys
from pathlib import Path

import pytest

import run_all
from siamese_utils import settings
from siamese_utils.publishing import build, publish


def refused(capsys, *arguments):
    """Whether a run ends before any work, with one line, which is returned."""
    assert run_all.main(["--dataset", "digits", *map(str, arguments)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    return line


@pytest.fixture(autouse=True)
def before_work(store, monkeypatch):
    monkeypatch.setattr(build, "build", lambda *_: pytest.fail("work was begun"))


@pytest.mark.fault("the output lies behind a loop of links", "one line, exit 2")
def test_a_loop_of_links(tmp_path, capsys):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert "loop" in refused(capsys, "--output", tmp_path / "a" / "report")


@pytest.mark.fault("the output lies 1,200 folders deep", "one line, exit 2")
def test_a_deep_folder(tmp_path, capsys):
    line = refused(capsys, "--output", tmp_path.joinpath(*["d"] * 1200))
    assert "too deep" in line or "too long" in line


@pytest.mark.fault(
    "an old report has a link in the place of a page", "one line, exit 2; what it leads to stays"
)
def test_a_link_in_place_of_a_page(tmp_path, capsys, make_old_report):
    make_old_report(tmp_path)
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "index.html").unlink()
    (tmp_path / "index.html").symlink_to(tmp_path / "mine")
    assert "holds index.html, which no report left" in refused(capsys, "--output", tmp_path)
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.fault("an old report has a folder in the place of a page", "one line, exit 2")
def test_a_folder_in_place_of_a_page(tmp_path, capsys, make_old_report):
    make_old_report(tmp_path)
    (tmp_path / "index.html").unlink()
    (tmp_path / "index.html").mkdir()
    assert "holds index.html, which no report left" in refused(capsys, "--output", tmp_path)


@pytest.mark.fault(
    "a plug is pulled, and then a link stands in the place of a page",
    "the move is finished; the link goes, what it leads to stays",
)
def test_a_link_in_the_way_of_an_interrupted_move(tmp_path):
    (publish.open_staging(tmp_path) / "figures").mkdir()
    (tmp_path / publish.STAGING).rename(tmp_path / publish.COMPLETE)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis").write_text("mine")
    (tmp_path / "figures").symlink_to(tmp_path / "mine")
    publish.finish_move(tmp_path)
    assert (tmp_path / "figures").is_dir()
    assert not (tmp_path / "figures").is_symlink()
    assert (tmp_path / "mine" / "thesis").read_text() == "mine"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc")
@pytest.mark.fault("the output is where nothing can be written", "one line, exit 2")
def test_an_output_that_cannot_be_written(capsys):
    assert "/proc" in refused(capsys, "--output", "/proc/report")


HOLDS = """
import sys, time
from pathlib import Path
from siamese_utils.publishing import publish
with publish.lock_output(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.fault("the lock of a run that was killed", "it does not hinder the next run")
def test_a_stale_lock(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)], cwd=settings.ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(ValueError, match="another run writes"), publish.lock_output(tmp_path):
        pass
    process.kill()
    process.communicate()
    assert (tmp_path / publish.LOCK).exists()
    with publish.lock_output(tmp_path):
        assert (tmp_path / publish.LOCK).exists()
