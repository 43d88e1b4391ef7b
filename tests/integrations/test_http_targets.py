"""Targets that are told over HTTP or by a manifest: what they are sent, what they must answer, and what is wrong."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # no types come with it

from pitstop.errors import ReleaseTargetError, SpecError, TargetRefusedError
from pitstop.integrations.kserve_target import KserveTarget, manifest, service_name
from pitstop.integrations.mlflow_registry import aliased
from pitstop.integrations.mlflow_target import MlflowTarget
from pitstop.integrations.serving import targets_of
from pitstop.integrations.webhook_target import SIGNATURE, WebhookTarget, signature
from pitstop.records.spec import ServingSection
from pitstop.replays.publishing import Publication

Answer = Callable[[bytes], tuple[int, bytes]]


def publication(version: int = 1, content: bytes = b"weights", model: str = "m") -> Publication:
    digest = hashlib.sha256(content).hexdigest()
    return Publication(model, version, f"release-{version}", digest, f"2024-01-{version:02}", content)


@contextmanager
def receiver(answer: Answer) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """Run a server on this machine; yield its address and what it was sent."""
    seen: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            seen.append((dict(self.headers.items()), body))
            status, content = answer(body)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/models", seen
        finally:
            server.shutdown()
            thread.join()


def echo(body: bytes) -> tuple[int, bytes]:
    return 200, json.dumps({"digest": json.loads(body)["digest"]}).encode()


def test_a_webhook_is_sent_signed_facts_and_answers_with_what_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_SECRET", "s3cret")
    with receiver(echo) as (address, seen):
        section = ServingSection(webhook=address, webhook_secret="OUR_SECRET")  # noqa: S106 - a variable's name
        WebhookTarget().publish(publication(3), section, tmp_path)
    ((headers, body),) = seen
    assert json.loads(body) == publication(3).facts()
    assert headers[SIGNATURE] == signature(body, "s3cret") != signature(body, "another")


def test_without_a_secret_nothing_is_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PITSTOP_WEBHOOK_SECRET", raising=False)
    with receiver(echo) as (address, seen):
        WebhookTarget().publish(publication(), ServingSection(webhook=address), tmp_path)
    assert SIGNATURE not in seen[0][0]


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (500, b"no room", "answered 500: no room"),
        (302, b"", "answered 302"),
        (200, b"", "it answered that None serves"),
        (200, b'{"digest": "abc"}', "it answered that 'abc' serves"),
        (200, b"fine", "expected a JSON object"),
        (200, b"[]", "expected a JSON object"),
    ],
)
def test_what_does_not_say_that_it_serves_is_an_error(tmp_path: Path, status: int, body: bytes, words: str) -> None:
    with receiver(lambda _: (status, body)) as (address, seen):
        with pytest.raises(ReleaseTargetError, match=words):
            WebhookTarget().publish(publication(), ServingSection(webhook=address), tmp_path)
        # A redirect is not followed: the facts go to nobody else.
        assert len(seen) == 1


def test_a_webhook_that_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(ReleaseTargetError, match="cannot be reached") as caught:
        WebhookTarget().publish(publication(), ServingSection(webhook="http://127.0.0.1:9/"), tmp_path)
    assert not isinstance(caught.value, TargetRefusedError)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "cannot be reached"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}", "cannot be reached"),
        (b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nno", "answered 500"),
    ],
)
def test_what_is_no_whole_http_is_an_error(tmp_path: Path, answer: bytes, words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak() -> None:
            with server.accept()[0] as other:
                other.recv(65_536)
                other.sendall(answer)

        threading.Thread(target=speak, daemon=True).start()
        where = ServingSection(webhook=f"http://127.0.0.1:{server.getsockname()[1]}/")
        with pytest.raises(ReleaseTargetError, match=words):
            WebhookTarget().publish(publication(), where, tmp_path)


@pytest.mark.parametrize("body", [b"{}", b'{"model_version": {}}'])
def test_another_kind_of_server_is_no_registry(tmp_path: Path, body: bytes) -> None:
    with receiver(lambda _: (200, body)) as (address, _):
        where = address.rpartition("/")[0]
        with pytest.raises(ReleaseTargetError, match="another kind of server"):
            aliased(where, "m", "champion")
        with pytest.raises(ReleaseTargetError, match="another kind of server"):
            MlflowTarget().publish(publication(), ServingSection(mlflow=where), tmp_path)


@pytest.mark.parametrize("model", ["true", "NO", "null", "7 days"])
def test_a_service_s_name_is_a_text_in_yaml_too(model: str) -> None:
    found = yaml.safe_load(manifest(publication(model=model), ServingSection(kserve_storage="s3://m")))
    assert found["metadata"]["name"] == service_name(model)


@pytest.mark.parametrize("share", [100, 10])
def test_an_inference_service_names_the_model_by_its_digest(tmp_path: Path, share: int) -> None:
    section = ServingSection(kserve="deploy/m.yaml", kserve_storage="s3://models/", kserve_canary=share)
    published = publication(2, model='Hotel: "cancellations"')
    KserveTarget().publish(published, section, tmp_path)
    found = yaml.safe_load((tmp_path / "deploy" / "m.yaml").read_text())
    assert (found["apiVersion"], found["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    assert found["metadata"]["name"] == "hotel-cancellations"
    notes = found["metadata"]["annotations"]
    assert {key.removeprefix("pitstop/"): value for key, value in notes.items()} == {
        key: str(value) for key, value in published.facts().items()
    }
    predictor = found["spec"]["predictor"]
    assert predictor["model"]["storageUri"] == f"s3://models/models/{published.digest}"
    assert predictor.get("canaryTrafficPercent", 100) == share
    before = (tmp_path / "deploy" / "m.yaml").stat().st_mtime_ns
    KserveTarget().publish(published, section, tmp_path)
    assert (tmp_path / "deploy" / "m.yaml").stat().st_mtime_ns == before


@pytest.mark.parametrize(("model", "name"), [("7 days", "m-7-days"), ("x" * 90, "x" * 63), ("Ü", "m")])
def test_a_service_s_name_is_a_dns_label(model: str, name: str) -> None:
    assert service_name(model) == name


def test_keys_of_the_section_name_their_targets() -> None:
    section = ServingSection(
        folder="f", webhook="https://x", mlflow="http://y", kserve="k.yaml", kserve_storage="s3://m"
    )
    assert [target.name for target in targets_of(section)] == ["folder", "webhook", "mlflow", "kserve"]
    assert targets_of(ServingSection()) == ()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"webhook": "file:///etc/passwd"}, "begins with http"),
        ({"mlflow": "localhost:5000"}, "begins with http"),
        ({"kserve": "m.yaml"}, "kserve_storage"),
        ({"kserve_canary": 0}, "from 1 to 100"),
    ],
)
def test_addresses_that_are_none_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        ServingSection(**settings)
