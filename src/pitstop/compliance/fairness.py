"""Selection rates and impact ratios by protected column, as New York City's Local Law 144 defines them.

6 RCNY 5-300 and 5-301: the *selection rate* of a category is the share of its members that were selected; where a tool
scores, the *scoring rate* is the share that scored above the sample's median. The *impact ratio* is the rate divided by
that of the category with the highest rate. Categories are taken one column at a time and all columns together
(intersectional). A category below 2% of the data may be left out of the ratios, and has to be counted. The law names no
smallest ratio.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pitstop.compliance.facts import Artifact, Facts
from pitstop.errors import StatementError
from pitstop.records.identity import artifact_id

SMALL_SHARE = 0.02
Bools = NDArray[np.bool_]


def audit(facts: Facts, rows: pa.Table) -> Artifact:
    """Return the audit of the rows that were predicted and are kept: one table for each protected column, and for all.

    `rows` has the protected columns, `@prediction` and `@score` (null where there is none). Rows whose category is
    missing are counted as unknown, and compared with nobody. Raises `StatementError` where there is nothing to compare.
    """
    columns = list(facts.spec["columns"]["protected"])
    task = facts.spec["model"]["task"]
    if not columns or task == "multiclass" or not rows.num_rows:
        why = "no row is kept" if columns and task != "multiclass" else "no protected column is named"
        why = "it has more than two classes" if task == "multiclass" else why
        msg = f"the selection of {facts.model} cannot be audited: {why}"
        raise StatementError(msg)
    chosen, rate = _chosen(rows, facts)
    words = {name: [None if value is None else str(value) for value in rows[name].to_pylist()] for name in columns}
    tables = [_table(name, words[name], chosen) for name in columns]
    if len(columns) > 1:
        both = [None if None in parts else " / ".join(parts) for parts in zip(*words.values(), strict=True)]
        tables.append(_table(" x ".join(columns), both, chosen))
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


def _table(name: str, words: Sequence[str | None], chosen: Bools) -> dict[str, Any]:
    known = [word for word in words if word is not None]
    values = np.array([word if word is not None else "" for word in words], dtype=object)
    is_known = np.array([word is not None for word in words], dtype=np.bool_)
    counts = {
        word: (int((here := is_known & (values == word)).sum()), int(chosen[here].sum())) for word in sorted(set(known))
    }
    small = {word for word, (rows, _) in counts.items() if rows < SMALL_SHARE * max(len(words), 1)}
    rates = {word: selected / rows for word, (rows, selected) in counts.items()}
    best = max((rate for word, rate in rates.items() if word not in small), default=0.0)
    groups = [
        {
            "name": word,
            "rows": rows,
            "selected": selected,
            "rate": rates[word],
            "impact_ratio": rates[word] / best if best > 0 else None,
            "small": word in small,
        }
        for word, (rows, selected) in counts.items()
    ]
    return {"name": name, "groups": groups, "unknown": len(words) - len(known)}
