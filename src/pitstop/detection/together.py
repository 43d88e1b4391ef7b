"""Alarms of one window that have one cause: columns that broke together are one page, not one each.

A broken join leaves seven columns null on the same day. Two alarms of one window belong together where the data say so:

- they are about one column, which can break in one way and show it in several streams;
- they are of one family of streams (nulls, values never seen, drift, ...) and their changes began in the same window;
- they count faults, and the rows that they count are the same for certain: of two faults that hit e and f of n rows
  more than is expected, at least e + f - n rows have both, and that is at least half of the smaller fault.

What merely comes on the same day stays apart. Fewer pages than alarms can only keep the promise, so the grouping needs
no proof.
"""

from __future__ import annotations

from collections.abc import Iterable

from pitstop.detection.streams import Finding


def together(findings: Iterable[Finding]) -> tuple[tuple[Finding, ...], ...]:
    """Return the alarms in groups of one cause each, in the order of their first members. Windows do not mix."""
    groups: list[list[Finding]] = []
    for finding in findings:
        linked = [group for group in groups if any(of_one_cause(finding, other) for other in group)]
        merged = [*(item for group in linked for item in group), finding]
        if linked:
            groups[groups.index(linked[0])] = merged
            groups = [group for group in groups if not any(group is other for other in linked[1:])]
        else:
            groups.append(merged)
    return tuple(tuple(group) for group in groups)


def of_one_cause(first: Finding, second: Finding) -> bool:
    """Whether two alarms of one window share a column, a family with an onset, or for certain their rows."""
    if first.window != second.window:
        return False
    if first.stream.column is not None and first.stream.column == second.stream.column:
        return True
    if first.stream.family == second.stream.family and first.since == second.since:
        return True
    return first.stream.kind == second.stream.kind == "quality" and _same_rows(first, second)


def _same_rows(first: Finding, second: Finding) -> bool:
    """Whether the rows that two faults count beyond the usual are the same for at least half of the smaller one."""
    if first.size != second.size or not first.size:
        return False
    more = [item.count - item.expected * item.size for item in (first, second)]
    return min(more) > 0 and sum(more) - first.size >= 0.5 * min(more)
