"""nbconvert exporters: one executed notebook as a page or a PDF in the style of the report."""

import tempfile
from pathlib import Path
from typing import Any

from nbconvert.exporters import Exporter
from nbformat import NotebookNode

from siamese_utils.publishing import chapters, html, pdf


class PageExporter(Exporter):
    """Exporter for `jupyter nbconvert --to siamese-html`: a page, and its figures as files."""

    export_from_notebook = "Siamese report: page"
    file_extension = ".html"

    def from_notebook_node(
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kwargs: Any
    ) -> tuple[str, dict[str, Any]]:
        """Return the page and nbconvert's resources.

        Args:
            nb: An executed notebook.
            resources: Of nbconvert.
            **kwargs: For nbconvert.

        Raises:
            ValueError: `chapters.parse_chapter` rejects the notebook.
        """
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
    """Exporter for `jupyter nbconvert --to siamese-pdf`, without TeX or a browser."""

    export_from_notebook = "Siamese report: PDF"
    file_extension = ".pdf"
    output_mimetype = "application/pdf"

    def from_notebook_node(
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kwargs: Any
    ) -> tuple[bytes, dict[str, Any]]:
        """Return the PDF and nbconvert's resources.

        Args:
            nb: An executed notebook.
            resources: Of nbconvert.
            **kwargs: For nbconvert.

        Raises:
            ValueError: `chapters.parse_chapter` rejects the notebook.
            PdfError: pandoc or Typst cannot make the PDF.
        """
        nb, resources = super().from_notebook_node(nb, resources, **kwargs)
        body = html.render_body(_chapter(nb, resources), nb, pages={})
        with tempfile.TemporaryDirectory() as folder:
            pdf.render_pdf([body], Path(folder), banner="", subtitle="")
            return (Path(folder) / "report.pdf").read_bytes(), resources


def _chapter(nb: NotebookNode, resources: dict[str, Any]) -> chapters.Chapter:
    return chapters.parse_chapter(Path(f"{resources['metadata']['name']}.ipynb"), nb)
