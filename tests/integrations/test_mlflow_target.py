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

import pyarrow.compute as pc
import pyarrow.csv
import pytest
from typer.testing import CliRunner

from pitstop.cli.main import app
from pitstop.errors import MissingColumnError, ReleaseTargetError
from pitstop.integrations.mlflow_registry import aliased, signature_of
from pitstop.integrations.mlflow_target import MlflowTarget
from pitstop.integrations.serving import carry_out, run
from pitstop.loop.auditing import served
from pitstop.loop.orders import Order
from pitstop.records.spec import ServingSection, load_spec, parse_spec
from pitstop.replays.publishing import Publication
from pitstop.service.site.gather.gather import gather
from pitstop.store.home import Home

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


def tell(address: str, path: str, content: dict[str, object]) -> None:
    body, headers = json.dumps(content).encode(), {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/api/2.0/mlflow/{path}", body, headers, method="POST")  # noqa: S310
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310 - our own server


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
        assert tags == {f"pitstop.{key}": str(value) for key, value in expected.items()} | {"pitstop.confirmed": "yes"}
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


@pytest.mark.parametrize("size", [(64 << 20) + 1])
def test_a_model_may_be_larger_than_any_other_answer(server: tuple[str, Path], tmp_path: Path, size: int) -> None:
    MlflowTarget().publish(publication(1, b"w" * size, "large"), ServingSection(mlflow=server[0]), tmp_path)


def test_a_server_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReleaseTargetError, match="cannot be reached"):
        MlflowTarget().publish(publication(), ServingSection(mlflow="http://127.0.0.1:9"), tmp_path)


LOGGED = """
import sys, mlflow, numpy as np, pandas as pd
from mlflow.models import infer_signature
mlflow.set_tracking_uri(sys.argv[1])
class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return (model_input["income"] > 0).astype(int)
rows = pd.DataFrame({"income": np.linspace(-1, 1, 4), "branch": list("abca"),
                     "a column whose name 'quotes', is long, and goes on over the end of a line, é": np.arange(4.0)})
for name, columns in (("loans", rows.columns[:2]), ("wide", rows.columns), ("loans", rows.columns[:2])):
    with mlflow.start_run():
        sample = rows[list(columns)]
        mlflow.pyfunc.log_model(name="model", python_model=Model(), registered_model_name=name, pip_requirements=[],
                                signature=infer_signature(sample, np.array([0, 1, 0, 1])))
for name in ("loans", "wide"):
    mlflow.MlflowClient().set_registered_model_alias(name, "champion", "1")
"""


@pytest.fixture(scope="module")
def logged(server: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Log models with MLflow's own library, with signatures and aliases; return the server's address."""
    python = Path(sys.prefix) / "peers" / "mlflow" / "bin" / "python"
    if not python.is_file():
        pytest.skip("there is no MLflow library: make mlflow")
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    folder = tmp_path_factory.mktemp("logged")
    subprocess.run([str(python), "-c", LOGGED, server[0]], cwd=folder, env=environment, check=True, timeout=300)
    return server[0]


def test_a_signature_is_read_as_mlflow_writes_it(logged: str) -> None:
    version = aliased(logged, "wide", "champion")
    assert version is not None
    assert (version.name, version.version) == ("wide", "1")
    long = "a column whose name 'quotes', is long, and goes on over the end of a line, é"
    assert signature_of(logged, version).inputs == (("income", False), ("branch", True), (long, False))
    assert aliased(logged, "wide", "nobody") is None
    assert aliased(logged, "no such model", "champion") is None


def test_a_model_is_imported_and_releases_made_there_are_taken_over(logged: str, loans: Path, tmp_path: Path) -> None:
    """`pitstop init --mlflow`, then `pitstop run` while somebody moves the alias."""
    table = pyarrow.csv.read_csv(loans / "loans.csv")
    said = pc.if_else(pc.greater(table["income"], 0), 1, 0)
    pyarrow.csv.write_csv(table.append_column("said", said).append_column("stray", said), tmp_path / "loans.csv")
    words = ["init", str(tmp_path / "loans.csv"), "--mlflow", logged, "--mlflow-model", "loans", "--time", "day"]
    roles = ["--label", "paid", "--label-time", "paid_on", "--id", "id", "--prediction", "said"]
    out = ["--task", "binary", "--out", str(tmp_path / "pitstop.toml")]
    done = CliRunner().invoke(app, [*words, *roles, *out])
    assert done.exit_code == 0, done.output
    spec = load_spec(tmp_path / "pitstop.toml")
    assert (spec.columns.features, spec.columns.categorical) == (("income", "branch"), ("branch",))
    assert (spec.model.name, spec.trains, spec.serving.mlflow_alias) == ("loans", False, "champion")
    home, source = tmp_path / "home", str(tmp_path / "loans.csv")
    for as_of, version in (("2024-05-15", "1"), ("2024-05-16", "1"), ("2024-05-29", "2"), ("2024-06-12", "2")):
        tell(logged, "registered-models/alias", {"name": "loans", "alias": "champion", "version": version})
        run(home, spec=spec, source=source, base=tmp_path, as_of=as_of)
    with Home.open(home, read_only=True) as kept:
        found = [(item.content["version"], item.content["reason"]) for item in kept.artifacts("release", "loans")]
        assert found == [
            (1, "the alias 'champion' names version 1 in MLflow"),
            (1, "version 2 was promoted"),
            (2, "the alias 'champion' names version 2 in MLflow"),
        ]
        versions = [item.content["version"] for item in kept.artifacts("registered-model", "loans")]
        assert versions == ["1", "2"]
        assert kept.verify(rows=True).ok
        gather(kept, "loans", "ann")
    served_then = served(home, "loans", "2024-06-05")
    assert "version 2 of loans served" in served_then.sentence
    missing = CliRunner().invoke(app, [*words[:5], "wide", *words[6:], *roles, "--out", str(tmp_path / "wide.toml")])
    assert isinstance(missing.exception, MissingColumnError)


def test_an_alias_that_is_moved_back_there_is_a_rollback_here(
    server: tuple[str, Path], loans: Path, tmp_path: Path
) -> None:
    address, _ = server
    text = (loans / "pitstop.toml").read_text(encoding="utf-8").replace('"loans"', '"trained"')
    spec = parse_spec(f'{text}\n[policy]\nname = "never"\n[serving]\nmlflow = "{address}"\nmlflow_follow = true\n')
    home, source = tmp_path / "home", str(loans / "loans.csv")
    assert run(home, spec=spec, source=source, base=loans, as_of="2024-05-15").champion == "v1"
    carry_out(home, Order("retrain", "ann", "a test"), spec=spec, base=loans)
    assert carry_out(home, Order("release", "ann", "a test", 2), spec=spec, base=loans).champion == "v2"
    # Nobody moved anything: the alias names what serves here.
    assert run(home, spec=spec, source=source, base=loans, as_of="2024-05-15").champion == "v2"
    tell(address, "registered-models/alias", {"name": "trained", "alias": "champion", "version": "1"})
    assert run(home, spec=spec, source=source, base=loans, as_of="2024-05-15").champion == "v1"
    with Home.open(home, read_only=True) as kept:
        order = kept.artifacts("order", "trained")[-1].content
    assert (order["action"], order["by"]) == ("rollback", "mlflow")
    assert run(home, spec=spec, source=source, base=loans, as_of="2024-05-22").champion == "v1"


def test_a_registry_that_is_away_holds_no_rows_up(loans: Path, tmp_path: Path) -> None:
    text = (loans / "pitstop.toml").read_text(encoding="utf-8")
    spec = parse_spec(f'{text}\n[serving]\nmlflow = "http://127.0.0.1:9"\nmlflow_follow = true\n')
    home, source = tmp_path / "home", str(loans / "loans.csv")
    with pytest.raises(ReleaseTargetError, match="cannot be reached"):
        run(home, spec=spec, source=source, base=loans, as_of="2024-05-15")  # there is nothing to follow yet
    with pytest.raises(ReleaseTargetError, match="the MLflow registry"):
        run(home, spec=spec, source=source, base=loans, as_of="2024-05-22")
    with Home.open(home, read_only=True) as kept:
        saved = kept.load_state("loans")
    assert saved is not None
    assert spec.calendar.name_instant(saved.as_of).startswith("2024-05-20")
