"""What the loggers of KServe, Seldon and SageMaker write becomes rows and labels, once, whatever comes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.service.ingest.counted import SPEC
from tests.service.ingest.test_app import ask

from pitstop.errors import StoreError
from pitstop.records.spec import parse_spec
from pitstop.service.ingest.inbox import Inbox
from pitstop.service.ingest.receiving import Receiving
from pitstop.store.home import Home
from pitstop.store.intake import intakes
from pitstop.store.spool import read_all
from pitstop.store.waiting import count_waiting

SCORED = parse_spec(SPEC.replace('prediction = "said"\n', ""))
AT = "2023-04-05T07:39:53.501752983Z"
PATH = "/v1/models/m/events"
# Headers as KServe's logger sends them (pkg/logger/worker.go at 0217bda): the caller's own content type is passed on,
# whatever it was; the headers that it is told to keep are JSON, and so are annotations, escaped as CloudEvents says.
KSERVE = {
    "ce-specversion": "1.0",
    "ce-source": "http://localhost:9081/",
    "ce-id": "689b15e7-84a1-4e89-9805-20809efc216d",
    "ce-time": AT,
    "ce-inferenceservicename": "income",
    "ce-namespace": "default",
    "ce-component": "predictor",
    "ce-endpoint": "",
    "ce-metadata": "{%22X-Request-Id%22:[%22a, b%22]}",
    "ce-annotations": "{%22owner%22:%22k\u00f6nig %25%22}".encode().decode("latin-1"),
    "ce-traceparent": "00-25ba82c3ab23869bad83fd1b9c92da4a-b2f41360fa5eeebb-00",
    "content-type": "application/x-www-form-urlencoded",
}
# As Seldon's does (executor/logger/worker.go): an id for each event, and the request's own beside it.
SELDON = {
    "ce-specversion": "1.0",
    "ce-id": "2f8a2f0c-6f0a-4d52-a3c1-6f2a7a0e2b11",
    "ce-protocol": "seldon",
    "ce-source": "http://:8000/",
    "ce-time": AT,
    "ce-requestid": "bu1sokk1sg02",
    "ce-modelid": "classifier",
    "ce-inferenceservicename": "income",
    "ce-namespace": "seldon",
    "ce-endpoint": "example",
    "content-type": "application/json",
}
V1 = ({"instances": [[0.5, 1.5, "a"], [2.5, None, "b"]]}, {"predictions": [0.25, 0.75]})
V2 = (
    {"id": "x", "inputs": [
        {"name": "x", "shape": [2, 1], "datatype": "FP64", "data": [[0.5], [2.5]]},
        {"name": "y", "shape": [2], "datatype": "FP64", "data": [1.5, None]},
        {"name": "c", "shape": [2, 1], "datatype": "BYTES", "data": ["a", "b"]},
    ]},
    {"model_name": "m", "id": "x", "outputs": [
        {"name": "predict_proba", "shape": [2, 2], "datatype": "FP64", "data": [0.75, 0.25, 0.25, 0.75]},
    ]},
)  # fmt: skip
OWN = (
    {"data": {"names": ["c", "y", "x"], "ndarray": [["a", 1.5, 0.5], ["b", None, 2.5]]}},
    {"meta": {}, "data": {"names": ["t:0", "t:1"], "ndarray": [[0.75, 0.25], [0.25, 0.75]]}},
)


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    with Inbox(tmp_path / "workspace", lambda name: SCORED if name == "m" else None) as opened:
        yield opened


def send(inbox: Inbox, kind: str, body: Any, sender: Mapping[str, str] = KSERVE, **more: str) -> tuple[int, Any]:
    family = "org.kubeflow.serving" if sender is KSERVE else "io.seldon.serving"
    headers = {**sender, "ce-type": f"{family}.{kind}", **{f"ce-{name}": value for name, value in more.items()}}
    status, _, answer = ask(inbox, PATH, json.dumps(body).encode(), headers)
    return status, answer


def stored(inbox: Inbox, kind: Literal["predictions", "labels"] = "predictions") -> list[dict[str, Any]]:
    with inbox.drain() as drain:
        drain.run_dry()
    with Home.open(inbox.path / "records", read_only=True) as home:
        tables = [home.read_segment(item) for item in home.segments(kind, "m")]
    return sorted((row for table in tables for row in table.to_pylist()), key=lambda row: str(row["@id"]))


def waiting(inbox: Inbox) -> Mapping[str, int]:
    with Home.open(inbox.path / "records", read_only=True) as home:
        return count_waiting(home)


@pytest.mark.parametrize("bodies", [V1, V2, OWN], ids=["v1", "oip-2", "seldon"])
@pytest.mark.parametrize(
    ("sender", "first", "between"),
    [(KSERVE, 0, True), (KSERVE, 1, False), (SELDON, 1, True), (SELDON, 0, False)],
    ids=["kserve-apart", "kserve-response-first", "seldon-apart-response-first", "seldon"],
)
def test_a_request_and_its_response_become_rows_once(
    inbox: Inbox, bodies: tuple[Any, Any], sender: Mapping[str, str], first: int, between: bool
) -> None:
    kinds = ("inference.request", "inference.response")
    for place in (first, 1 - first):
        own = {"id": f"event-{place}"} if sender is SELDON else {}
        # Each comes twice, as after a timeout.
        for _ in range(2):
            assert send(inbox, kinds[place], bodies[place], sender, **own) == (200, {"rows": 2})
        if between and place == first:
            assert stored(inbox) == []
            assert waiting(inbox) == {"m": 1}
    rows = stored(inbox)
    name = sender.get("ce-requestid") or sender["ce-id"]
    assert [row["@id"] for row in rows] == [f"{name}/0", f"{name}/1"]
    assert [(row["x"], row["y"], row["c"]) for row in rows] == [(0.5, 1.5, "a"), (2.5, None, "b")]
    assert [row["@score"] for row in rows] == [0.25, 0.75]
    assert {row["@at"] for row in rows} == {1_680_680_393_501_752}
    assert waiting(inbox) == {}
    assert inbox.quarantined() == ()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.none() | st.tuples(st.sampled_from([0, 1]), st.integers(0, 3)), max_size=14))
def test_in_any_order_each_pair_is_stored_once_and_each_half_waits(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int] | None]
) -> None:
    seen: dict[int, set[int]] = {}
    with Inbox(tmp_path_factory.mktemp("workspace"), lambda _: SCORED) as inbox:
        for step in steps:
            if step is None:
                stored(inbox)
                continue
            half, number = step
            body = ({"instances": [[float(number), 1.0, "a"]]}, {"predictions": [number / 4]})[half]
            assert send(inbox, ("inference.request", "inference.response")[half], body, id=f"r-{number}")[0] == 200
            seen.setdefault(number, set()).add(half)
        rows = [(row["@id"], row["x"], row["@score"]) for row in stored(inbox)]
        assert rows == [(f"r-{number}", number, number / 4) for number in sorted(seen) if len(seen[number]) == 2]
        assert sum(waiting(inbox).values()) == sum(len(halves) == 1 for halves in seen.values())


def test_storing_that_fails_midway_leaves_the_halves_as_they_were(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        msg = "the disk is full"
        raise StoreError(msg)

    assert send(inbox, "inference.request", V1[0])[0] == 200
    assert stored(inbox) == []
    assert send(inbox, "inference.response", V1[1])[0] == 200
    with monkeypatch.context() as broken:
        broken.setattr(Receiving, "finish", fail)
        with pytest.raises(StoreError):
            stored(inbox)
    assert waiting(inbox) == {"m": 1}
    assert inbox.state().halves == 1
    assert [row["@score"] for row in stored(inbox)] == [0.25, 0.75]
    assert waiting(inbox) == {}


def test_structured_events_and_data_in_base64_are_read(inbox: Inbox) -> None:
    request, response = V1
    facts = {"specversion": "1.0", "source": "s", "id": "r-1", "time": AT}
    asked = {**facts, "type": "org.kubeflow.serving.inference.request", "data": {"instances": request["instances"][:1]}}
    body = base64.b64encode(json.dumps({"predictions": response["predictions"][:1]}).encode()).decode()
    said = {**facts, "type": "org.kubeflow.serving.inference.response", "data_base64": body}
    for event in (asked, said):
        content = json.dumps(event).encode()
        assert ask(inbox, PATH, content, {"content-type": "application/cloudevents+json; charset=UTF-8"})[0] == 200
    assert [(row["@id"], row["@score"]) for row in stored(inbox)] == [("r-1", 0.25)]


def test_feedback_is_the_label_of_its_request(inbox: Inbox) -> None:
    for kind, body in zip(("inference.request", "inference.response"), OWN, strict=True):
        assert send(inbox, kind, body, SELDON, id=kind)[0] == 200
    truth = {"request": OWN[0], "response": OWN[1], "reward": 0.5, "truth": {"data": {"ndarray": [[1], [0]]}}}
    assert send(inbox, "feedback", truth, SELDON, id="f-1", time="2023-05-01T00:00:00Z") == (200, {"rows": 2})
    assert [(row["@id"], row["@label"]) for row in stored(inbox, "labels")] == [
        ("bu1sokk1sg02/0", "1"),
        ("bu1sokk1sg02/1", "0"),
    ]
    with Home.open(inbox.path / "records", read_only=True) as home:
        assert intakes(home)["m"].early == 0
    status, answer = send(inbox, "feedback", {"reward": 1.0}, SELDON, id="f-2")
    assert status == 422
    assert "truth" in answer["detail"]


def test_halves_of_other_lengths_wait_for_a_person(inbox: Inbox) -> None:
    assert send(inbox, "inference.request", V1[0])[0] == 200
    assert send(inbox, "inference.response", {"predictions": [0.25]})[0] == 200
    assert stored(inbox) == []
    (entry,) = inbox.quarantined()
    assert "2 rows and its response 1" in entry.reason
    rows = json.loads(inbox.quarantined_batch(entry.number).payload)
    rows[1]["score"] = 0.5
    inbox.mend(entry.number, json.dumps(rows).encode())
    assert [row["@score"] for row in stored(inbox)] == [0.25, 0.5]
    assert inbox.quarantined() == ()


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("inference.outlier", {"data": {}}, 400),
        ("inference.request", {"instances": [[1.0]]}, 422),
        ("inference.request", {"inputs": [{"name": "z", "shape": [1 << 30, 0], "datatype": "FP32", "data": []}]}, 400),
        ("inference.request", {"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "data": [1.0]}]}, 400),
        ("inference.request", {"strData": "hello"}, 400),
        ("inference.response", {"predictions": [[0.25, 0.25, 0.5]]}, 422),
        ("inference.response", {"predictions": [10**400, {"a": 1}]}, 422),
        ("inference.response", {"predictions": []}, 422),
    ],
)
def test_what_is_not_of_the_model_is_refused_and_not_kept(inbox: Inbox, kind: str, body: Any, status: int) -> None:
    found, answer = send(inbox, kind, body)
    assert found == status, answer
    assert list(read_all(inbox.path / "spool")) == []


def test_an_erased_person_and_old_halves_wait_no_more(inbox: Inbox) -> None:
    row = {"id": "jos\u00e9-1", "x": 1.0, "y": 2.0, "c": "a"}
    send(inbox, "inference.request", {"instances": [row]}, id="r-1")
    send(inbox, "inference.request", {"instances": [row | {"id": "other"}]}, id="r-2")
    assert stored(inbox) == []
    assert waiting(inbox) == {"m": 2}
    inbox.erase("jos\u00e9-1", "asked for")
    inbox.erase("r-", "part of a name names nobody")
    stored(inbox)
    assert waiting(inbox) == {"m": 1}
    inbox.retain("m", 1 << 62)
    stored(inbox)
    assert waiting(inbox) == {}


def captured(name: str, data: str, said: str, **more: Any) -> dict[str, Any]:
    """Return a line as SageMaker's data capture writes it."""
    return {
        "captureData": {
            "endpointInput": {"observedContentType": "text/csv", "mode": "INPUT", "data": data, "encoding": "CSV"},
            "endpointOutput": {
                "observedContentType": "text/csv; charset=utf-8", "mode": "OUTPUT", "data": said, "encoding": "CSV",
            },
        },
        "eventMetadata": {"eventId": name, "inferenceTime": "2020-07-30T13:36:30Z", **more},
        "eventVersion": "0",
    }  # fmt: skip


def lines(*found: Any) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in found)


SAGEMAKER = {"content-type": "application/x-sagemaker-jsonl"}


def test_a_text_of_json_lines_may_hold_what_elsewhere_ends_a_line(inbox: Inbox) -> None:
    said = captured("e-1", "", "0.25\n0.75")
    data = '{"features":[0.5,1.5,"a\u2028b\x85"]}\r\n\r\n{"features":[2.5,3.5,"c"]}\n'
    media = "application/jsonlines"
    for encoding, sent in (("JSON", data), ("BASE64", base64.b64encode(data.encode()).decode())):
        said["captureData"]["endpointInput"] |= {"data": sent, "encoding": encoding, "observedContentType": media}
        said["eventMetadata"]["eventId"] = encoding
        assert ask(inbox, body=lines(said), headers=SAGEMAKER)[::2] == (200, {"rows": 2})
    assert [(row["x"], row["c"]) for row in stored(inbox)] == [(0.5, "a\u2028b\x85"), (2.5, "c")] * 2


def test_sagemaker_capture_and_ground_truth_are_joined_by_inference_id(inbox: Inbox) -> None:
    contents = (b"3.5,,b", b'{"predictions":[{"score":0.5}]}')
    encoded = captured("e-3", *(base64.b64encode(content).decode() for content in contents))
    for part, media in (("endpointInput", "text/csv"), ("endpointOutput", "application/json")):
        encoded["captureData"][part] |= {"encoding": "BASE64", "observedContentType": media}
    asked = captured("e-4", "", "0.1")
    asked["captureData"]["endpointInput"] |= {
        "data": '{"instances":[{"features":[4.5,1.0,"a"]}]}',
        "encoding": "JSON", "observedContentType": "application/json",
    }  # fmt: skip
    body = lines(
        captured("e-1", "0.5,1.5,a\n", "0.0254181120544672"),
        captured("e-2", "1.5,2.5,a\n2.5,3.5,b", "0.25,0.75", inferenceId="mine"),
        encoded,
        asked,
    )
    for _ in range(2):
        assert ask(inbox, body=body, headers=SAGEMAKER)[::2] == (200, {"rows": 5})
    truth = [
        {"groundTruthData": {"data": "1", "encoding": "CSV"}, "eventMetadata": {"eventId": "e-1"}, "eventVersion": "0"},
        {
            "groundTruthData": {"data": "0\n1", "encoding": "CSV"},
            "eventMetadata": {"eventId": "mine"},
            "eventVersion": "0",
        },
    ]
    assert ask(inbox, "/v1/models/m/labels", lines(*truth), SAGEMAKER)[::2] == (200, {"rows": 3})
    rows = stored(inbox)
    assert [(row["@id"], row["x"], row["y"], row["c"]) for row in rows] == [
        ("e-1", 0.5, 1.5, "a"),
        ("e-3", 3.5, None, "b"),
        ("e-4", 4.5, 1.0, "a"),
        ("mine/0", 1.5, 2.5, "a"),
        ("mine/1", 2.5, 3.5, "b"),
    ]
    assert [row["@score"] for row in rows] == [0.0254181120544672, 0.5, 0.1, 0.25, 0.75]
    assert {row["@at"] for row in rows} == {1_596_116_190_000_000}
    labels = stored(inbox, "labels")
    assert [(row["@id"], row["@label"]) for row in labels] == [("e-1", "1"), ("mine/0", "0"), ("mine/1", "1")]
    with Home.open(inbox.path / "records", read_only=True) as home:
        assert intakes(home)["m"].early == 0


def test_one_bad_line_refuses_all_of_them(inbox: Inbox) -> None:
    half = captured("e-2", "1,2,a", "0.5")
    del half["captureData"]["endpointOutput"]
    status, _, answer = ask(inbox, body=lines(captured("e-1", "1,2,a", "0.5"), half), headers=SAGEMAKER)
    assert status == 400
    assert "line 2" in answer["detail"]
    assert list(read_all(inbox.path / "spool")) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["instances", "inputs", "data", "ndarray", "tensor", "names", "name", "shape", "values", "x",
                         "predictions", "outputs", "datatype", "jsonData", "truth", "score", "id", "at", "features"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just("2026-01-01")
# Rows of the right columns with any values, beside bodies that are right and bodies that are nothing.
ASKED = st.fixed_dictionaries({"x": SCALARS, "y": SCALARS, "c": SCALARS}, optional={"id": SCALARS, "at": SCALARS})
BODIES = (
    st.sampled_from([*V1, *V2, *OWN, {"truth": {"data": {"ndarray": [1, 0]}}}])
    | st.builds(lambda rows: {"instances": rows}, st.lists(ASKED, max_size=3))
    | st.builds(lambda rows: {"predictions": rows}, st.lists(SCALARS, max_size=3))
    | st.builds(lambda rows: {"truth": rows}, st.lists(SCALARS, max_size=3))
    | JSON
)
KINDS = st.sampled_from([f"a.{kind}" for kind in ("inference.request", "inference.response", "feedback")])
WILD = st.fixed_dictionaries(
    {},
    optional={
        "type": KINDS | JSON, "id": JSON, "requestid": JSON, "time": st.just(AT) | JSON, "data": BODIES,
        "data_base64": JSON,
    },
)  # fmt: skip
EVENTS = WILD | st.fixed_dictionaries(
    {"type": KINDS, "id": st.sampled_from(["1", "2"]), "data": BODIES}, optional={"time": st.just(AT)}
)
PARTS = st.fixed_dictionaries(
    {
        "data": st.sampled_from(["1,2,a", "0.5", '{"predictions":[0.5]}', "MSwyLGE="]) | JSON,
        "encoding": st.sampled_from(["CSV", "JSON", "BASE64"]) | JSON,
    },
    optional={"observedContentType": st.sampled_from(["text/csv", "application/json", "application/jsonlines"]) | JSON},
)
LINES = st.fixed_dictionaries(
    {},
    optional={
        "captureData": st.fixed_dictionaries({}, optional={"endpointInput": PARTS, "endpointOutput": PARTS}) | JSON,
        "groundTruthData": PARTS,
        "eventMetadata": st.just({"eventId": "e", "inferenceTime": AT}) | JSON,
    },
) | st.builds(
    lambda name, cells, said: (
        captured(name, ",".join(cells), said) | {"groundTruthData": {"data": said, "encoding": "CSV"}}
    ),
    st.text(max_size=3),
    st.lists(st.text(max_size=3), min_size=3, max_size=3),
    st.sampled_from(["0.5", "1", "a", "nan", "7"]),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.just("events"), EVENTS)
        | st.tuples(st.sampled_from(["predictions", "labels"]), LINES)
        | st.tuples(st.sampled_from(["events", "predictions"]), st.binary(max_size=30)),
        min_size=1,
        max_size=8,
    )
)
def test_whatever_comes_is_refused_or_ends_somewhere(
    tmp_path_factory: pytest.TempPathFactory, sent: list[tuple[str, Any]]
) -> None:
    with Inbox(tmp_path_factory.mktemp("workspace"), lambda _: SCORED) as inbox:
        taken = 0
        for kind, content in sent:
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            media = "application/cloudevents+json" if kind == "events" else SAGEMAKER["content-type"]
            status, _, answer = ask(inbox, f"/v1/models/m/{kind}", body, {"content-type": media})
            assert status in (200, 400, 413, 422), answer
            taken += status == 200
            assert len(list(read_all(inbox.path / "spool"))) == taken
        if not taken:
            return
        stored(inbox)
        assert not [entry for entry in inbox.quarantined() if "storing it failed" in entry.reason]
