"""`pitstop retrain`, `release`, `rollback` and `challenger`: what a person orders, and what waits for an order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pitstop.cli.places import Place, is_address, order_there, print_there
from pitstop.cli.recording import observed
from pitstop.cli.run_command import remembered
from pitstop.errors import StoreError
from pitstop.report.formats import plural

if TYPE_CHECKING:
    from pitstop.loop.orders import Action
    from pitstop.records.spec import ModelSpec

Model = Annotated[str, typer.Argument(help="The model's name, as in its specification.")]
By = Annotated[str, typer.Option(help="Who orders it; a service knows it from the key.")]
Reason = Annotated[str, typer.Option(help="Why; it goes into the journal.")]
Spec = Annotated[Path | None, typer.Option(help="The model's pitstop.toml (default: the one of `pitstop run`).")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def retrain(
    model: Model,
    *,
    home: Place,
    by: By = "",
    reason: Reason,
    recipe: Annotated[
        str, typer.Option(help="Which history: all or last_K, and options (default: the policy's).")
    ] = "",
    spec: Spec = None,
    as_json: Json = False,
) -> None:
    """Fit a challenger on the labels known now and put it in shadow. Exit code 1 where the fit fails."""
    _order(home, model, "retrain", by, reason, spec, recipe=recipe, as_json=as_json)


def release(
    model: Model,
    version: Annotated[str, typer.Argument(help="A version in shadow, such as v3; may be left out if it is one.")] = "",
    *,
    home: Place,
    by: By = "",
    reason: Reason,
    spec: Spec = None,
    as_json: Json = False,
) -> None:
    """Make a version in shadow the champion, proven or not, unless a pack that binds objects (exit code 1)."""
    _order(home, model, "release", by, reason, spec, version=_number(version), as_json=as_json)


def rollback(
    model: Model, *, home: Place, by: By = "", reason: Reason, spec: Spec = None, as_json: Json = False
) -> None:
    """Go back to the last version that was good, and verify by digest what serves now."""
    _order(home, model, "rollback", by, reason, spec, as_json=as_json)


def challenger(
    model: Model,
    *,
    home: Place,
    retire: Annotated[str, typer.Option(help="Give this version in shadow up, such as v3.")] = "",
    by: By = "",
    reason: Reason = "",
    spec: Spec = None,
    as_json: Json = False,
) -> None:
    """Show what scores beside the champion: how strong the evidence is, and how long a verdict will take."""
    if retire:
        _order(home, model, "retire", by, reason, spec, version=_number(retire), as_json=as_json)
        return
    if is_address(home):
        print_there(home, model, "challenger", json=as_json)
        return
    from pitstop.replays.standing import standing_of  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast

    found = standing_of(home, model)
    if as_json:
        print(json.dumps(asdict(found), indent=2))
        return
    console = Console(highlight=False)
    console.print(f"[bold]{escape(found.champion)} serves[/bold] since {found.since}: {escape(found.reason)}.")
    for test in found.tests:
        console.print(f"- {escape(test.sentence)}", soft_wrap=True)
        if test.segments:
            _by_segment(console, test.version, test.segments)
    if found.held:
        console.print(f"- [yellow]held up[/yellow]: {escape(found.held)}", soft_wrap=True)
    if not found.tests and not found.held:
        console.print(f"- Nothing scores beside it. `pitstop retrain {model}` fits a challenger.", soft_wrap=True)


def _by_segment(console: Console, version: str, segments: Mapping[str, Any]) -> None:
    """Print how a challenger compares in each segment, once a label has come in one."""
    if not any(item["rows"] for item in segments["standings"]):
        return
    table = Table("segment", "verdict", box=None, pad_edge=False)
    for head in ("rows", "saving a row", "low", "high", "still needed"):
        table.add_column(head, justify="right")
    for item in segments["standings"]:
        figures = ("–" if item[key] is None else f"{item[key]:+.3g}" for key in ("gain", "low", "high"))  # noqa: RUF001
        needed = "–" if item["needed"] is None else f"{item['needed']:,}"  # noqa: RUF001 - an en dash, by intent
        name = escape(f"{item['column']} = {item['value']}")
        table.add_row(name, item["verdict"], f"{item['rows']:,}", *figures, needed)
    console.print(table)
    left_out = f" {plural(segments['left_out'], 'segment')} had too few rows." if segments["left_out"] else ""
    console.print(
        f"  {version} by segment: worse is by more than {segments['margin']:.3g} a row; all verdicts together are "
        f"wrong with probability {segments['alpha']:.0%} at most, each way.{left_out}",
        soft_wrap=True,
    )


def _order(
    home: str,
    model: str,
    action: Action,
    by: str,
    reason: str,
    spec: Path | None,
    *,
    version: int | None = None,
    recipe: str = "",
    as_json: bool,
) -> None:
    if is_address(home):
        _order_there(home, model, action, reason, version, recipe, as_json=as_json)
        return
    from pitstop.integrations.serving import carry_out, targets_of  # noqa: PLC0415 - as above
    from pitstop.loop.orders import Order  # noqa: PLC0415 - as above

    order = Order(action, by, reason, version, recipe, observed())
    described, base = _described(Path(home), model, spec)
    done = carry_out(home, order, spec=described, base=base)
    places = len(targets_of(described.serving))
    where = f", verified in {plural(places, 'target')}" if places else "; no target in \\[serving]"
    _tell(asdict(done), where, as_json=as_json)
    if not done.carried_out:
        raise typer.Exit(1)


def _order_there(
    address: str, model: str, action: str, reason: str, version: int | None, recipe: str, *, as_json: bool
) -> None:
    """Order at a service. Its targets are verified there, by the job."""
    job = order_there(address, model, {"action": action, "reason": reason, "version": version, "recipe": recipe})
    if job["state"] == "waiting":
        if as_json:
            print(json.dumps({"job": job["id"], "state": "waiting", "note": job["note"]}, indent=2))
        else:
            Console(highlight=False).print(f"{escape(job['id'])} {escape(job['note'])}", soft_wrap=True)
        return
    done: dict[str, Any] = {
        key: value for key, value in job["outcome"].items() if key not in ("carried_out", "already")
    }
    _tell(done, "", as_json=as_json)
    if not job["outcome"]["carried_out"]:
        raise typer.Exit(1)


def _tell(done: dict[str, Any], where: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(done, indent=2))
    else:
        console = Console(highlight=False)
        for number, stage, why in done["stages"]:
            console.print(f"v{number} {stage.replace('_', ' ')}: {escape(why)}", soft_wrap=True)
        if done["failure"]:
            console.print(f"[red]The fit failed[/red]: {escape(done['failure'])}", soft_wrap=True)
        if done["open"]:
            console.print(f"[yellow]Held up[/yellow]: {escape(done['open'])}", soft_wrap=True)
        console.print(
            f"[bold]{done['champion']} serves[/bold] from {done['at']} on (sha256 {done['digest'][:12]}{where}).",
            soft_wrap=True,
        )


def _described(home: Path, model: str, spec: Path | None) -> tuple[ModelSpec, Path]:
    """Return a model's specification and the folder of its paths: the one named, remembered, or kept in the home."""
    from pitstop.records.spec import load_spec, spec_of  # noqa: PLC0415 - as above
    from pitstop.store.home import Home as Kept  # noqa: PLC0415 - as above

    path = spec or (Path(known["spec"]) if "spec" in (known := remembered(home)) else None)
    if path is not None:
        loaded = load_spec(path)
        if loaded.model.name != model:
            msg = f"{path} describes {loaded.model.name!r}, not {model!r}; name that model, or another --spec"
            raise StoreError(msg)
        return loaded, path.parent
    with Kept.open(home, read_only=True) as kept:
        specs, rules = kept.artifacts("spec", model), kept.artifacts("rules", model)
        if not specs or (rules and rules[-1].content["packs"]):
            what = "rules that bind it" if specs else f"a model {model!r} that has begun"
            msg = f"{home} does not say where the specification with {what} is; name it with --spec pitstop.toml"
            raise StoreError(msg)
        content: dict[str, Any] = dict(specs[-1].content)
    return spec_of(content), Path()


def _number(version: str) -> int | None:
    text = version.strip().removeprefix("v")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        msg = f"got {version!r}; expected a version such as v3"
        raise typer.BadParameter(msg)
    return int(text)
