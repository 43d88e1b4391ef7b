"""Places outside the home in which copies of the journal are kept: a folder, a git repository, somebody's mail."""

from __future__ import annotations

import os
import shutil
import smtplib
import subprocess
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit

from pitstop.errors import ExportError
from pitstop.journal.exports import Bundle
from pitstop.store.files import sync_folder

_SECONDS = 60


def deliver(place: str, bundle: Bundle) -> None:
    """Put a bundle into a place; raise `ExportError` with the way out where that fails.

    `git:FOLDER` is a working tree, in which it is committed (and pushed, where a remote is set up);
    `smtp://HOST:PORT/ADDRESS` mails the newest checkpoint; everything else is a folder.
    """
    if place.startswith("smtp://"):
        _mail(place, bundle)
    elif place.startswith("git:"):
        folder = Path(place.removeprefix("git:"))
        _write(folder, bundle.files)
        _commit(folder, bundle)
    else:
        _write(Path(place), bundle.files)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files that are not there yet. One that is there has to say the same: nothing is ever changed."""
    try:
        for name, content in files.items():
            path = folder / name
            if path.exists():
                if path.read_bytes() != content:
                    msg = (
                        f"{path} says something else than this journal: it belongs to another journal, or one of them "
                        "was changed; run `pitstop journal verify` with --against it, and export to another place"
                    )
                    raise ExportError(msg)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.part")
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            sync_folder(path.parent)
    except OSError as error:
        msg = f"cannot write the journal to {folder}: {error.strerror or error}; check the place and run again"
        raise ExportError(msg) from error


def _commit(folder: Path, bundle: Bundle) -> None:
    _git(folder, "add", "--", "entries", "checkpoints", "keys")
    if _git(folder, "status", "--porcelain", "--", "entries", "checkpoints", "keys"):
        _git(folder, "commit", "--quiet", "-m", f"Journal: {bundle.size} entries")
    if _git(folder, "remote"):
        _git(folder, "push", "--quiet")


def _git(folder: Path, *words: str) -> str:
    program = shutil.which("git")
    if program is None:
        msg = f"no git program is installed, so nothing was committed in {folder}; install it, or export to a folder"
        raise ExportError(msg)
    try:
        done = subprocess.run(
            [program, *words], cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        msg = f"cannot run git in {folder}: {error}; check that the folder is a working tree"
        raise ExportError(msg) from error
    if done.returncode:
        msg = f"git {words[0]} failed in {folder}: {done.stderr.strip()[:300]}; mend it there and run again"
        raise ExportError(msg)
    return done.stdout.strip()


def _mail(place: str, bundle: Bundle) -> None:
    try:
        parts = urlsplit(place)
        host, port, to = parts.hostname, parts.port or 25, parts.path.removeprefix("/")
    except ValueError:  # a port that is no number
        host, port, to = None, 0, ""
    if not host or "@" not in to:
        msg = f"got the place {place!r}; expected smtp://HOST:PORT/ADDRESS"
        raise ExportError(msg)
    message = EmailMessage()
    message["From"], message["To"] = to, to
    message["Subject"] = f"Journal: checkpoint of {bundle.size} entries"
    keys = [content.decode().strip() for name, content in bundle.files.items() if name.startswith("keys/")]
    message.set_content(f"{bundle.newest}\nKeys:\n" + "\n".join(keys) + "\n")
    try:
        with smtplib.SMTP(host, port, timeout=_SECONDS) as server:
            server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        msg = f"cannot mail the checkpoint to {to} by {host}: {error}; check the server and run again"
        raise ExportError(msg) from error
