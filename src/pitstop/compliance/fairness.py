"""Selection rates and impact ratios by protected column, as New York City's Local Law 144 defines them.

6 RCNY 5-300 and 5-301: the *selection rate* of a category is the share of its members that were selected; where a tool
scores, the *scoring rate* is the share that scored above the sample's median. The *impact ratio* is the rate divided by
that of the category with the highest rate. Categories are taken one column at a time and all columns together
(intersectional). A category below 2% of the data may be left out of the ratios, and has to be counted. The law names no
smallest ratio. Beside these stand error rates and calibration by group, realised where labels came and estimated from
the scores, with intervals (`pitstop.monitors.fairness`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.compliance.facts import Artifact, Facts
from pitstop.errors import StatementError
from pitstop.monitors.fairness import group_fairness
from pitstop.records.identity import artifact_id
from pitstop.statistics.groups import GroupBins, GroupCounts

SMALL_SHARE = 0.02
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
# Figures of a group, each {value, low, high, rows} or null where too few rows are behind it.
_SHOWN = (
    "selection",
    "impact",
    "tpr",
    "fpr",
    "tpr_gap",
    "fpr_gap",
    "calibration",
    "estimated_tpr",
    "estimated_fpr",
)


def audit(facts: Facts, rows: pa.Table, labels: Mapping[str, str] | None = None) -> Artifact:
    """Return the audit of the rows that were predicted and are kept: one table for each protected column, and for all.

    `rows` has the protected columns, `@prediction` and `@score` (null where there is none). `labels` are those known,
    by the rows' `@id`. Rows whose category is missing are counted as unknown, and compared with nobody. Raises
    `StatementError` where there is nothing to compare.
    """
    columns = list(facts.spec["columns"]["protected"])
    task = facts.spec["model"]["task"]
    if not columns or task == "multiclass" or not rows.num_rows:
        why = "no row is kept" if columns and task != "multiclass" else "[columns] protected names no column"
        why = "it has more than two classes" if task == "multiclass" else why
        msg = f"the selection of {facts.model} cannot be audited: {why}"
        raise StatementError(msg)
    chosen, rate = _chosen(rows, facts)
    words = {name: [None if value is None else str(value) for value in rows[name].to_pylist()] for name in columns}
    outcomes = _outcomes(rows, facts, labels or {})
    tables = [_table(name, words[name], chosen, outcomes) for name in columns]
    if len(columns) > 1:
        both = [None if None in parts else " / ".join(parts) for parts in zip(*words.values(), strict=True)]
        tables.append(_table(" x ".join(columns), both, chosen, outcomes))
    content = {
        "rate": rate,
        "rows": rows.num_rows,
        "selected": int(chosen.sum()),
        "tables": tables,
        "small_share": SMALL_SHARE,
    }
    name = artifact_id("fairness-audit", {**content, "at": facts.now})
    return Artifact(name, "fairness-audit", facts.now, (), content)


def _chosen(rows: pa.Table, facts: Facts) -> tuple[Bools, str]:
    """Return who was selected: the positive class; of a regression, who scored above the median."""
    if facts.spec["model"]["task"] == "regression":
        found = np.asarray(rows["@prediction"].to_numpy(), dtype=np.float64)
        return np.asarray(found > np.nanmedian(found), dtype=np.bool_), "scoring rate (above the median)"
    positive = str(facts.spec["decision"]["positive"])
    said = [str(value) == positive for value in rows["@prediction"].to_pylist()]
    return np.array(said, dtype=np.bool_), f"selection rate (predicted {positive})"


def _outcomes(rows: pa.Table, facts: Facts, labels: Mapping[str, str]) -> tuple[Floats, Floats]:
    """Return each row's score (NaN: none, or no probability) and label (1: positive, 0, NaN: not known)."""
    nothing = np.full(rows.num_rows, np.nan)
    if facts.spec["model"]["task"] != "binary":
        return nothing, nothing
    scores, known = nothing, nothing.copy()
    if "@score" in rows.column_names:
        scores = np.array([np.nan if value is None else value for value in rows["@score"].to_pylist()], dtype=float)
    if "@id" in rows.column_names:
        positive = str(facts.spec["decision"]["positive"])
        found = [labels.get(str(name)) for name in rows["@id"].to_pylist()]
        known = np.array([np.nan if label is None else float(label == positive) for label in found])
    return np.where((scores >= 0) & (scores <= 1), scores, np.nan), known


def _table(name: str, words: Sequence[str | None], chosen: Bools, outcomes: tuple[Floats, Floats]) -> dict[str, Any]:
    known = [word for word in words if word is not None]
    values = np.array([word if word is not None else "" for word in words], dtype=object)
    is_known = np.array([word is not None for word in words], dtype=np.bool_)
    counts = {
        word: (int((here := is_known & (values == word)).sum()), int(chosen[here].sum())) for word in sorted(set(known))
    }
    small = {word for word, (rows, _) in counts.items() if rows < SMALL_SHARE * max(len(words), 1)}
    rates = {word: selected / rows for word, (rows, selected) in counts.items()}
    names = tuple(counts)
    place = {word: at for at, word in enumerate(names)}
    groups_of = np.array([-1 if word is None else place[word] for word in words], dtype=np.int64)
    counted = GroupCounts.empty(GroupBins(names)).updated(groups_of, chosen, *outcomes)
    measured = {item.name: {key: asdict(item)[key] for key in _SHOWN} for item in group_fairness(counted)}
    best = max((rate for word, rate in rates.items() if word not in small), default=0.0)
    groups = [
        {
            "name": word,
            "rows": rows,
            "selected": selected,
            "rate": rates[word],
            "impact_ratio": rates[word] / best if best > 0 else None,
            "small": word in small,
            **measured[word],
        }
        for word, (rows, selected) in counts.items()
    ]
    return {"name": name, "groups": groups, "unknown": len(words) - len(known)}
