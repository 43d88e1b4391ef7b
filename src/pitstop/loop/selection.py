"""Selective labels: where the decision hides the outcome, labelled rows are no sample by which models can be compared.

Who is refused a loan never shows whether it would have been paid back. A challenger that decides otherwise is then
judged on the champion's choice of rows, and a fit learns from it. Without the chance with which each row was
decided as it was (its propensity) nothing puts that right, so nothing is retrained by itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pitstop.detection.clopper_pearson import lower_bound, upper_bound

# Labels of a decision that come less than a tenth as often as those of another are hidden by it, not slow.
_RATIO = 0.1
# One-sided level of both limits.
_ALPHA = 1e-3


def hidden_by_decision(decided: NDArray[np.object_], labelled: NDArray[np.bool_]) -> str:
    """Return why labelled rows may not be compared, "" where they may.

    `decided` are the decided classes of rows whose label ought to have come, `labelled` whether it did.
    """
    # Plain text: a class may be missing where nothing was served.
    names, codes = np.unique([str(name) for name in decided], return_inverse=True)
    if len(names) < 2:
        return ""
    rows = np.bincount(codes).astype(np.float64)
    known = np.bincount(codes, weights=labelled.astype(np.float64)).astype(np.float64)
    most, least = upper_bound(known, rows, _ALPHA), lower_bound(known, rows, _ALPHA)
    hidden, seen = int(np.argmin(most)), int(np.argmax(least))
    if most[hidden] >= _RATIO * least[seen]:
        return ""
    few, many = known[hidden] / rows[hidden], known[seen] / rows[seen]
    return (
        f"labels depend on the decision: {few:.1%} of the rows decided {str(names[hidden])!r} have one, and {many:.1%} "
        f"of those decided {str(names[seen])!r}, so models cannot be compared on them; decide a few of the former at "
        "random, log with which chance, and compare by that"
    )
