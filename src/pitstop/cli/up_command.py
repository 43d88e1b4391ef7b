"""`pitstop up`: ingest, pages and a worker; or one of them, as often as the load asks for."""

from __future__ import annotations

import importlib.util
import os
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pitstop.errors import EngineError, StoreError

if TYPE_CHECKING:
    from pitstop.service.settings import Work
    from pitstop.service.workspace import Workspace


class Part(StrEnum):
    """What a process of the service does: answers requests, or works, or both (the work in a process beside it)."""

    ALL = "all"
    API = "api"
    WORKER = "worker"


def up(
    *,
    workspace: Annotated[Path, typer.Option(help="The folder that keeps everything of the service.")] = Path(
        "pitstop-workspace"
    ),
    home: Annotated[
        list[Path] | None, typer.Option(help="Also serve the models of this home (such as demo-home); may be repeated.")
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on; other than this machine's needs --login.")] = (
        "127.0.0.1"
    ),
    port: Annotated[
        int, typer.Option(help="0 takes a free one; the usual one too where it is taken.", min=0, max=65535)
    ] = (8765),
    login: Annotated[bool, typer.Option("--login", help="Ask everybody who they are.")] = False,
    public_url: Annotated[str, typer.Option(help="The address that people type, behind a proxy.")] = "",
    private_host: Annotated[
        list[str] | None, typer.Option(help="A host within your network that messages may go to; may be repeated.")
    ] = None,
    spec: Annotated[
        list[Path] | None, typer.Option(help="Also serve a new model, by its pitstop.toml; may be repeated.")
    ] = None,
    owner: Annotated[str, typer.Option(help="Who owns the models that are named here.")] = "",
    oidc_issuer: Annotated[
        str, typer.Option(help="Log in at this identity provider; the secret: PITSTOP_OIDC_SECRET.")
    ] = "",
    oidc_client: Annotated[str, typer.Option(help="How this service is known there.")] = "pitstop",
    oidc_roles: Annotated[str, typer.Option(help="The claim that lists roles; without it people are viewers.")] = "",
    part: Annotated[
        Part, typer.Option(help="Only answer requests, or only work; several of each may run on PostgreSQL.")
    ] = Part.ALL,
    spool: Annotated[
        Path | None, typer.Option(help="Where acknowledged batches wait on this machine, not in the workspace.")
    ] = None,
    health: Annotated[
        str, typer.Option(help="Of --part worker: the PORT, or HOST:PORT, at which /healthz and /readyz answer.")
    ] = "",
) -> None:
    """Serve models for a team: rows in, the loop on its schedule, pages, and an API."""
    if health and part is not Part.WORKER:
        msg = "--health is for --part worker; a process that answers requests has /healthz and /readyz among them"
        raise StoreError(msg)
    if importlib.util.find_spec("starlette") is None or importlib.util.find_spec("uvicorn") is None:
        msg = "`pitstop up` needs what comes with the extra `server`: pip install 'pitstop[server]'"
        raise EngineError(msg)
    from pitstop.records.spec import load_spec  # noqa: PLC0415 - as below
    from pitstop.service.auth.oidc import Provider  # noqa: PLC0415 - as below
    from pitstop.service.running import serve  # noqa: PLC0415 - heavy and optional
    from pitstop.service.settings import Settings, Work  # noqa: PLC0415 - as above
    from pitstop.service.workspace import Workspace  # noqa: PLC0415 - as above

    hosts, waits = frozenset(private_host or ()), str(spool.absolute()) if spool is not None else ""
    asks, keeps = login or bool(oidc_issuer), part is Part.ALL
    settings = Settings(host, port, asks, public_url, hosts, keeps, waits)
    secret = os.environ.get("PITSTOP_OIDC_SECRET", "")
    provider = Provider(oidc_issuer, oidc_client, secret, roles_claim=oidc_roles) if oidc_issuer else None
    at = time.time_ns() // 1_000
    with Workspace.open(workspace) as opened:
        for folder in home or ():
            opened.adopt(folder, at=at, owner=owner)
        known = {model.name for model in opened.models()}
        for path in spec or ():
            if load_spec(path).model.name not in known:
                opened.register(path.read_text(encoding="utf-8"), at=at, owner=owner, base=path.absolute().parent)
        if part is Part.WORKER:
            _work(opened, Work(tuple(sorted(hosts)), waits, public_url), health)
        else:
            serve(opened, settings, _say, provider)


def _work(opened: Workspace, work: Work, health: str) -> None:
    """Work until Ctrl-C or SIGTERM."""
    from pitstop.service.worker import serve_jobs, until_told  # noqa: PLC0415 - heavy and optional
    from pitstop.service.worker_health import read_health  # noqa: PLC0415 - as above

    where = read_health(health) if health else None
    until_told(lambda ended: serve_jobs(opened, work, ended, _say, where))


def _say(sentence: str) -> None:
    typer.echo(sentence, err=True)
