"""`pitstop segments`: where the model errs most, and whether all features together look as they did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def segments(
    model: Annotated[str, typer.Argument(help="The model's name; not needed where the home holds one.")] = "",
    *,
    home: Annotated[Path, typer.Option(help="The folder that keeps everything.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print the worst segments of a model as its newest closed period has them on record, confirmed on later rows."""
    from pitstop.loop.revisiting import only_model  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.loop.surveying import newest_survey  # noqa: PLC0415 - as above
    from pitstop.report.surveyed import domain_line, segment_lines  # noqa: PLC0415 - as above
    from pitstop.store.home import Home  # noqa: PLC0415 - as above

    with Home.open(home, read_only=True) as kept:
        name = only_model(kept, model)
        spec, content = newest_survey(kept, name)
    period = spec.calendar.name_period(content["period"]) if content else ""
    if as_json:
        found = {key: content.get(key) for key in ("segments", "domain")} if content else {}
        print(json.dumps({"model": name, "period": period or None, **found}, indent=2, allow_nan=False))
        return
    console = Console(highlight=False, markup=False)
    if "segments" not in content:
        why = "its newest period closed before segments were kept" if content else "no period has closed yet"
        console.print(f"{name}: {why}, so none is on record.", soft_wrap=True)
        return
    lines = segment_lines(content, spec.model.task)
    head = "errs most where" if lines else "errs evenly, as far as can be told: no segment was confirmed on later rows"
    console.print(f"{name}, as of {period}: {head}{':' if lines else '.'}", soft_wrap=True)
    for line in (*(f"- {line}" for line in lines), domain_line(content)):
        if line:
            console.print(line, soft_wrap=True)
