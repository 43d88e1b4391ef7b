"""Documents as PDF, set by Typst: the text is data to a fixed template, so nothing in it can be read as markup."""

from __future__ import annotations

import json
from importlib import resources
from importlib.util import find_spec

from pitstop.compliance.documents.parts import Document
from pitstop.errors import EvidenceError


def pdf_available() -> bool:
    """Return whether the extra `pdf` is installed."""
    return find_spec("typst") is not None


def pdf(part: Document, foot: str) -> bytes:
    """Return a document as a PDF without a date of its own: the same document gives the same bytes.

    Raises `EvidenceError` where the extra `pdf` is not installed.
    """
    try:
        import typst  # noqa: PLC0415 - an extra
    except ImportError as error:
        msg = "PDF needs Typst: install pitstop[pdf], or leave out --pdf"
        raise EvidenceError(msg) from error
    template = resources.files("pitstop.compliance").joinpath("texts", "document.typ").read_bytes()
    inputs = {"document": json.dumps({**part.to_json(), "foot": foot}, ensure_ascii=False)}
    return bytes(typst.compile(template, sys_inputs=inputs, ignore_system_fonts=True))
