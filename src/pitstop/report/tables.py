"""HTML tables: numbers to the right, a head for each row, a frame that scrolls instead of breaking a narrow page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pitstop.report.markup import Markup, element, joined

_LONG = 26  # rows that fit on a usual screen


@dataclass(frozen=True)
class Column:
    """A column: its head, whether it holds numbers (set to the right), and further style classes."""

    name: str
    numeric: bool = True
    style: str = ""

    @property
    def classes(self) -> str | None:
        """The style classes of its cells."""
        return " ".join(part for part in ("n" if self.numeric else "", self.style) if part) or None


@dataclass(frozen=True)
class Group:
    """A head over several neighbouring columns. An empty name leaves the place above them empty."""

    name: str
    span: int
    style: str = ""


def table(
    caption: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    groups: Sequence[Group] = (),
    foot: Sequence[Sequence[str]] = (),
) -> Markup:
    """Return the table; the first cell of every row is its head. Without rows it has one that says so."""
    head = [element("tr", None, *(_group(group) for group in groups))] if groups else []
    names = (element("th", {"class": column.classes, "scope": "col"}, column.name) for column in columns)
    head.append(element("tr", None, *names))
    body = [_row(columns, row) for row in rows]
    if not body:
        body = [element("tr", None, element("td", {"colspan": len(columns)}, "nothing yet"))]
    parts = [
        element("thead", None, *head),
        element("tbody", None, *body),
    ]
    if foot:
        parts.append(element("tfoot", None, *(_row(columns, row) for row in foot)))
    frame = {
        "class": "scroll long" if len(rows) > _LONG else "scroll",
        "role": "region",
        "aria-label": caption,
        "tabindex": 0,
    }
    # A <caption> would scroll away sideways with the table; the frame carries its text as its name instead.
    return joined([element("p", {"class": "caption"}, caption), element("div", frame, element("table", None, *parts))])


def _group(group: Group) -> Markup:
    style = f"group {group.style}".strip()
    if not group.name:
        return element("td", {"colspan": group.span, "class": style})
    return element("th", {"colspan": group.span, "scope": "colgroup", "class": style}, group.name)


def _row(columns: Sequence[Column], cells: Sequence[str]) -> Markup:
    first = element("th", {"scope": "row", "class": columns[0].classes}, cells[0])
    rest = (element("td", {"class": column.classes}, cell) for column, cell in zip(columns[1:], cells[1:], strict=True))
    return element("tr", None, first, joined(rest))
