"""What a period's record says of rows, in words: where the model errs most, how far its rows are from before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pitstop.report import formats


def segment_lines(content: Mapping[str, Any], task: str) -> tuple[str, ...]:
    """Return a clause for each worst segment of an `estimate` record, the worst first; () where none was confirmed.

    Records that were kept before segments were have none.
    """
    return tuple(_segment(item, task) for item in content.get("segments", ()))


def rise(item: Mapping[str, Any], task: str) -> str:
    """Return a clause for a segment of an incident, whose `mean` and `others` are what the error rose by."""
    if task == "regression":
        by, elsewhere = f"{item['mean']:.3g}", f"{item['others']:+.3g}"
    else:
        by, elsewhere = f"{100 * item['mean']:.1f} points", f"{100 * item['others']:+.1f}"
    return f"{item['text']}: by {by}, elsewhere {elsewhere} ({formats.percent(item['share'])} of the rows)"


def domain_line(content: Mapping[str, Any]) -> str:
    """Return a sentence on all features together of an `estimate` record; empty where rows were too few."""
    domain = content.get("domain")
    if not domain:
        return ""
    usual = "" if domain["usual"] is None else f"; within the reference it is {domain['usual']:.2f}"
    area = f"{domain['auc']:.2f} ({domain['low']:.2f} to {domain['high']:.2f}{usual})"
    if not domain["moved"]:
        return f"All features together look as they did: new rows are told from the reference's with an AUC of {area}."
    named = formats.listed([name for name, _ in domain["columns"][:3]])
    by = f", most by {named}" if named else ""
    return f"New rows are told from the reference's with an AUC of {area}{by}."


def _segment(item: Mapping[str, Any], task: str) -> str:
    rows = f"{formats.percent(item['share'])} of the rows"
    if task == "regression":
        change = f"the error is {item['mean']:.3g} instead of {item['others']:.3g}"
        between = f"{item['low']:.3g} to {item['high']:.3g} more"
    else:
        change = f"{item['mean']:.1%} are wrong instead of {item['others']:.1%}"
        between = f"{100 * item['low']:.1f} to {100 * item['high']:.1f} points more"
    return f"{item['text']}: {change} ({between}; {rows})"
