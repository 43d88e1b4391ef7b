"""`pitstop attest`, `approve`, `override` and `incident`: what a person says, as an entry of the journal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from pitstop.cli.places import Place, Signed, is_address, print_there, quoted, say_there
from pitstop.cli.recording import observed, record
from pitstop.errors import StatementError

if TYPE_CHECKING:
    from pitstop.compliance.facts import Artifact, Facts

ModelName = Annotated[str, typer.Argument(help="The model's name, as in its specification.")]
Words = Annotated[str, typer.Option(help="What they say.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def attest(
    model: ModelName,
    item: Annotated[str, typer.Argument(help="An item of a pack, a test such as data.1, or the id of an incident.")],
    *,
    home: Place,
    by: Signed = "",
    role: Annotated[str, typer.Option(help="As what they say it.")] = "",
    text: Words = "",
    until: Annotated[str, typer.Option(help="Until when it holds (ISO, or a row number).")] = "",
    automated: Annotated[bool, typer.Option("--automated", help="It runs by itself, and is repeated.")] = False,
    pack: Annotated[list[str] | None, typer.Option(help="A pack, or a path to one; default: all built in.")] = None,
    as_json: AsJson = False,
) -> None:
    """Record that a person says what no query can see."""
    if is_address(home):
        said = {"item": item, "text": text, "until": until, "automated": automated}
        _there(home, model, "attestations", said, f"attests {item} of {model}", as_json, odd=bool(pack or role))
        return
    from pitstop.compliance import statements  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.compliance.packs import BUILT_IN, load_packs  # noqa: PLC0415 - as above

    packs = load_packs(pack or BUILT_IN, Path())

    def say(facts: Facts) -> tuple[Artifact, ...]:
        end = facts.calendar.parse_instant(until) if until else None
        said = statements.attest(
            facts,
            packs,
            item,
            by=by,
            role=role,
            text=text,
            until=end,
            automated=automated,
            observed=observed(),
        )
        return (said,)

    _tell(*record(Path(home), model, say), f"{by} attests {item} of {model}", as_json)


def approve(
    model: ModelName,
    *,
    home: Place,
    by: Signed = "",
    text: Words = "",
    challenger: Annotated[str, typer.Option(help="The id of a model; default: the one that is held up.")] = "",
    as_json: AsJson = False,
) -> None:
    """Record that an approver allows a release; whoever made the model may not."""
    if is_address(home):
        _there(home, model, "approvals", {"text": text, "challenger": challenger}, "approves {challenger}", as_json)
        return
    from pitstop.compliance import statements  # noqa: PLC0415 - as above

    found = record(
        Path(home),
        model,
        lambda facts: (statements.approve(facts, by=by, text=text, challenger=challenger, observed=observed()),),
    )
    _tell(*found, f"{by} approves {found[1][0].content['challenger']}", as_json)


def override(
    model: ModelName,
    item: Annotated[str, typer.Argument(help="The open item that holds up the release.")],
    *,
    home: Place,
    by: Signed = "",
    text: Words,
    as_json: AsJson = False,
) -> None:
    """Record that the release that waits may be made although an item is open, and why."""
    if is_address(home):
        said = {"item": item, "text": text}
        _there(home, model, "overrides", said, f"overrides {item} for {{challenger}}", as_json)
        return
    from pitstop.compliance import statements  # noqa: PLC0415 - as above

    found = record(
        Path(home),
        model,
        lambda facts: (statements.override(facts, item, by=by, text=text, observed=observed()),),
    )
    _tell(*found, f"{by} overrides {item} for {found[1][0].content['challenger']}", as_json)


incident = typer.Typer(name="incident", no_args_is_help=True, help="Serious incidents: clocks, and frozen evidence.")


@incident.command()
def declare(
    model: ModelName,
    *,
    home: Place,
    by: Signed = "",
    text: Words,
    severity: Annotated[
        str, typer.Option(help="serious (15 days), death (10 days) or widespread (2 days).")
    ] = "serious",
    aware_at: Annotated[str, typer.Option(help="When you became aware of it (ISO); default: now.")] = "",
    as_json: AsJson = False,
) -> None:
    """Declare a serious incident: its clock starts, and its evidence is frozen."""
    if is_address(home):
        said = {"severity": severity, "text": text, "aware_at": aware_at}
        _there(home, model, "declarations", said, f"declares a {severity} incident", as_json)
        return
    from pitstop.compliance import statements  # noqa: PLC0415 - as above

    aware = aware_at or datetime.now(UTC).isoformat()

    def say(facts: Facts) -> tuple[Artifact, ...]:
        instant = facts.calendar.parse_instant(aware)
        return statements.declare(facts, severity=severity, aware_at=instant, by=by, text=text, observed=observed())

    _tell(*record(Path(home), model, say), f"{by} declares a {severity} incident", as_json)


@incident.command()
def report(
    model: ModelName,
    name: Annotated[str, typer.Argument(help="The id of the declaration.")],
    *,
    home: Place,
    by: Signed = "",
    text: Words,
    at: Annotated[str, typer.Option(help="When it was reported (ISO); default: now.")] = "",
    closes: Annotated[bool, typer.Option("--closes", help="It was put right: ends the freeze.")] = False,
    as_json: AsJson = False,
) -> None:
    """Record that a serious incident was reported, or put right."""
    if is_address(home):
        said = {"text": text, "at": at, "closes": closes}
        words = f"says that {name} is {'closed' if closes else 'reported'}"
        _there(home, model, f"declarations/{quoted(name)}/reports", said, words, as_json)
        return
    from pitstop.compliance import statements  # noqa: PLC0415 - as above

    when = at or datetime.now(UTC).isoformat()

    def say(facts: Facts) -> tuple[Artifact, ...]:
        instant = facts.calendar.parse_instant(when)
        said = statements.report(facts, name, reported_at=instant, by=by, text=text, closes=closes, observed=observed())
        return (said,)

    _tell(*record(Path(home), model, say), f"{by} says that {name} is {'closed' if closes else 'reported'}", as_json)


@incident.command("list")
def listed(
    model: ModelName,
    *,
    home: Place,
    as_of: Annotated[str, typer.Option(help="How the clocks stand at this instant (ISO); default: now.")] = "",
    as_json: AsJson = False,
) -> None:
    """Print how the clocks of all serious incidents stand. Exit code 1 where one ran out."""
    if is_address(home):
        print_there(home, model, "incident-list", as_of=as_of, json=as_json)
        return
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


def _there(
    address: str, model: str, path: str, said: dict[str, Any], sentence: str, as_json: bool, *, odd: bool = False
) -> None:
    """Say something at a service, whose key says who does; `odd` where an option is given that it has no place for."""
    if odd:
        msg = "a service takes the role from the key and the packs from the model; leave --role and --pack out"
        raise StatementError(msg)
    recorded = say_there(address, model, path, said)
    if as_json:
        document = [{"id": item["id"], "kind": item["kind"], "at": item["at"], **item["content"]} for item in recorded]
        print(json.dumps({"model": model, "recorded": document}, indent=2))
        return
    first = recorded[0]
    by, names = first["content"]["by"], ", ".join(item["id"] for item in recorded)
    words = sentence.replace("{challenger}", first["content"].get("challenger", ""))
    print(f"{by} {words}, as of {first['at']}: {names}")


def _tell(facts: Facts, said: tuple[Artifact, ...], sentence: str, as_json: bool) -> None:
    if as_json:
        document: list[dict[str, Any]] = [
            {"id": item.id, "kind": item.kind, "at": facts.name(item.at), **item.content} for item in said
        ]
        print(json.dumps({"model": facts.model, "recorded": document}, indent=2))
        return
    names = ", ".join(item.id for item in said)
    print(f"{sentence}, as of {facts.name(facts.now)}: {names}")
