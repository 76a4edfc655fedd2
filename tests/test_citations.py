import re

import nbformat
import pypandoc
import pytest
from bs4 import BeautifulSoup

from siamese_utils import settings
from siamese_utils.publishing import citations


def cited(html):
    soup = BeautifulSoup(html, "html.parser")
    citations.cite(soup)
    return soup


def test_a_page_has_its_citations_numbered_and_listed():
    soup = cited("<p>One [@snell2017], two [@hadsell2006; @snell2017].</p><pre>[@koch2015]</pre>")
    assert soup.p.get_text() == "One [1], two [1, 2]."
    first, *_, last = soup.p("a")
    assert first["href"] == "#ref-snell2017"
    assert last["href"] == "#ref-hadsell2006"
    for link in (first, last):
        entry = soup.find(id=link["href"][1:])
        assert link["data-meaning"] == entry.get_text(" ", strip=True)
        assert entry.find("a")["href"].startswith("https://doi.org/10.")
    assert "R. Hadsell, S. Chopra and Y. LeCun" in last["data-meaning"]
    assert soup.h2.get_text() == "References"
    assert len(soup.select(".csl-entry")) == 2
    assert soup.pre.get_text() == "[@koch2015]"  # code


def test_a_page_without_citations_stays_as_it_is():
    text = "<p>Nothing [1] is cited @here.</p>"
    assert str(cited(text)) == text


@pytest.mark.parametrize(
    "text", ["[@home]", "[@ home]", "[@hou2019; @home]", "[@]", "[@hou2019, p. 3]"]
)
def test_what_is_not_in_the_bibliography_is_no_citation(text):
    assert str(cited(f"<p>One {text}.</p>")) == f"<p>One {text}.</p>"
    soup = cited(f"<p>One {text} two [@hou2019].</p>")
    assert soup.p.get_text() == f"One {text} two [1]."


@pytest.mark.fault("markup as text beside a citation, such as the name of a class", "it stays text")
def test_text_beside_a_citation_stays_text():
    soup = cited("<p>&lt;img src=q onerror=alert(1)&gt; x &lt;y [@hou2019] &amp;lt;b&gt;</p>")
    assert soup.p.get_text() == "<img src=q onerror=alert(1)> x <y [1] &lt;b>"
    assert not soup.find("img")


@pytest.mark.fault("pandoc is not here", "pages without it show citations as they are written")
def test_without_pandoc_citations_stay_as_they_are_written(monkeypatch):
    def fail(*_, **__):
        raise OSError("no pandoc was found")

    monkeypatch.setattr(pypandoc, "convert_text", fail)
    assert str(cited("<p>One [@snell2017].</p>")) == "<p>One [@snell2017].</p>"


def test_what_is_cited_is_in_the_list_of_references_and_the_other_way_round():
    known = re.findall(r"@\w+\{(\w+),", citations.BIBLIOGRAPHY.read_text(encoding="utf-8"))
    used = set()
    for path in settings.NOTEBOOKS.rglob("[0-9]*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                for one in citations.CITATION.findall(cell.source):
                    used |= set(re.findall(r"@(\w+)", one))
    assert sorted(used) == sorted(known)
