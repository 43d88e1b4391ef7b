"""Answers to an auditor, from a home: what served when, the audit of selection, and a sealed pack of evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pitstop.compliance.checklist import Checklist
from pitstop.compliance.documents import builders
from pitstop.compliance.documents.parts import Document
from pitstop.compliance.documents.pdf import pdf_available
from pitstop.compliance.evidence_pack import MANIFEST, SEAL, Cited, pack_files, seal
from pitstop.compliance.facts import Artifact, Facts
from pitstop.compliance.fairness import audit
from pitstop.compliance.packs import Pack, load_packs, parse_pack
from pitstop.compliance.score import score
from pitstop.compliance.served import Served, served_at
from pitstop.errors import EvidenceError
from pitstop.loop.recalling import facts_of
from pitstop.records.identity import artifact_id
from pitstop.store.content import content_digest, exact_json
from pitstop.store.home import Home

DEFAULT_PACKS = ("evidence_checklist", "house_rules")


@dataclass(frozen=True)
class Export:
    """What was written: the files by name, the journal entry that seals them, and how many entries are cited."""

    files: Mapping[str, bytes]
    entry: str
    cited: int


def served(home: Path | str, model: str, at: str) -> Served:
    """Return what was in production at `at` (ISO, or a row number), why, and who approved it.

    `home` is the folder that keeps everything; it is only read. Raises `ReleaseError` before the first release.
    """
    with Home.open(home, read_only=True) as kept:
        facts = facts_of(kept, model)
        return served_at(facts, facts.calendar.parse_instant(at))


def audited(home: Home, facts: Facts) -> Artifact:
    """Return the audit of all predicted rows that are kept, by protected column. Raises `StatementError`."""
    columns = ["@id", "@prediction", "@score", *facts.spec["columns"]["protected"]]
    first = facts.start if facts.start is not None else 0
    came = home.read_segments("labels", facts.model, None, None, ["@id", "@label"])
    # In the order in which they came: the last one corrects those before.
    known = [came[name].to_pylist() if name in came.column_names else [] for name in ("@id", "@label")]
    labels = {str(row): str(label) for row, label in zip(*known, strict=True) if label is not None}
    return audit(facts, home.read_segments("predictions", facts.model, first, None, columns), labels)


def asked_packs(
    facts: Facts, names: Sequence[str] = (), base: Path = Path(), *, default: Sequence[str] = DEFAULT_PACKS
) -> tuple[Pack, ...]:
    """Return the packs to show: those that are named, else those that bind the model, after the `default` ones.

    What binds is read from the record of the rules, text and all, so it is what bound at that time.
    """
    if names:
        return load_packs(tuple(names), base)
    bound = [parse_pack(item["text"], item["name"]) for item in facts.rules.content["packs"]] if facts.rules else []
    taken = {pack.name for pack in bound}
    return (*load_packs([name for name in default if name not in taken], base), *bound)


def write_evidence(
    home: Path | str,
    model: str,
    out: Path | str,
    *,
    as_of: str = "",
    at: str = "",
    packs: Sequence[str] = (),
    pdf: bool | None = None,
    observed: Mapping[str, str] | None = None,
) -> Export:
    """Write a sealed pack of evidence into the folder `out`, and journal that it was.

    `as_of`: what was known then (empty: now). `at`: the instant of the page of what served (empty: `as_of`). `packs`
    are names or paths. `pdf`: with PDF beside each page; None: where the extra `pdf` is installed. Raises
    `EvidenceError` where `out` is not empty or cannot be written, nothing was on record at `as_of`, or the record does
    not fit what is kept.
    """
    folder = Path(out)
    with _written_to(folder):
        # Before anything is journalled: a pack that cannot be put anywhere is no export.
        folder.mkdir(parents=True, exist_ok=True)
        empty = not any(folder.iterdir())
    if not empty:
        msg = f"{folder} is not an empty folder; name another one for the evidence pack"
        raise EvidenceError(msg)
    with Home.open(home, create=False) as kept:
        facts = facts_of(kept, model, as_of)
        with_pdf = pdf_available() if pdf is None else pdf
        export = _exported(kept, facts, asked_packs(facts, packs), at, with_pdf, observed)
    with _written_to(folder):
        for name, content in export.files.items():
            (folder / name).write_bytes(content)
    return export


@contextmanager
def _written_to(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"cannot write an evidence pack into {folder}: {error.strerror or error}; name another folder"
        raise EvidenceError(msg) from error


def _exported(
    home: Home, facts: Facts, packs: Sequence[Pack], at: str, with_pdf: bool, observed: Mapping[str, str] | None
) -> Export:
    if not facts.of("spec"):
        msg = f"nothing of {facts.model} was on record at {facts.name(facts.now)}; ask for a later instant"
        raise EvidenceError(msg)
    checklists = [Checklist.of(pack, facts) for pack in packs]
    documents = tuple(_documents(facts, checklists, at))
    cited = _cited(home, facts.model, _with_causes(facts, (name for part in documents for name in part.ids)))
    files = pack_files(
        documents,
        cited,
        [item.to_json() for item in checklists],
        model=facts.model,
        as_of=facts.name(facts.now),
        with_pdf=with_pdf,
    )
    now = facts_of(home, facts.model)
    content = {
        "manifest": content_digest(files[MANIFEST].decode()),
        "as_of": facts.now,
        "files": len(files),
        "number": len(now.of("export")),
    }
    name = artifact_id("export", {**content, "at": now.now})
    with home.transaction() as store:
        store.put_artifact({**content, "observed": dict(observed or {})}, "export", name, now.now, (), facts.model)
    home.checkpoint()
    (sealed,) = _cited(home, facts.model, [name])
    proofs = {item.entry.id: home.prove(item.entry.sequence)[1] for item in (*cited, sealed)}
    files[SEAL] = seal(sealed, proofs, home.notes()[-1][1])
    return Export(files, name, len(cited))


def _documents(facts: Facts, checklists: Sequence[Checklist], at: str) -> Iterable[Document]:
    instant = facts.calendar.parse_instant(at) if at else facts.now
    if facts.champions:
        yield builders.served_page(served_at(facts, instant))
    yield from (
        build(facts)
        for build in (
            builders.model_card,
            builders.dossier,
            builders.monitoring_plan,
            builders.validation_memo,
            builders.fairness_summary,
            builders.incident_report,
        )
    )
    yield from (builders.checklist(item) for item in checklists)
    yield builders.score_page(facts, score(facts))


def _with_causes(facts: Facts, names: Iterable[str]) -> set[str]:
    """Return ids with all that led there, so that every `why` can be walked within the pack."""
    found: set[str] = set()
    front = set(names) & facts.by_id.keys()
    while front:
        found |= front
        front = {cause for name in front for cause in facts.by_id[name].caused_by} & facts.by_id.keys() - found
    return found


def _cited(home: Home, model: str, names: Iterable[str]) -> tuple[Cited, ...]:
    """Return the entries of artifacts with the exact text of their content, by entry."""
    wanted = set(names)
    entries = [entry for entry in home.journal() if entry.model == model and entry.id in wanted]
    found = []
    for entry in entries:
        text = exact_json(home.artifact(model, entry.id).content)
        if content_digest(text) != entry.digest:
            msg = f"{entry.id} is not what entry {entry.sequence} recorded; see `pitstop journal verify`"
            raise EvidenceError(msg)
        found.append(Cited(entry, text))
    return tuple(found)
