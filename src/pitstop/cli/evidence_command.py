"""`pitstop evidence`: what packs ask of a model's upkeep, what of it is on record, and a sealed pack for an auditor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.core import TyperGroup

from pitstop.cli.places import Place, is_address, print_there
from pitstop.cli.recording import observed
from pitstop.errors import EvidenceError

if TYPE_CHECKING:
    from pitstop.compliance.checklist import Checklist
    from pitstop.compliance.score import Score

_SHOWN = 2
_STYLES = {"pass": "green", "attested": "italic", "fail": "bold red", "stale": "yellow", "not applicable": "dim"}


class _ModelFirst(TyperGroup):
    """Takes `evidence MODEL` for `evidence show MODEL`: what is asked for most needs no further word."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, "--help"}:
            args = ["show", *args]
        return super().parse_args(ctx, args)


evidence = typer.Typer(
    name="evidence",
    cls=_ModelFirst,
    no_args_is_help=True,
    help="What policy packs ask of a model, and what of it is on record. `evidence MODEL` is short for `show MODEL`.",
)


@evidence.command()
def show(
    model: Annotated[str, typer.Argument(help="The model's name, as in its specification.")],
    *,
    home: Place,
    pack: Annotated[
        list[str] | None, typer.Option(help="A built-in pack, or a path to one of your own (.toml); may be repeated.")
    ] = None,
    as_of: Annotated[str, typer.Option(help="What was known at this instant (ISO, or a row number).")] = "",
    out: Annotated[Path | None, typer.Option(help="Write a sealed evidence pack into this new folder.")] = None,
    at: Annotated[str, typer.Option(help="With --out: the instant of the page of what served.")] = "",
    score: Annotated[bool, typer.Option("--score", help="The ML Test Score in place of a checklist.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print the obligations of packs with the evidence on record. Exit code 0, or 1 where one is open."""
    if is_address(home):
        if out is not None:
            msg = "an evidence pack is written on the service's own machine, or downloaded from its pages"
            raise EvidenceError(msg)
        print_there(home, model, "evidence", as_of=as_of, packs=",".join(pack or ()), score=score, json=as_json)
        return
    from pitstop.compliance.checklist import Checklist  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.loop.auditing import asked_packs  # noqa: PLC0415 - as above
    from pitstop.loop.recalling import facts_of  # noqa: PLC0415 - as above
    from pitstop.store.home import Home  # noqa: PLC0415 - as above

    if out is not None:
        _write(Path(home), model, out, as_of, at, tuple(pack or ()), as_json=as_json)
        return
    with Home.open(home, read_only=True) as kept:
        facts = facts_of(kept, model, as_of)
        if score:
            _show_score(facts, as_json=as_json)
            return
        packs = asked_packs(facts, tuple(pack or ()), default=("house_rules",))
        found = [Checklist.of(item, facts) for item in packs]
    if as_json:
        documents = [item.to_json() for item in found]
        print(json.dumps(documents[0] if len(documents) == 1 else documents, indent=2))
    else:
        for item in found:
            _show(item)
    if any(item.open for item in found):
        raise typer.Exit(1)


@evidence.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="The folder of an evidence pack.")],
    *,
    key: Annotated[str, typer.Option(help="The verifier key that you were handed by other means.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check an evidence pack offline. Exit code 0: as it was sealed; 1: it was changed; 2: it cannot be read."""
    from pitstop.compliance.evidence_pack import check_pack  # noqa: PLC0415 - as above
    from pitstop.journal.checkpoints import stated_key  # noqa: PLC0415 - as above

    key = stated_key(key) if key else ""
    try:
        files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    except OSError as error:
        msg = f"cannot read {folder}: {error.strerror or error}"
        raise EvidenceError(msg) from error
    found = check_pack(files, key)
    if as_json:
        document: dict[str, Any] = {"ok": not found.faults, **found.__dict__, "faults": list(found.faults)}
        print(json.dumps(document, indent=2))
    elif found.faults:
        print(f"The evidence pack of {found.model} does NOT verify:")
        for fault in found.faults:
            print(f"- {fault}")
    else:
        print(
            f"The evidence pack of {found.model}, as known at {found.as_of}, is as it was sealed: {found.files} files, "
            f"and {found.entries} entries that are proven in a journal of {found.size:,}, signed by {found.origin}."
        )
        if not key:
            print("Compare that key with the one that you were handed by other means, or give it with --key.")
    if found.faults:
        raise typer.Exit(1)


def _write(home: Path, model: str, out: Path, as_of: str, at: str, packs: tuple[str, ...], *, as_json: bool) -> None:
    from pitstop.loop.auditing import write_evidence  # noqa: PLC0415 - as above

    export = write_evidence(home, model, out, as_of=as_of, at=at, packs=packs, observed=observed())
    if as_json:
        facts = {"folder": str(out), "files": len(export.files), "entry": export.entry, "cited": export.cited}
        print(json.dumps(facts, indent=2))
        return
    print(f"Evidence pack: {out} ({len(export.files)} files, {export.cited} entries cited; sealed by {export.entry})")


def _show_score(facts: Any, *, as_json: bool) -> None:
    from pitstop.compliance.score import SECTIONS, score  # noqa: PLC0415 - as above

    found: Score = score(facts)
    if as_json:
        print(json.dumps(found.to_json(), indent=2))
        return
    console = Console(highlight=False)
    console.print(
        f"[bold]ML Test Score of {escape(facts.model)}: {found.final:g}[/bold], the smallest of four sections"
    )
    for name in SECTIONS:
        points = found.section(name)
        bar = "#" * round(points * 2) + "." * (14 - round(points * 2))
        mark = " [bold]<- the one that counts[/bold]" if points == found.final else ""
        console.print(f"{name:<15} {points:>4g} of 7  {bar}{mark}")
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    for item in found.tests:
        table.add_row(item.test.id, f"{item.points:g}", f"{escape(item.test.text)}\n  [dim]{escape(item.found)}[/dim]")
    console.print(table)
    if found.next is not None:
        console.print(f"Next half point: {found.next.test.id}. {escape(found.next.test.next)}", soft_wrap=True)


def _show(found: Checklist) -> None:
    console = Console(highlight=False)
    pack = found.pack
    counts = ", ".join(f"{count} {status}" for status, count in sorted(found.counts.items()))
    console.print(
        f"[bold]{escape(pack.title)}[/bold] ({pack.dated}), asked of {escape(found.model)} as of {found.as_of}"
    )
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(2):
        table.add_column(overflow="fold")
    for line in found.lines:
        answer = line.answer
        ids = ", ".join(answer.ids[:_SHOWN]) + (
            f" and {len(answer.ids) - _SHOWN} more" if len(answer.ids) > _SHOWN else ""
        )
        gate = " [dim](gates a release)[/dim]" if line.open and line.item.gate == "release" else ""
        later = "" if line.binding else " [dim](not in effect at that time)[/dim]"
        say = (
            f" [dim](pitstop attest {escape(found.model)} {line.item.id})[/dim]"
            if line.open and line.item.manual
            else ""
        )
        body = f"{escape(line.item.obligation)}\n  {escape(answer.sentence)}{say}{gate}{later}"
        table.add_row(
            f"[{_STYLES[answer.status]}]{answer.status}[/]", body + (f"\n  [dim]{escape(ids)}[/dim]" if ids else "")
        )
    console.print(table)
    console.print(f"{counts}. [dim]{escape(pack.notice)} Source: {escape(pack.source)}[/dim]")
