"""`pitstop attest`, `approve`, `override` and `incident`: what a person says, as an entry of the journal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from pitstop.cli.recording import observed, record

if TYPE_CHECKING:
    from pitstop.compliance.facts import Artifact, Facts

ModelName = Annotated[str, typer.Argument(help="The model's name, as in its specification.")]
HomeFolder = Annotated[Path, typer.Option(help="The folder that keeps everything.")]
Name = Annotated[str, typer.Option("--by", help="Who says it.")]
Words = Annotated[str, typer.Option(help="What they say.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def attest(
    model: ModelName,
    item: Annotated[str, typer.Argument(help="An item of a pack, a test such as data.1, or the id of an incident.")],
    *,
    home: HomeFolder,
    by: Name,
    role: Annotated[str, typer.Option(help="As what they say it.")] = "",
    text: Words = "",
    until: Annotated[str, typer.Option(help="Until when it holds (ISO, or a row number).")] = "",
    automated: Annotated[bool, typer.Option("--automated", help="It runs by itself, and is repeated.")] = False,
    pack: Annotated[list[str] | None, typer.Option(help="A pack, or a path to one; default: all built in.")] = None,
    as_json: AsJson = False,
) -> None:
    """Record that a person says what no query can see."""
    from pitstop.compliance import statements  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.compliance.packs import BUILT_IN, load_packs  # noqa: PLC0415 - as above

    packs = load_packs(pack or BUILT_IN, Path())

    def say(facts: Facts) -> tuple[Artifact, ...]:
        end = facts.calendar.parse_instant(until) if until else None
        said = statements.attest(
            facts, packs, item, by=by, role=role, text=text, until=end, automated=automated, observed=observed()
        )
        return (said,)

    _tell(*record(home, model, say), f"{by} attests {item} of {model}", as_json)


def approve(
    model: ModelName,
    *,
    home: HomeFolder,
    by: Name,
    text: Words = "",
    challenger: Annotated[str, typer.Option(help="The id of a model; default: the one that is held up.")] = "",
    as_json: AsJson = False,
) -> None:
    """Record that an approver allows a release; whoever made the model may not."""
    from pitstop.compliance import statements  # noqa: PLC0415 - as above

    found = record(
        home,
        model,
        lambda facts: (statements.approve(facts, by=by, text=text, challenger=challenger, observed=observed()),),
    )
    _tell(*found, f"{by} approves {found[1][0].content['challenger']}", as_json)


def override(
    model: ModelName,
    item: Annotated[str, typer.Argument(help="The open item that holds up the release.")],
    *,
    home: HomeFolder,
    by: Name,
    text: Words,
    as_json: AsJson = False,
) -> None:
    """Record that the release that waits may be made although an item is open, and why."""
    from pitstop.compliance import statements  # noqa: PLC0415 - as above

    found = record(
        home, model, lambda facts: (statements.override(facts, item, by=by, text=text, observed=observed()),)
    )
    _tell(*found, f"{by} overrides {item} for {found[1][0].content['challenger']}", as_json)


incident = typer.Typer(name="incident", no_args_is_help=True, help="Serious incidents: clocks, and frozen evidence.")


@incident.command()
def declare(
    model: ModelName,
    *,
    home: HomeFolder,
    by: Name,
    text: Words,
    severity: Annotated[
        str, typer.Option(help="serious (15 days), death (10 days) or widespread (2 days).")
    ] = "serious",
    aware_at: Annotated[str, typer.Option(help="When you became aware of it (ISO); default: now.")] = "",
    as_json: AsJson = False,
) -> None:
    """Declare a serious incident: its clock starts, and its evidence is frozen."""
    from pitstop.compliance import statements  # noqa: PLC0415 - as above

    aware = aware_at or datetime.now(UTC).isoformat()

    def say(facts: Facts) -> tuple[Artifact, ...]:
        instant = facts.calendar.parse_instant(aware)
        return statements.declare(facts, severity=severity, aware_at=instant, by=by, text=text, observed=observed())

    _tell(*record(home, model, say), f"A {severity} incident is declared", as_json)


@incident.command()
def report(
    model: ModelName,
    name: Annotated[str, typer.Argument(help="The id of the declaration.")],
    *,
    home: HomeFolder,
    by: Name,
    text: Words,
    at: Annotated[str, typer.Option(help="When it was reported (ISO); default: now.")] = "",
    closes: Annotated[bool, typer.Option("--closes", help="It was put right: ends the freeze.")] = False,
    as_json: AsJson = False,
) -> None:
    """Record that a serious incident was reported, or put right."""
    from pitstop.compliance import statements  # noqa: PLC0415 - as above

    when = at or datetime.now(UTC).isoformat()

    def say(facts: Facts) -> tuple[Artifact, ...]:
        instant = facts.calendar.parse_instant(when)
        said = statements.report(facts, name, reported_at=instant, by=by, text=text, closes=closes, observed=observed())
        return (said,)

    _tell(*record(home, model, say), f"{name} is {'closed' if closes else 'reported'}", as_json)


@incident.command("list")
def listed(
    model: ModelName,
    *,
    home: HomeFolder,
    as_of: Annotated[str, typer.Option(help="How the clocks stand at this instant (ISO); default: now.")] = "",
    as_json: AsJson = False,
) -> None:
    """Print how the clocks of all serious incidents stand. Exit code 1 where one ran out."""
    from dataclasses import replace  # noqa: PLC0415 - as above

    from pitstop.compliance.clocks import serious_incidents  # noqa: PLC0415 - as above
    from pitstop.loop.recalling import facts_of  # noqa: PLC0415 - as above
    from pitstop.store.home import Home  # noqa: PLC0415 - as above

    with Home.open(home, read_only=True) as kept:
        facts = facts_of(kept, model)
    now = as_of or ("" if facts.calendar.by_rows else datetime.now(UTC).isoformat())
    facts = replace(facts, now=facts.calendar.parse_instant(now)) if now else facts
    found = serious_incidents(facts)
    late = [item for item in found if item.overdue(facts.now)]
    if as_json:
        rows = [
            {"id": item.declared.id, "due": facts.name(item.due), "overdue": item in late, "closed": bool(item.closed)}
            for item in found
        ]
        print(json.dumps({"model": model, "as_of": facts.name(facts.now), "incidents": rows}, indent=2))
    else:
        console = Console(highlight=False)
        for item in found:
            end = "" if item.closed is None else ", closed"
            console.print(f"{escape(item.declared.id)}  {escape(item.sentence(facts))}{end}", soft_wrap=True)
        if not found:
            console.print(f"No serious incident of {escape(model)} was declared.")
    if late:
        raise typer.Exit(1)


def _tell(facts: Facts, said: tuple[Artifact, ...], sentence: str, as_json: bool) -> None:
    if as_json:
        document: list[dict[str, Any]] = [
            {"id": item.id, "kind": item.kind, "at": facts.name(item.at), **item.content} for item in said
        ]
        print(json.dumps({"model": facts.model, "recorded": document}, indent=2))
        return
    names = ", ".join(item.id for item in said)
    print(f"{sentence}, as of {facts.name(facts.now)}: {names}")
