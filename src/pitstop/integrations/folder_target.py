"""Publishes the champion to a folder: its file named by its digest, and `champion.json`, replaced in one step."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from pitstop.errors import ReleaseTargetError
from pitstop.records.spec import ServingSection
from pitstop.replays.publishing import Publication
from pitstop.store.files import digest_of_file, make_folder, sync_folder

CHAMPION = "champion.json"
MODELS = "models"


@dataclass(frozen=True)
class FolderTarget:
    """A folder with `champion.json` {model, version, release, digest, at} and `models/DIGEST`, verified by digest.

    A canary adds `canary_version`, `canary_release`, `canary_digest` and `canary_share`. Whoever reads `champion.json`
    finds the models that it names: files of earlier champions stay, for a way back.
    """

    name: str = "folder"

    def publish(self, publication: Publication, section: ServingSection, base: Path) -> None:
        """Write the model's file, then the note that names it, and read both back."""
        folder = base / section.folder
        try:
            self._write(publication, folder)
            served = served_from(folder)
        except OSError as error:
            msg = (
                f"cannot publish {publication.model} v{publication.version} to {folder}: {error.strerror or error}; "
                "make room or give the right to write there, and run again"
            )
            raise ReleaseTargetError(msg) from error
        if served != publication.facts():
            msg = (
                f"{folder / CHAMPION} names {served} after {publication.facts()} was published there; "
                "somebody else writes this folder: give each model its own"
            )
            raise ReleaseTargetError(msg)

    def _write(self, publication: Publication, folder: Path) -> None:
        for changed in make_folder(folder / MODELS):
            sync_folder(changed)
        for part in (publication, publication.canary):
            if part is not None:
                model = folder / MODELS / part.digest
                if not model.is_file() or digest_of_file(model) != part.digest:
                    replace_file(model, part.content)
        note = json.dumps(publication.facts(), indent=2).encode() + b"\n"
        champion = folder / CHAMPION
        if not champion.is_file() or champion.read_bytes() != note:
            replace_file(champion, note)


def served_from(folder: Path) -> dict[str, str | int | float]:
    """Return what `champion.json` in a folder says, after the digests of the files that it names were checked.

    Raises `ReleaseTargetError` where it is not readable or its model's file is not the one it names, and `OSError`.
    """
    try:
        facts: dict[str, str | int | float] = json.loads((folder / CHAMPION).read_text(encoding="utf-8"))
        digests = [str(facts["digest"]), *(str(facts[name]) for name in ("canary_digest",) if name in facts)]
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{folder / CHAMPION} does not name a model ({error}); delete it and run `pitstop run` again"
        raise ReleaseTargetError(msg) from error
    for named in digests:
        got = digest_of_file(folder / MODELS / named)
        if got != named:
            msg = (
                f"{folder / MODELS / named} has the digest {got}, not the one it is named by: it was changed or "
                "damaged; run `pitstop run` again to publish it anew"
            )
            raise ReleaseTargetError(msg)
    return facts


def replace_file(target: Path, content: bytes) -> None:
    """Write a file whole or not at all, synced with its folder."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)
