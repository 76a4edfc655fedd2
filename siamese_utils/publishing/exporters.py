"""One executed notebook as a page or a PDF of the report's kind, for `jupyter nbconvert --to`."""

import tempfile
from pathlib import Path
from typing import Any

from nbconvert.exporters import Exporter
from nbformat import NotebookNode

from siamese_utils.publishing import chapters, html, pdf


class PageExporter(Exporter):
    """`--to siamese-html`: a page, with its figures beside it to be downloaded."""

    export_from_notebook = "Siamese report: page"
    file_extension = ".html"

    def from_notebook_node(
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kwargs: Any
    ) -> tuple[str, dict[str, Any]]:
        """Return the page and nbconvert's resources. Raises ValueError as `chapters.parse_chapter`."""
        nb, resources = super().from_notebook_node(nb, resources, **kwargs)
        body = html.render_body(_chapter(nb, resources), nb, pages={})
        with tempfile.TemporaryDirectory() as folder:
            [path] = html.render_pages([body], Path(folder), None, banner="", with_pdf=False)
            files = {
                f"figures/{file.name}": file.read_bytes() for file in path.parent.glob("figures/*")
            }
            resources["outputs"] = {**(resources.get("outputs") or {}), **files}
            return path.read_text(encoding="utf-8"), resources


class PDFExporter(Exporter):
    """`--to siamese-pdf`: a document typeset without TeX or a browser."""

    export_from_notebook = "Siamese report: PDF"
    file_extension = ".pdf"
    output_mimetype = "application/pdf"

    def from_notebook_node(
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kwargs: Any
    ) -> tuple[bytes, dict[str, Any]]:
        """Return the PDF and nbconvert's resources. Raises ValueError as above, PdfError."""
        nb, resources = super().from_notebook_node(nb, resources, **kwargs)
        body = html.render_body(_chapter(nb, resources), nb, pages={})
        with tempfile.TemporaryDirectory() as folder:
            pdf.render_pdfs([body], Path(folder), ["report.pdf"], banner="", subtitle="")
            return (Path(folder) / "report.pdf").read_bytes(), resources


def _chapter(nb: NotebookNode, resources: dict[str, Any]) -> chapters.Chapter:
    return chapters.parse_chapter(Path(f"{resources['metadata']['name']}.ipynb"), nb)
