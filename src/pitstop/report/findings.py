"""What `pitstop check` found, as an HTML page and for a terminal, worst first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pitstop.report import formats
from pitstop.report.document import Section, document
from pitstop.report.markup import Markup, element, printable
from pitstop.report.replay_figures import distribution_figure
from pitstop.report.story import DistributionPair
from pitstop.report.tables import Column, table

Severity = Literal["critical", "warning", "info"]

SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")
"""From worst to least."""

_TERMINAL_STYLES = {"critical": "bold red", "warning": "bold yellow", "info": "dim"}


class Finding(Protocol):
    """One difference between two tables, in one sentence. `size` is in the unit of its `kind`."""

    @property
    def column(self) -> str:
        """The column that differs; empty for the table as a whole."""

    @property
    def kind(self) -> str:
        """What sort of difference it is."""

    @property
    def severity(self) -> Severity:
        """How bad it is."""

    @property
    def size(self) -> float:
        """How large it is."""

    @property
    def sentence(self) -> str:
        """What a person should know."""


def findings_page(
    findings: Sequence[Finding],
    reference_rows: int,
    current_rows: int,
    distributions: Sequence[DistributionPair] = (),
    title: str = "reference and current",
    *,
    notes: Sequence[str] = (),
) -> str:
    """Return a self-contained HTML page: the answer, the findings worst first, pictures of the columns concerned.

    `notes` say what could not be compared.
    """
    ordered = worst_first(findings)
    head = [
        element("p", {"class": "eyebrow"}, element("b", None, "Pitstop"), f" · check · {title}"),
        element("h1", None, verdict(ordered)),
        element("p", {"class": "lede"}, _counts(reference_rows, current_rows)),
    ]
    sections = []
    if ordered:
        items = element("ol", {"class": "findings"}, *(_item(finding) for finding in ordered))
        sections.append(Section("findings", "Findings, worst first", (items,)))
    if distributions:
        figures = element("div", {"class": "grid2"}, *(distribution_figure(pair) for pair in distributions))
        sections.append(Section("distributions", "Distributions", (figures,)))
    if ordered:
        sections.append(Section("numbers", "All numbers", (_numbers(ordered),)))
    if notes:
        sections.append(Section("notes", "Notes", tuple(element("p", None, note) for note in notes)))
    return document(f"{title} · Pitstop check", head, sections, "")


def findings_text(findings: Sequence[Finding], reference_rows: int, current_rows: int) -> RenderableType:
    """Return what is printed after a check: the answer, then a line or two per finding, worst first."""
    ordered = worst_first(findings)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold", max_width=28)
    grid.add_column(overflow="fold")
    for finding in ordered:
        severity = Text(finding.severity, style=_TERMINAL_STYLES[finding.severity])
        column = Text(printable(finding.column or "(table)"), style="bold")
        grid.add_row(severity, column, Text(printable(finding.sentence)))
    parts: list[RenderableType] = [Text(verdict(ordered), style="bold"), Text(_counts(reference_rows, current_rows))]
    return Group(*parts, Text(), grid) if ordered else Group(*parts)


def verdict(findings: Sequence[Finding]) -> str:
    """Return the answer in one sentence: how many findings, how bad."""
    if not findings:
        return "Nothing found: the two tables differ no more than chance allows."
    counts = {severity: sum(finding.severity == severity for finding in findings) for severity in SEVERITIES}
    named = formats.listed(f"{number} {severity}" for severity, number in counts.items() if number)
    return f"{formats.plural(len(findings), 'finding')}: {named}."


def worst_first(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings by severity; within one severity they keep their order."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def _counts(reference_rows: int, current_rows: int) -> str:
    reference, current = formats.plural(reference_rows, "row"), formats.plural(current_rows, "row")
    return f"Reference: {reference}. Current: {current}."


def _item(finding: Finding) -> Markup:
    badge = element("span", {"class": f"badge {finding.severity}"}, finding.severity)
    column = element("b", None, finding.column or "the table")
    text = element("p", None, column, f" · {finding.kind.replace('_', ' ')}")
    sentence = element("p", None, finding.sentence)
    return element("li", {"class": "finding"}, element("div", None, badge), element("div", None, text, sentence))


def _numbers(findings: Sequence[Finding]) -> Markup:
    columns = [
        Column("column", numeric=False),
        Column("kind", numeric=False),
        Column("severity", numeric=False),
        Column("size"),
    ]
    rows = [
        (finding.column or "the table", finding.kind, finding.severity, formats.size(finding.size))
        for finding in findings
    ]
    return table("Size is in the unit of its kind.", columns, rows)
