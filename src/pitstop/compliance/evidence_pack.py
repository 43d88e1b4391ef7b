"""An evidence pack as files: documents, the entries that they cite, a manifest, and the seal that proves all of it.

    index.html  *.html  *.pdf        the documents; each statement links to its entry in record.html
    record.jsonl                     each cited entry of the journal with its content
    checklists.json                  what the packs asked, and what was found
    manifest.json                    the SHA-256 of every file above
    seal.json                        the journal entry of this export, which holds the manifest's digest; for it and for
                                     every cited entry a proof (C2SP tlog-proof) under one signed checkpoint

So nothing in the pack can be changed without the key of the home that made it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pitstop.compliance.documents.pages import INDEX, RECORD, page, record_page
from pitstop.compliance.documents.parts import Chapter, Document, grid, note
from pitstop.compliance.documents.pdf import pdf
from pitstop.errors import EvidenceError, JournalError
from pitstop.journal.entries import Entry
from pitstop.journal.proofs import Proof
from pitstop.version import __version__

MANIFEST, SEAL, RECORDS, CHECKLISTS = "manifest.json", "seal.json", "record.jsonl", "checklists.json"
FORMAT = 1
_HREF = re.compile(rf'href="{RECORD}\.html#([^"]+)"')


@dataclass(frozen=True)
class Cited:
    """An entry that a document cites, with the exact text of its content."""

    entry: Entry
    content: str

    def to_json(self) -> dict[str, Any]:
        """Return it as a line of the record."""
        return {"entry": json.loads(self.entry.to_bytes()), "content": self.content}


@dataclass(frozen=True)
class PackCheck:
    """What the check of a pack found: faults in plain words, and what is proven where there are none."""

    faults: tuple[str, ...]
    model: str
    as_of: str
    files: int
    entries: int
    size: int
    origin: str


def pack_files(
    documents: Sequence[Document],
    cited: Sequence[Cited],
    checklists: Sequence[Mapping[str, Any]],
    *,
    model: str,
    as_of: str,
    with_pdf: bool,
) -> dict[str, bytes]:
    """Return the files of a pack, the manifest included and the seal not."""
    foot = f"{model}, as known at {as_of}."
    lines = [item.to_json() for item in cited]
    found = {
        f"{RECORD}.html": record_page(lines, foot).encode(),
        RECORDS: "".join(json.dumps(line, sort_keys=True, ensure_ascii=False) + "\n" for line in lines).encode(),
        CHECKLISTS: (json.dumps(list(checklists), indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode(),
    }
    whole = (_index(documents, model, as_of, with_pdf=with_pdf), *documents)
    for part in whole:
        found[f"{part.name}.html"] = page(part, foot).encode()
        if with_pdf:
            found[f"{part.name}.pdf"] = pdf(part, foot)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(found.items())}
    manifest = {"format": FORMAT, "made_by": f"pitstop {__version__}", "model": model, "as_of": as_of, "files": digests}
    return {**found, MANIFEST: (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()}


def seal(export: Cited, proofs: Mapping[str, Proof], verifier: str) -> bytes:
    """Return the seal: the entry of the export, and the proof of it and of every cited entry."""
    content = {
        "verifier": verifier,
        "export": export.to_json(),
        "proofs": {name: proof.to_text() for name, proof in sorted(proofs.items())},
    }
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def check_pack(files: Mapping[str, bytes], key: str = "") -> PackCheck:
    """Check a pack without anything else. `key` is the verifier key that one was handed by other means, if any.

    Raises `EvidenceError` where it is no pack or cannot be read.
    """
    try:
        manifest, sealed = json.loads(files[MANIFEST]), json.loads(files[SEAL])
        records = [json.loads(line) for line in files[RECORDS].splitlines()]
        model, as_of, listed = str(manifest["model"]), str(manifest["as_of"]), dict(manifest["files"])
        verifier, export, proofs = str(sealed["verifier"]), sealed["export"], dict(sealed["proofs"])
        lines = [(_entry(item["entry"]), str(item["content"]).encode()) for item in (*records, export)]
        promised = str(json.loads(export["content"])["manifest"])
    except (KeyError, TypeError, ValueError, RecursionError, JournalError) as error:
        msg = f"this is no evidence pack, or it is damaged: {error!r}; expected {MANIFEST}, {SEAL} and {RECORDS}"
        raise EvidenceError(msg) from error
    faults = list(_changed_files(files, listed))
    if hashlib.sha256(files[MANIFEST]).hexdigest() != promised:
        faults.append(f"{MANIFEST} is not the one that the journal recorded")
    if key and key.strip() != verifier:
        faults.append(f"the pack is signed by {verifier.partition('+')[0]}, and not by the key that was given")
    sizes = set()
    for entry, content in lines:
        if hashlib.sha256(content).hexdigest() != entry.digest:
            faults.append(f"the content of {entry.id} is not what entry {entry.sequence} recorded")
        try:
            proof = Proof.from_text(str(proofs.pop(entry.id, "")))
            sizes.add(proof.require(entry.to_bytes(), verifier).size)
            if proof.index != entry.sequence:
                faults.append(f"{entry.id} says that it is entry {entry.sequence}, its proof says {proof.index}")
        except JournalError as error:
            faults.append(f"{entry.id} is not proven: {error}")
    faults += [f"there is a proof of {name}, which no line of the record is" for name in proofs]
    known = {entry.id for entry, _ in lines}
    faults += [f"{name} cites {item}, which is not in the record" for name, item in _cited(files) if item not in known]
    if len(sizes) > 1:
        faults.append("the proofs are of different checkpoints")
    origin = verifier.partition("+")[0]
    return PackCheck(tuple(faults), model, as_of, len(listed), len(records), max(sizes, default=0), origin)


def _changed_files(files: Mapping[str, bytes], listed: Mapping[str, str]) -> Iterable[str]:
    for name, digest in listed.items():
        if name not in files:
            yield f"{name} is missing"
        elif hashlib.sha256(files[name]).hexdigest() != digest:
            yield f"{name} was changed"
    for name in sorted(files.keys() - listed.keys() - {MANIFEST, SEAL}):
        yield f"{name} was added: the manifest does not name it"


def _cited(files: Mapping[str, bytes]) -> Iterable[tuple[str, str]]:
    for name, content in files.items():
        if name.endswith(".html"):
            yield from ((name, item) for item in sorted(set(_HREF.findall(content.decode(errors="replace")))))


def _entry(fields: Mapping[str, Any]) -> Entry:
    return Entry.from_bytes(json.dumps(fields).encode())


def _index(documents: Sequence[Document], model: str, as_of: str, *, with_pdf: bool) -> Document:
    endings = "HTML and PDF" if with_pdf else "HTML"
    rows: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
        ((part.title, f"{part.name}.html"), ()) for part in documents
    ]
    rows.append((("The record behind the statements", f"{RECORD}.html"), ()))
    chapters = (
        Chapter("Documents", (grid(f"{len(rows)} documents, as {endings}", ("document", "file"), rows),)),
        Chapter(
            "How to check it",
            (
                note(
                    "Run `pitstop evidence verify` on this folder. It needs no network and nothing but Pitstop: it "
                    "checks every file against the manifest, and that and every cited entry against the signed journal."
                ),
                note(
                    "Observed: Pitstop saw it, and the entry behind it is linked. Attested: a person said so. Open: it "
                    "is asked for, and nobody has seen or said it."
                ),
                note(
                    "Compare the key that the check names with the one that was handed to you by other means: whoever "
                    "holds a home's key could make another pack."
                ),
            ),
        ),
    )
    return Document(INDEX, f"Evidence of {model}", f"As known at {as_of}.", chapters)
