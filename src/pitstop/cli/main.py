"""The `pitstop` command: one function for each subcommand, errors as one sentence, exit codes for scripts."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pitstop.cli.check_command import check
from pitstop.cli.demo_command import demo
from pitstop.cli.doctor_command import doctor
from pitstop.cli.evidence_command import evidence
from pitstop.cli.init_command import init
from pitstop.cli.journal_command import journal
from pitstop.cli.log_command import labels, log
from pitstop.cli.replay_command import replay
from pitstop.cli.run_command import run as run_due
from pitstop.errors import PitstopError
from pitstop.version import __version__

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
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


app.command()(demo)
app.command()(init)
app.command()(check)
app.command()(replay)
app.command("run")(run_due)
app.command()(log)
app.command()(labels)
app.command()(evidence)
app.add_typer(journal)
app.command()(doctor)


def run() -> None:
    """Run the command line: exit code 2 and one sentence for a deliberate error, 130 for an interruption."""
    try:
        app()
    except PitstopError as error:
        typer.echo(f"pitstop: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("pitstop: interrupted; what was done is kept, the same command goes on from there", err=True)
        sys.exit(130)
