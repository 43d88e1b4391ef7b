"""A real MLflow server: the alias names what serves, a rollback moves it back, and what was changed is noticed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pitstop.errors import ReleaseTargetError
from pitstop.integrations.mlflow_target import MlflowTarget
from pitstop.records.spec import ServingSection
from pitstop.replays.publishing import Publication

pytestmark = pytest.mark.slow


def publication(version: int = 1, content: bytes = b"weights", model: str = "m") -> Publication:
    digest = hashlib.sha256(content).hexdigest()
    return Publication(model, version, f"release-{version}", digest, f"2024-01-{version:02}", content)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Start `mlflow server` from an environment of its own (`make mlflow`); yield its address and its artifacts."""
    program = Path(sys.prefix) / "peers" / "mlflow" / "bin" / "mlflow"
    found = str(program) if program.is_file() else shutil.which("mlflow")
    if found is None:
        pytest.skip("there is no MLflow server: make mlflow")
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [
        *(found, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts")),
    ]
    log = (folder / "log.txt").open("wb")
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    process = subprocess.Popen(argv, cwd=folder, stdout=log, stderr=log, env=environment, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=1):  # noqa: S310 - our own server
                    break
            except OSError:
                assert process.poll() is None, (folder / "log.txt").read_text()
                time.sleep(0.2)
        else:
            pytest.fail((folder / "log.txt").read_text())
        yield address, folder / "artifacts"
    finally:
        os.killpg(process.pid, 15)
        process.wait(timeout=30)
        log.close()


def ask(address: str, path: str) -> dict[str, object]:
    with urllib.request.urlopen(f"{address}/api/2.0/mlflow/{path}", timeout=10) as answer:  # noqa: S310
        found: dict[str, object] = json.load(answer)
        return found


def test_the_alias_names_what_serves_and_goes_back(server: tuple[str, Path], tmp_path: Path) -> None:
    address, artifacts = server
    section = ServingSection(mlflow=address + "/", mlflow_alias="live")
    for version in (1, 2, 1, 1):
        MlflowTarget().publish(publication(version, f"weights {version}".encode(), "it's m"), section, tmp_path)
        found = ask(address, "registered-models/alias?name=it%27s%20m&alias=live")["model_version"]
        assert isinstance(found, dict)
        assert found["version"] == str(version)
        tags = {tag["key"]: tag["value"] for tag in found["tags"]}
        expected = publication(version, f"weights {version}".encode(), "it's m").facts()
        assert tags == {f"pitstop.{key}": str(value) for key, value in expected.items()}
    models = ask(address, "registered-models/get?name=it%27s%20m")["registered_model"]
    assert isinstance(models, dict)
    assert len(models["latest_versions"]) >= 1
    stored = [path for path in artifacts.rglob("model") if path.is_file()]
    assert sorted(path.read_bytes() for path in stored) == [b"weights 1", b"weights 2"]


def test_a_file_that_was_changed_on_the_server_is_noticed(server: tuple[str, Path], tmp_path: Path) -> None:
    address, artifacts = server
    section = ServingSection(mlflow=address)
    published = publication(1, b"weights", "changed")
    MlflowTarget().publish(published, section, tmp_path)
    (stored,) = [path for path in artifacts.rglob("model") if path.is_file() and path.read_bytes() == b"weights"]
    stored.write_bytes(b"veights")
    with pytest.raises(ReleaseTargetError, match="the stored file has"):
        MlflowTarget().publish(published, section, tmp_path)


def test_a_server_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReleaseTargetError, match="cannot be reached"):
        MlflowTarget().publish(publication(), ServingSection(mlflow="http://127.0.0.1:9"), tmp_path)
