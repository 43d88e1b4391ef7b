"""Publishes the champion to an MLflow server: a version of a registered model, and the alias that names it.

It speaks the server's REST API, so nothing of MLflow is installed here. MLflow wants a model to come from a run: each
release is one run of the experiment `pitstop`, and the file is its artifact. The version carries the file's digest as a
tag; tag and file are both read back.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from pitstop.errors import ReleaseTargetError, TargetRefusedError
from pitstop.integrations.exchange import exchange, exchange_json, part
from pitstop.integrations.mlflow_registry import CONFIRMED, RegisteredVersion
from pitstop.records.spec import ServingSection
from pitstop.replays.publishing import Publication

_TAG = "pitstop."
_EXPERIMENT = "pitstop"
_PROXIED = "mlflow-artifacts:/"
_FILE = "model"
_SEARCHED = 1000

Version = dict[str, Any]


@dataclass(frozen=True)
class MlflowTarget:
    """One version for each release, tagged with Pitstop's facts; `mlflow_alias` points at the one that serves.

    A rollback moves the alias back to the version that is there already. The file is Pitstop's own (`[trainer]` says
    what opens it), not one of MLflow's flavours.
    """

    name: str = "mlflow"
    seconds: float = 60.0

    def publish(self, publication: Publication, section: ServingSection, base: Path) -> None:
        """Upload, register, move the alias, and read back what it names; raises `ReleaseTargetError`."""
        del base
        server = _Server(section.mlflow.rstrip("/"), publication, self.seconds)
        # Whoever looks the alias up must find a whole model, so the alias comes last.
        if _digest(server.aliased(section.mlflow_alias)) != publication.digest:
            server.point(section.mlflow_alias, server.registered())
        named = server.aliased(section.mlflow_alias)
        served, stored = _digest(named), server.stored_digest(named)
        if served != publication.digest or stored != publication.digest:
            msg = (
                f"{server.what}: the alias {section.mlflow_alias!r} names a model of digest {served}, the stored file "
                f"has {stored}; expected {publication.digest}. Somebody else moves it: give Pitstop an alias of its own"
            )
            raise ReleaseTargetError(msg)
        server.confirm(named)


def version_of(address: str, name: str, release: str) -> RegisteredVersion | None:
    """Return the version that was made for a release of ours, None where there is none."""
    server = _Server(address.rstrip("/"), Publication(name, 0, release, "", "", b""), 60.0)
    found = server.tagged("release", release)
    if found is None:
        return None
    tags = {str(tag["key"]): str(tag["value"]) for tag in found.get("tags", ())}
    return RegisteredVersion(name, str(found["version"]), str(found.get("run_id", "")), str(found["source"]), tags)


class _Server:
    def __init__(self, address: str, publication: Publication, seconds: float) -> None:
        self._address = address
        self._publication = publication
        self._seconds = seconds
        self.what = f"[serving] mlflow for {publication.model} v{publication.version}"

    def aliased(self, alias: str) -> Version | None:
        """Return the version that an alias names, None where it names none."""
        query = urlencode({"name": self._publication.model, "alias": alias})
        try:
            answer = self._ask("GET", f"registered-models/alias?{query}")
        except TargetRefusedError as error:
            if error.status in (400, 404):
                return None
            raise
        found: Version = part(answer, "model_version", what=self.what)
        return found

    def registered(self) -> str:
        """Return the number of this release's version; make it, with its file, where it is not there."""
        publication = self._publication
        self._made("registered-models/create", {"name": publication.model})
        known = self._version()
        if known is not None:
            return known
        run = self._run()
        source = f"{run['artifact_uri']}/model"
        headers = {"Content-Type": "application/octet-stream"}
        address = f"{self._files(source)}/{_FILE}"
        exchange("PUT", address, publication.content, what=self.what, headers=headers, seconds=self._seconds)
        # A version is for good, and a canary beside it is not.
        facts = replace(publication, canary=None).facts()
        tags = [{"key": _TAG + key, "value": str(value)} for key, value in facts.items()]
        content = {"name": publication.model, "source": source, "run_id": run["run_id"], "tags": tags}
        made = self._ask("POST", "model-versions/create", content)
        return str(part(made, "model_version", "version", what=self.what))

    def point(self, alias: str, version: str) -> None:
        """Let the alias name a version."""
        content = {"name": self._publication.model, "alias": alias, "version": version}
        self._ask("POST", "registered-models/alias", content)

    def confirm(self, version: Version | None) -> None:
        """Note that the alias named a version: so a move by hand can be told from a publication to come."""
        if version is not None and CONFIRMED not in {tag["key"] for tag in version.get("tags", ())}:
            content = {"name": self._publication.model, "version": version["version"]}
            content |= {"key": CONFIRMED, "value": "yes"}
            self._ask("POST", "model-versions/set-tag", content)

    def stored_digest(self, version: Version | None) -> str | None:
        """Return the digest of a version's file as the server gives it back."""
        if version is None:
            return None
        address = f"{self._files(version['source'])}/{_FILE}"
        # One byte more than it should have shows that it is another one.
        most = len(self._publication.content) + 1
        content = exchange("GET", address, None, what=self.what, headers={}, seconds=self._seconds, most=most)
        return hashlib.sha256(content).hexdigest()

    def _run(self) -> dict[str, Any]:
        """Begin a run of Pitstop's experiment; it is there for its artifact and ends at once."""
        self._made("experiments/create", {"name": _EXPERIMENT})
        found = self._ask("GET", f"experiments/get-by-name?{urlencode({'experiment_name': _EXPERIMENT})}")
        name = f"{self._publication.model} v{self._publication.version}"
        experiment = part(found, "experiment", "experiment_id", what=self.what)
        begun = {"experiment_id": experiment, "run_name": name}
        run: dict[str, Any] = part(self._ask("POST", "runs/create", begun), "run", "info", what=self.what)
        self._ask("POST", "runs/update", {"run_id": run["run_id"], "status": "FINISHED"})
        return run

    def _made(self, path: str, content: dict[str, Any]) -> None:
        """Make something that may be there already."""
        try:
            self._ask("POST", path, content)
        except TargetRefusedError as error:
            if "RESOURCE_ALREADY_EXISTS" not in error.said:
                raise

    def _files(self, source: str) -> str:
        if not source.startswith(_PROXIED):
            msg = (
                f"{self.what}: the server keeps artifacts at {source!r}, where Pitstop cannot write; start it with "
                "--serve-artifacts and an --artifacts-destination (its default)"
            )
            raise ReleaseTargetError(msg)
        path = quote(source.removeprefix(_PROXIED).lstrip("/"))
        return f"{self._address}/api/2.0/mlflow-artifacts/artifacts/{path}"

    def _version(self) -> str | None:
        # By the digest: a name may hold quotes, and the server's filters have no way to write those.
        found = self.tagged("digest", self._publication.digest)
        return None if found is None else str(found["version"])

    def tagged(self, key: str, value: str) -> Version | None:
        """Return the version of this model with a tag of ours; `value` has no quotes."""
        wanted = f"tags.`{_TAG}{key}` = '{value}'"
        token = ""
        while True:
            query = urlencode({"filter": wanted, "max_results": _SEARCHED, "page_token": token})
            page = self._ask("GET", f"model-versions/search?{query}")
            for version in page.get("model_versions", ()):
                if version["name"] == self._publication.model:
                    found: Version = version
                    return found
            token = page.get("next_page_token", "")
            if not token:
                return None

    def _ask(self, method: str, path: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        address = f"{self._address}/api/2.0/mlflow/{path}"
        return exchange_json(method, address, content, what=self.what, seconds=self._seconds)


def _digest(version: Version | None) -> str | None:
    """Return the digest that a version is tagged with."""
    tags = {tag["key"]: str(tag["value"]) for tag in (version or {}).get("tags", ())}
    return tags.get(_TAG + "digest")
