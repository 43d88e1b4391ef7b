"""Writes the champion as a KServe InferenceService, for whoever applies it to a cluster (`kubectl apply`, GitOps)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from pitstop.errors import ReleaseTargetError
from pitstop.integrations.folder_target import replace_file
from pitstop.records.spec import ServingSection
from pitstop.replays.publishing import Publication

_TEMPLATE = """\
# Written by Pitstop at each release; changes made here are lost.
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: {name}
  annotations:
{annotations}
spec:
  predictor:
{canary}    model:
      modelFormat:
        name: {format}
      storageUri: {uri}
"""


@dataclass(frozen=True)
class KserveTarget:
    """A file with the InferenceService of the champion; its model is `kserve_storage`/models/DIGEST.

    While a canary serves a share of the rows (`[canary]`), the file names its model with that share of the traffic
    (`canaryTrafficPercent`): the cluster keeps the revision before, the champion, for the rest, and chooses requests by
    itself. Otherwise with `kserve_canary` below 100 a new revision gets that share until 100 is written. What a cluster
    makes of the file is for its operator to see; the annotations hold version and digest.
    """

    name: str = "kserve"

    def publish(self, publication: Publication, section: ServingSection, base: Path) -> None:
        """Write the file where it differs; raises `ReleaseTargetError` where that cannot be done."""
        path = base / section.kserve
        text = manifest(publication, section).encode()
        try:
            if path.is_file() and path.read_bytes() == text:
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, text)
        except OSError as error:
            msg = f"[serving] kserve: cannot write {path}: {error.strerror or error}; name another file and run again"
            raise ReleaseTargetError(msg) from error


def manifest(publication: Publication, section: ServingSection) -> str:
    """Return the YAML text. A service's name is the model's, in letters that Kubernetes takes."""
    # A JSON string is a YAML one, whatever it holds.
    notes = {f"pitstop/{key}": str(value) for key, value in publication.facts().items()}
    canary = publication.canary
    share = section.kserve_canary if canary is None else max(1, round(100 * canary.share))
    digest = publication.digest if canary is None else canary.digest
    return _TEMPLATE.format(
        # Quoted: YAML takes a bare true, no or null for no name.
        name=json.dumps(service_name(publication.model)),
        annotations="\n".join(f"    {key}: {json.dumps(value)}" for key, value in notes.items()),
        canary=f"    canaryTrafficPercent: {share}\n" if share < 100 else "",
        format=json.dumps(section.kserve_format),
        uri=json.dumps(f"{section.kserve_storage.rstrip('/')}/models/{digest}"),
    )


def service_name(model: str) -> str:
    """Return a DNS label of a model's name.

    >>> service_name("Hotel_cancellations 2")
    'hotel-cancellations-2'
    """
    name = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")[:63].strip("-")
    return name if name[:1].isalpha() else f"m-{name}"[:63].strip("-")
