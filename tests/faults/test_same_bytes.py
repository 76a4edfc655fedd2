"""The same notebooks give the same bytes, whatever a process draws for itself."""

import os
import subprocess

import pytest

pytestmark = pytest.mark.slow

SHOWS = """
import pandas as pd
from siamese_utils.evaluation.intervals import measurement
from siamese_utils.reporting import plot_data, plots, show

found = {"a": measurement([0.1, 0.3]), "b": measurement([0.5, 0.6])}
found = pd.DataFrame({"AUC": found}).rename_axis("way")
show.figure(plots.dots, plot_data.tidy(found, series="way"), "Two ways.", x="AUC")
show.table(found, "Two rows.", save="two")
show.text("An *embedding*, a [link](01-a.ipynb) and a threshold.")
"""


@pytest.mark.fault(
    "two runs, of other hash seeds, in other folders, at another time",
    "pages, figures, tables, notebooks and PDFs are the same to the byte",
)
def test_two_runs_make_the_same_bytes(start_series, tmp_path):
    made = []
    for seed in ("1", "2"):
        process = start_series(
            SHOWS,
            "--output",
            str(tmp_path / f"report {seed}"),
            "--fresh",
            with_pdf=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
            stderr=subprocess.PIPE,
        )
        _, err = process.communicate()
        assert process.returncode == 0, err
        folder = tmp_path / f"report {seed}"
        paths = [path for path in folder.rglob("*") if path.is_file()]
        made.append({str(path.relative_to(folder)): path.read_bytes() for path in paths})
    assert {"01-a.html", "report.pdf", "notebooks/01-a.ipynb"} <= made[0].keys()
    assert made[0].keys() == made[1].keys()
    assert not [name for name in made[0] if made[0][name] != made[1][name]]
