"""The `pitstop` command: one function for each subcommand, errors as one sentence, exit codes for scripts."""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from pitstop.cli.backtest_command import backtest
from pitstop.cli.check_command import check
from pitstop.cli.demo_command import demo
from pitstop.cli.doctor_command import doctor
from pitstop.cli.erase_command import erase, hold, retain
from pitstop.cli.evidence_command import evidence
from pitstop.cli.feed_command import feed
from pitstop.cli.home_command import home
from pitstop.cli.init_command import init
from pitstop.cli.journal_command import journal
from pitstop.cli.key_command import key
from pitstop.cli.label_plan_command import label_plan
from pitstop.cli.log_command import labels, log
from pitstop.cli.order_commands import challenger, release, retrain, rollback
from pitstop.cli.power_command import power
from pitstop.cli.quarantine_command import quarantine
from pitstop.cli.replay_command import replay
from pitstop.cli.run_command import run as run_due
from pitstop.cli.segments_command import segments
from pitstop.cli.selftest_command import selftest
from pitstop.cli.served_command import audit, served
from pitstop.cli.statement_commands import approve, attest, incident, override
from pitstop.cli.status_commands import incidents, releases, status
from pitstop.cli.up_command import up
from pitstop.cli.value_command import value
from pitstop.cli.workspace_command import workspace
from pitstop.errors import PitstopError
from pitstop.version import __version__

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help as plain text: loading rich's Markdown would take longer than all the rest of --help
    help="Watches a model in production, names what went wrong, and knows when a retrain pays for itself.",
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def pitstop(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Watches a model in production, names what went wrong, and knows when a retrain pays for itself."""
    del version


# The panels of `pitstop --help`, in the order in which a newcomer needs them.
_BEGIN, _LIVE, _KNOW, _RECORD = "Begin", "Run a model", "Know what it sees and earns", "Rules and evidence"
_PANELS: dict[str, dict[str, Callable[..., None] | typer.Typer]] = {
    _BEGIN: {"demo": demo, "init": init, "check": check, "replay": replay, "backtest": backtest, "doctor": doctor},
    _LIVE: {
        "up": up,
        "key": key,
        "run": run_due,
        "log": log,
        "labels": labels,
        "feed": feed,
        "quarantine": quarantine,
        "status": status,
        "incidents": incidents,
        "releases": releases,
        "challenger": challenger,
        "retrain": retrain,
        "release": release,
        "rollback": rollback,
        "home": home,
        "workspace": workspace,
    },
    _KNOW: {"value": value, "selftest": selftest, "power": power, "segments": segments, "label-plan": label_plan},
    _RECORD: {
        "evidence": evidence,
        "served": served,
        "audit": audit,
        "attest": attest,
        "approve": approve,
        "override": override,
        "incident": incident,
        "journal": journal,
        "erase": erase,
        "retain": retain,
        "hold": hold,
    },
}
for panel, commands in _PANELS.items():
    for name, command in commands.items():
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, rich_help_panel=panel)
        else:
            app.command(name, rich_help_panel=panel)(command)


def run() -> None:
    """Run the command line.

    Exit code 2 and one sentence for a deliberate error and for what the system refuses, 130 for an interruption, 141
    (as of other programs) where whoever read the output went away: 1 would say that something was found.
    """
    codecs.register_error(_ESCAPED, _escape)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=_ESCAPED)
    try:
        app()
    except PitstopError as error:
        typer.echo(f"pitstop: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        typer.echo(f"pitstop: the system refuses: {error}; mend that, and run the command again", err=True)
        sys.exit(2)
    except SystemExit as ended:
        if _unread(ended):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(141)
        raise
    except KeyboardInterrupt:
        typer.echo("pitstop: interrupted; what was done is kept, the same command goes on from there", err=True)
        sys.exit(130)


_ESCAPED = "pitstop-escaped"


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Write what the output's encoding lacks as JSON escapes it, so that JSON stays JSON and text can be read."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)), error.end


def _unread(ended: SystemExit) -> bool:
    """Whether output could not be written because its reader is gone; typer and rich end with 1 then."""
    if isinstance(ended.__context__, BrokenPipeError):
        return True
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return True
    return False
