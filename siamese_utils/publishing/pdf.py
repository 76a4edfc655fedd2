"""Executed notebooks to one PDF: nbconvert's HTML through pandoc to Typst. No TeX, no browser."""

import base64
import json
import re
import tempfile
from collections.abc import Sequence
from copy import copy
from itertools import zip_longest
from pathlib import Path

from bs4 import BeautifulSoup, Tag

from siamese_utils.publishing.chapters import Chapter
from siamese_utils.publishing.html import TEMPLATES, Body

LINE_LENGTH = 110  # characters of a table's text that fit beside each other
MAX_UNBROKEN_LINES = 30  # lines of text beyond which a table may go on on the next page
BREAKABLE_MARK = (
    "\u2060"  # in the caption of such a table, on its way through pandoc; it has no width
)
SIZE = re.compile(r'<svg[^>]*? width="([\d.]+)pt" height="([\d.]+)pt"|(?!)')  # of a drawing
FRONT_FIGURE = 60  # % of a slide's width: of a figure that an answer has
SLIDE_FIGURE = 36  # % of a slide's width: the height that its figure may have
PDF_STANDARD = "a-2b"  # PDF/A: a file that archives take
Composed = tuple[str, dict[str, str]]  # HTML, and what its template is told beside the usual


class PdfError(Exception):
    """The PDF could not be made; the message is the typesetter's."""


def check() -> None:
    """Raise ValueError where what makes the PDF is not here or does not load."""
    try:
        import pypandoc
        import typst  # noqa: F401

        pypandoc.get_pandoc_path()
    except (ImportError, OSError) as error:
        raise ValueError(f"no PDF can be made here ({error}); --no-pdf does without") from None


def render_pdfs(
    bodies: list[Body], folder: Path, names: Sequence[str], banner: str, subtitle: str
) -> None:
    """Write documents of the bodies, names in DOCUMENTS, into a folder.

    Raises PdfError where pandoc or Typst refuses one.
    """
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        soups = [_chapter(body, scratch) for body in bodies]
        front = bodies[0].chapter
        told = {"title": front.title, "question": front.question}
        told |= {"banner": banner, "subtitle": subtitle}
        for name, compose in DOCUMENTS.items():
            if name in names:
                html, more = compose(bodies, soups, scratch)
                _typeset(name, html, told | more, scratch, folder / name)


def _slides(bodies: list[Body], soups: list[BeautifulSoup], scratch: Path) -> Composed:
    """Compose a slide for each body: question, first figure, answer."""
    return "\n".join(map(_slide, soups, bodies)), {}


def _slide(soup: BeautifulSoup, body: Body) -> str:
    """Return the HTML of a slide; soup: as `_chapter` returns it."""
    answer, head = soup.find(class_="answer"), [soup.h1, soup.h1.find_next_sibling("p")]
    parts = [_without_links(part) for part in head if part]
    # the first of data, if there is one: pictures of images say less
    place = next((i for i, drawing in enumerate(body.drawings) if drawing.data), 0)
    if body.drawings and not body.chapter.is_front:
        picture = copy(soup.select('img[src^="figures/"]')[place])
        width, height = map(float, SIZE.search(body.drawings[place].svg).groups())
        picture["width"] = f"{min(100, SLIDE_FIGURE * width / height):.0f}%"
        parts.append(picture)
    if answer:
        answer = _without_links(answer)
        for caption in answer.select("figcaption"):
            caption.decompose()
        for picture in answer.select("img"):
            picture["width"] = f"{FRONT_FIGURE}%"
        parts.append(answer)
    return "\n".join(map(str, parts))


def _handout(bodies: list[Body], soups: list[BeautifulSoup], scratch: Path) -> Composed:
    """Compose one page: the first body's answer and its first table."""
    parts = [soups[0].find(class_="answer"), soups[0].find("table")]
    return "\n".join(str(_without_links(part)) for part in parts if part), {}


def _without_links(part: Tag) -> Tag:
    """Return a copy without links: what they lead to is not in that document."""
    part = copy(part)
    for link in part("a"):
        link.unwrap()
    return part


def _report(bodies: list[Body], soups: list[BeautifulSoup], scratch: Path) -> Composed:
    """Compose one document of all bodies, without the code of their cells; it takes them apart.

    Its front page holds the first body's answer, its end the answers to the exercises, and the code
    that pages show.
    """
    _link_chapters(soups, {body.chapter.page: body.chapter.name for body in bodies})
    ends = [_move_solutions(soups), _move_listings(soups)]
    findings = soups[0].find(class_="answer")
    if findings:
        findings.extract()
        soups[0].find("h1").find_next("p").extract()  # the question, which is in front too
    (scratch / "findings.typ").write_text(_to_typst(str(findings or "")), encoding="utf-8")
    return "\n".join(map(str, [*soups, *ends])), {"findings": "yes" if findings else ""}


# name -> what composes it; the last one takes the chapters apart
DOCUMENTS = {"slides.pdf": _slides, "handout.pdf": _handout, "report.pdf": _report}


def _typeset(name: str, html: str, inputs: dict[str, str], scratch: Path, target: Path) -> None:
    """Write HTML below the template of that name as a PDF; its files lie in `scratch`."""
    import typst

    template = Path(name).with_suffix(".typ")
    files = (TEMPLATES / "style.typ", TEMPLATES / template)
    head = "".join(path.read_text(encoding="utf-8") for path in files)
    (scratch / template).write_text(head + _to_typst(html), encoding="utf-8")
    try:
        pdf = typst.compile(
            str(scratch / template),
            pdf_standards=PDF_STANDARD,
            timestamp=0,  # the same results make the same file
            sys_inputs=inputs,
        )
    except (RuntimeError, typst.TypstError) as error:
        raise PdfError(str(error).strip()) from error
    target.write_bytes(pdf)


def _to_typst(html: str) -> str:
    """Return HTML as Typst, with what pandoc leaves out: alt texts, and which tables may break.

    Raises PdfError.
    """
    import pypandoc

    alts = {
        image["src"]: image["alt"] for image in BeautifulSoup(html, "html.parser")("img", alt=True)
    }
    try:
        text = pypandoc.convert_text(html, "typst", format="html", extra_args=["--wrap=none"])
    except RuntimeError as error:
        raise PdfError(str(error).strip()) from error
    text = re.sub(
        r'image\("([^"]+)"',
        lambda found: f"{found[0]}, alt: {json.dumps(alts.get(found[1], ''), ensure_ascii=False)}",
        text,
    )
    return re.sub(
        r"#figure\(\s*align\(center\)(\[#table\(.*?kind: table)", _place, text, flags=re.S
    )


def _place(table: re.Match) -> str:
    kind = "long-figure" if BREAKABLE_MARK in table[1] else "figure"
    return f"#{kind}(align(left){table[1].replace(BREAKABLE_MARK, '')}"


def _chapter(body: Body, scratch: Path) -> BeautifulSoup:
    """Return a body with its drawings as files, and with ids that no other body has."""
    soup = BeautifulSoup(body.html, "html.parser")
    _drop_screen_elements(soup)
    for drawing in body.drawings:
        drawing.write(scratch / "figures")
    for image in soup.select('img[src^="figures/"]'):
        image["width"] = "100%"
    _unpack_pictures(soup, scratch / "figures", body.chapter.number)
    _rename_ids(soup, body.chapter)
    for cell in soup.select("tr.study td"):
        if cell.string:
            cell.string.wrap(soup.new_tag("em"))
    for table in soup.find_all("table"):
        _set_column_widths(soup, table)
    for box in soup.select("div:not(.answer, .csl-entry, .highlight)"):
        box.unwrap()  # Typst turns them into blocks, in which no page may end
    return soup


def _rename_ids(soup: BeautifulSoup, chapter: Chapter) -> None:
    """Number the title, and name the places of a chapter so that no other has such."""
    title = soup.find("h1")
    title["id"] = chapter.name
    if not chapter.is_front:  # as in the captions
        title.insert(0, f"{int(chapter.number)}  ")
    for place in soup.select('h2, [id^="ref-"]'):
        place["id"] = f"{chapter.name}-{place['id']}"
    for link in soup.select('a[href^="#ref-"]'):
        link["href"] = f"#{chapter.name}-{link['href'][1:]}"


def _drop_screen_elements(soup: BeautifulSoup) -> None:
    for part in soup.select("details.code, .permalink"):
        part.decompose()
    for term in soup.select("a.term"):
        term.unwrap()


def _link_chapters(soups: list[BeautifulSoup], names: dict[str, str]) -> None:
    """Point links to pages at their chapters in this document."""
    for link in (link for soup in soups for link in soup.select("a[href]")):
        if name := names.get(link["href"].partition("#")[0]):
            link["href"] = f"#{name}"


def _unpack_pictures(soup: BeautifulSoup, folder: Path, prefix: str) -> None:
    """Write the pictures that lie inside the text, such as a plain plt.show() leaves, as files."""
    folder.mkdir(exist_ok=True)
    for number, picture in enumerate(soup.select('svg, img[src^="data:"]')):
        if picture.name == "svg":
            kind, content = "svg", str(picture).encode()
        else:
            head, _, text = picture["src"].partition(";base64,")
            kind, content = head.rpartition("/")[2], base64.b64decode(text)
        path = folder / f"picture-{prefix}-{number}.{kind}"
        path.write_bytes(content)
        source = {"src": f"figures/{path.name}", "alt": picture.get("alt", "")}
        picture.replace_with(soup.new_tag("img", attrs=source))


def _move_solutions(soups: list[BeautifulSoup]) -> BeautifulSoup:
    """Move the answers to the exercises into a last chapter, which is returned."""
    end = BeautifulSoup("", "html.parser")
    for soup in soups:
        for number, solution in enumerate(soup.select("details.solution"), 1):
            solution.summary.decompose()
            title = soup.h1.get_text()
            end.append(end.new_tag("h3", string=f"{title}: exercise {number}"))
            end.append(solution.extract())
            solution.unwrap()
    if end.contents:
        end.insert(0, end.new_tag("h1", string="Answers to the exercises"))
    return end


def _move_listings(soups: list[BeautifulSoup]) -> BeautifulSoup:
    """Move the code that pages show into a last chapter, which is returned, and refer to it."""
    end = BeautifulSoup("", "html.parser")
    for number, code in enumerate((c for soup in soups for c in soup.select(".highlight")), 1):
        reference = end.new_tag("p")
        link = end.new_tag("a", href=f"#listing-{number}", string=f"listing {number}")
        reference.extend(["The code is ", link, " at the end of this document."])
        code.replace_with(reference)
        heading = end.new_tag("h2", id=f"listing-{number}", string=f"Listing {number}")
        end.extend([heading, end.new_tag("pre", string=code.get_text().strip())])
    if end.contents:
        end.insert(0, end.new_tag("h1", string="The code shown"))
    return end


def _column_lengths(row: Tag) -> list[int]:
    """Return the length of the text in each column; a cell over several shares it out."""
    spans = [(cell, int(cell.get("colspan", 1))) for cell in row.find_all(["th", "td"])]
    return [len(cell.get_text()) // span for cell, span in spans for _ in range(span)]


def _set_column_widths(soup: BeautifulSoup, table: Tag) -> None:
    """Give the columns of a wide table shares of the page that follow their longest text."""
    rows = [_column_lengths(row) for row in table("tr")]
    longest = [min(max(column), 60) + 9 for column in zip_longest(*rows, fillvalue=0)]
    longest = [max(length, 0.08 * sum(longest)) for length in longest]  # a head of one word fits
    shares = [length / max(sum(longest), LINE_LENGTH) for length in longest]
    if sum(longest) > LINE_LENGTH:
        columns = soup.new_tag("colgroup")
        for share in shares:
            columns.append(soup.new_tag("col", attrs={"style": f"width: {100 * share:.2f}%"}))
        (table.caption or table.contents[0]).insert_after(columns)
    lines = sum(
        max(
            1 + length // int(LINE_LENGTH * share)
            for length, share in zip(row, shares, strict=False)
        )
        for row in rows
    )
    if lines > MAX_UNBROKEN_LINES and table.caption:
        table.caption.append(BREAKABLE_MARK)
