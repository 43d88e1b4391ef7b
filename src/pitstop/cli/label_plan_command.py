"""`pitstop label-plan`: which rows to have labelled, and what their labels say of all rows."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def label_plan(
    model: Annotated[str, typer.Argument(help="The model's name; not needed where the home holds one.")] = "",
    *,
    home: Annotated[Path, typer.Option(help="The folder that keeps everything.")],
    n: Annotated[int, typer.Option("--n", min=2, help="How many rows can be labelled.")] = 200,
    windows: Annotated[int, typer.Option(min=1, help="Rows predicted in so many last windows are judged.")] = 30,
    out: Annotated[Path | None, typer.Option(help="Write the rows to label here (.csv or .parquet).")] = None,
    answers: Annotated[
        Path | None, typer.Option(help="The written plan with its column `label` filled in: print the estimate.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed draws other rows.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Choose the rows whose labels say most about the model's errors; with --answers, say what they say."""
    from pitstop.errors import ColumnValueError  # noqa: PLC0415 - with the rest, which is heavy
    from pitstop.loop.label_planning import answer, plan  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.loop.revisiting import revisit  # noqa: PLC0415 - as above
    from pitstop.records.sources import read_table  # noqa: PLC0415 - as above
    from pitstop.store.home import Home  # noqa: PLC0415 - as above

    if (out is None) == (answers is None):
        msg = "give either --out FILE (make a plan) or --answers FILE (the plan, labelled)"
        raise ColumnValueError(msg)
    with Home.open(home, read_only=True) as kept:
        known = revisit(kept, model)
    regression = known.spec.model.task == "regression"
    what = "mean absolute error" if regression else "error rate"
    if answers is not None:
        found = answer(known.spec, read_table(answers))
        if as_json:
            print(json.dumps({"metric": what, **asdict(found)}, indent=2, allow_nan=False))
            return
        print(
            f"{known.spec.model.name}: the {what} of the {found.rows:,} rows is {found.value:.4g} "
            f"(95%: {found.low:.4g} to {found.high:.4g}), by {found.labelled} labels. "
            "It holds also where the relation of inputs to outcome has changed."
        )
        return
    assert out is not None  # noqa: S101 - one of the two is given
    made = plan(known, n, windows, seed)
    _write(made.table, out)
    ready = len(made.table) - made.table["label"].null_count
    if as_json:
        document = {"file": str(out), "rows": made.rows, "to_label": len(made.table) - ready, "known": ready}
        print(json.dumps({**document, "metric": what, "expected": made.expected}, indent=2, allow_nan=False))
        return
    print(
        f"{known.spec.model.name}: {len(made.table)} of {made.rows:,} rows are in {out}; {ready} of them are labelled "
        f"already. Fill in the column `label`, then: pitstop label-plan --home {home} --answers {out}. "
        f"Without labels the {what} is expected to be {made.expected:.4g}."
    )


def _write(table: object, out: Path) -> None:
    import pyarrow.csv as pa_csv  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix.lower() == ".parquet":
        pq.write_table(table, out)
    else:
        pa_csv.write_csv(table, out)
