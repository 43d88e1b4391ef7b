"""`pitstop evidence`: what a policy asks of a model's upkeep, and what of it is on record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pitstop.cli.journal_command import checked
from pitstop.errors import PackError, StoreError, UnknownNameError

if TYPE_CHECKING:
    from pitstop.compliance.checklist import Checklist
    from pitstop.compliance.evidence import Facts
    from pitstop.compliance.packs import Pack
    from pitstop.store.home import Home

_SHOWN = 2
_STYLES = {"pass": "green", "attested": "green", "fail": "bold red", "stale": "yellow", "not applicable": "dim"}


def evidence(
    model: Annotated[str, typer.Argument(help="The model's name, as in its specification.")],
    *,
    home: Annotated[Path, typer.Option(help="The folder that keeps everything.")],
    pack: Annotated[str, typer.Option(help="A built-in pack, or a path to one of your own (.toml).")] = "house_rules",
    as_of: Annotated[str, typer.Option(help="What was known at this instant (ISO, or a row number).")] = "",
    attest: Annotated[str, typer.Option(help="Record that a person attests this item of the pack.")] = "",
    by: Annotated[str, typer.Option(help="Who attests it.")] = "",
    text: Annotated[str, typer.Option(help="What they say.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print a pack's obligations with the evidence that is on record. Exit code 0, or 1 where one is open."""
    from pitstop.compliance.checklist import Checklist  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.store.home import Home  # noqa: PLC0415 - as above

    asked = _pack(pack)
    if attest or by or text:
        with Home.open(home, create=False) as kept:
            _attest(kept, model, asked, attest, by, text)
    with Home.open(home, read_only=True) as kept:
        found = Checklist.of(asked, gather(kept, model, as_of))
    if as_json:
        print(json.dumps(found.to_json(), indent=2))
    else:
        _show(found)
    if found.open:
        raise typer.Exit(1)


def gather(home: Home, model: str, as_of: str = "") -> Facts:
    """Return what a home knows of a model at `as_of` (empty: at the end of the last window that was taken in).

    The journal is checked as it is now, whatever `as_of`. Raises `UnknownNameError` for a model that is not there.
    """
    from pitstop.compliance.evidence import Artifact, Facts  # noqa: PLC0415 - as above
    from pitstop.records.calendar import Calendar  # noqa: PLC0415 - as above

    if model not in home.models():
        msg = f"no model is called {model!r} in {home.path}; known: {', '.join(home.models()) or 'none yet'}"
        raise UnknownNameError(msg)
    specs = home.artifacts("spec", model)
    if not specs:
        msg = f"{model!r} has no first model yet, so there is nothing to show; run `pitstop run` until its start"
        raise StoreError(msg)
    time = specs[0].content["time"]
    calendar = Calendar(time["window"], time["period"])
    rows = [segment.window for segment in home.segments("predictions", model) if segment.rows]
    profiles = [profile.window for profile in home.profiles(model, "predicted")]
    now = calendar.window_start(max([*rows, *profiles], default=calendar.window_at(specs[0].at)) + 1)
    up_to = None
    if as_of:
        now = up_to = calendar.parse_instant(as_of)
    kept = home.artifacts(None, model, up_to)
    begun = [profile for profile in profiles if calendar.window_start(profile) < now]
    return Facts(
        model=model,
        calendar=calendar,
        now=now,
        artifacts=tuple(Artifact(item.id, item.kind, item.at, item.caused_by, item.content) for item in kept),
        windows=tuple(sorted(set(rows))),
        start=min(begun, default=None),
        journal=checked(home),
    )


def _pack(name: str) -> Pack:
    from pitstop.compliance.packs import built_in, parse_pack  # noqa: PLC0415 - as above

    if not name.endswith(".toml"):
        return built_in(name)
    try:
        return parse_pack(Path(name).read_text(encoding="utf-8"), name)
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read the pack {name}: {error}; name a .toml file, or a built-in pack"
        raise PackError(msg) from error


def _attest(home: Home, model: str, pack: Pack, item: str, by: str, text: str) -> None:
    """Keep what a person says, at the end of the last window that was taken in."""
    from pitstop.records.identity import artifact_id  # noqa: PLC0415 - as above

    open_to = [known.id for known in pack.items if known.query == "attestation"]
    if item not in open_to or not by.strip():
        msg = (
            f"got --attest {item!r} --by {by!r}; expected one of the items that a person attests "
            f"({', '.join(open_to) or 'this pack has none'}) and the name of that person"
        )
        raise PackError(msg)
    now = gather(home, model).now
    content = {"pack": pack.name, "item": item, "by": by.strip(), "text": text.strip(), "at": now}
    with home.transaction() as store:
        store.put_artifact(content, "attestation", artifact_id("attestation", content), now, (), model)


def _show(found: Checklist) -> None:
    console = Console(highlight=False)
    pack = found.pack
    console.print(
        f"[bold]{escape(pack.title)}[/bold] ({pack.dated}), asked of {escape(found.model)} as of {found.as_of}"
    )
    table = Table(box=None, pad_edge=False, show_header=False)
    for style in ("", ""):
        table.add_column(style=style, overflow="fold")
    for line in found.lines:
        answer = line.answer
        ids = ", ".join(answer.ids[:_SHOWN]) + (
            f" and {len(answer.ids) - _SHOWN} more" if len(answer.ids) > _SHOWN else ""
        )
        gate = " [dim](meant to hold up a release)[/dim]" if line.open and line.item.gate == "release" else ""
        body = f"{escape(line.item.obligation)}\n  {escape(answer.sentence)}{gate}"
        table.add_row(
            f"[{_STYLES[answer.status]}]{answer.status}[/]", body + (f"\n  [dim]{escape(ids)}[/dim]" if ids else "")
        )
    console.print(table)
    console.print(f"[dim]{escape(pack.notice)} Source: {escape(pack.source)}[/dim]")
