"""Training elsewhere: what is asked, what is given, and that nothing brought is believed before it was checked."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import pyarrow as pa
import pytest

from pitstop.errors import PitstopError, SpecError, StoreError, StoreUnavailableError
from pitstop.integrations.serving import run
from pitstop.loop.erasure import erase
from pitstop.records.spec import load_spec, parse_spec
from pitstop.replays import elsewhere
from pitstop.service.api.operation import Service
from pitstop.service.app import create_app
from pitstop.service.auth.credentials import Credentials, now
from pitstop.service.auth.keys import Keys
from pitstop.service.auth.people import People
from pitstop.service.auth.separation import authors_of
from pitstop.service.elsewhere.asking import ask
from pitstop.service.elsewhere.sending import Dispatch
from pitstop.service.elsewhere.taking import take
from pitstop.service.elsewhere.trainings import Trainings
from pitstop.service.settings import Settings
from pitstop.service.workspace import Workspace
from pitstop.store.home import Home

from .conftest import ADMIN, NOON, Opened, Shelf

SECRET = "whsec_" + b64encode(b"a secret of thirty bytes, say.").decode()
RECORDED = "2026-05-28T20:26:40+00:00"  # NOON
ORDER = {"by": "ann", "reason": "a test", "recorded": RECORDED, "recipe": "all", "version": None}
PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "train-elsewhere.md"
PATIENT = 500.0  # seconds; a busy machine takes its time
HOUR = 3_600 * 1_000_000
# A model is a JSON file with one weight: the score is the logistic of weight x income.
TRAINER = """
import json, sys
import numpy as np, pyarrow as pa
def read(name):
    with pa.OSFile(name, "rb") as source:
        return pa.ipc.open_file(source).read_all()
for line in sys.stdin:
    q = json.loads(line)
    table = read(q["data"])
    income = np.nan_to_num(np.asarray(table["income"].to_numpy()))
    if q["action"] == "train":
        paid = np.array([label == q["positive"] for label in table[q["label"]].to_pylist()])
        weight = 2.0 if income[paid].mean() > income[~paid].mean() else -2.0
        with open(q["model"], "w") as file:
            json.dump({"weight": weight}, file)
    else:
        with open(q["model"]) as file:
            weight = json.load(file)["weight"]
        scores = pa.table({"score": 1 / (1 + np.exp(-weight * income))})
        with pa.OSFile(q["output"], "wb") as sink, pa.ipc.new_file(sink, scores.schema) as writer:
            writer.write_table(scores)
    print(json.dumps({"ok": True, "rows": table.num_rows}), flush=True)
"""


def described(loans: Path, url: str = "https://airflow.example.com/pitstop") -> str:
    """Return the specification of the loans, trained by a program of the user's, and elsewhere."""
    text = (loans / "pitstop.toml").read_text(encoding="utf-8")
    trainer = f'[trainer]\nname = "command"\ncommand = ["{sys.executable}", "train.py"]\n\n[policy]\nname = "never"\n'
    return f'{text}\n{trainer}\n[elsewhere]\nurl = "{url}"\nhours = 2.0\n'


@pytest.fixture(scope="module")
def home(loans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a home that has taken nineteen weeks of loans in, with the specification and the program."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "train.py").write_text(TRAINER, encoding="utf-8")
    (folder / "pitstop.toml").write_text(described(loans), encoding="utf-8")
    spec = load_spec(folder / "pitstop.toml")
    run(folder / "home", spec=spec, source=str(loans / "loans.csv"), base=folder, as_of="2024-05-15")
    return folder


@pytest.fixture
def opened(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    """Open a service on a copy of the home, in which ann's order of a retrain waits."""
    monkeypatch.setenv("PITSTOP_ELSEWHERE_SECRET", SECRET)
    with Workspace.open(tmp_path / "w") as workspace:
        spec = (home / "pitstop.toml").read_text(encoding="utf-8")
        workspace.register(spec, at=NOON, base=home)
        workspace.register(spec.replace('"loans"', '"others"'), at=NOON, base=home)
        shutil.copytree(home / "home", workspace.model("loans").home)
        shelf: Any = Shelf(workspace)
        shelf.submit("order", "loans", {"action": "retrain", **ORDER}, by="ann", name="order-1")
        ask(workspace, workspace.model("loans"), "order-1", ORDER)
        people, keys, settings = People(workspace.fleet), Keys(workspace.fleet), Settings(login=True)
        found: list[Opened] = []
        clock: Callable[[], int] = lambda: found[0].now  # noqa: E731 - the test moves it
        credentials = Credentials(people, keys, clock=clock)
        service = Service(workspace, shelf, people, keys, credentials, clock)
        app = create_app(workspace, settings, service=service, authenticator=credentials)
        found.append(Opened(workspace, people, keys, credentials, app))
        yield found[0]


def kept(opened: Opened, kind: str) -> list[Any]:
    with Home.open(opened.workspace.model("loans").home, read_only=True) as found:
        return list(found.artifacts(kind, "loans"))


def arrow(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def read(content: bytes) -> pa.Table:
    return pa.ipc.open_file(pa.BufferReader(content)).read_all()


def model_of(weight: float) -> bytes:
    return json.dumps({"weight": weight}).encode()


def scored(rows: pa.Table, weight: float) -> pa.Table:
    income = np.nan_to_num(rows["income"].to_numpy())
    return pa.table({"score": 1 / (1 + np.exp(-weight * income))})


class Outside:
    """The other system: it knows an address and a key."""

    def __init__(self, http: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self.http, self.headers, self.training = http, headers, ""

    async def rows(self, part: str) -> pa.Table:
        answer = await self.http.get(f"/v1/models/loans/trainings/{self.training}/rows", params={"part": part})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/vnd.apache.arrow.file"
        return read(answer.content)

    async def bring(self, kind: str, content: bytes, **changed: str) -> httpx.Response:
        query = {"training": self.training, "what": kind, "digest": hashlib.sha256(content).hexdigest()}
        return await self.http.post("/v1/models/loans/challengers", params=query | changed, content=content)


@pytest.fixture
async def outside(opened: Opened) -> Any:
    headers = opened.key("trainer", models=["loans"])
    async with opened.client(**headers) as http:
        made = Outside(http, headers)
        (listed,) = (await http.get("/v1/models/loans/trainings")).json()["items"]
        made.training = listed["id"]
        yield made


def work(opened: Opened) -> dict[str, Any]:
    """Do the newest job that checks what was brought."""
    job = next(item for item in Shelf(opened.workspace).board.jobs() if item.kind == "challenger")
    workspace = opened.workspace
    return take(workspace, workspace.model(job.model), job.id, job.arguments, lambda *_: None)


@pytest.mark.anyio
async def test_a_model_that_is_brought_becomes_the_challenger_in_shadow(opened: Opened, outside: Outside) -> None:
    training, held_out = await outside.rows("training"), await outside.rows("held_out")
    assert training.column_names == ["@id", "income", "branch", "@label"]
    assert held_out.column_names == ["@id", "income", "branch"]
    assert not set(training["@id"].to_pylist()) & set(held_out["@id"].to_pylist())
    answer = await outside.bring("model", model_of(-2.0))
    assert answer.status_code == 202, answer.text
    again = await outside.bring("model", model_of(-1.0))
    assert (again.status_code, "answered" in again.json()["detail"]) == (409, True)
    found = work(opened)
    assert [stage for _, stage, _ in found["stages"]] == ["shadow"]
    assert found["champion"] == "v1"
    assert Shelf(opened.workspace).board.job("order-1").state == "done"
    (release,) = (item for item in kept(opened, "release") if item.content["stage"] == "shadow")
    (delivery,) = kept(opened, "delivery")
    assert delivery.content["digest"] == hashlib.sha256(model_of(-2.0)).hexdigest()
    with Home.open(opened.workspace.model("loans").home, read_only=True) as home:
        assert home.verify(rows=True).ok
        # Neither who ordered it nor whose key brought it may let it through.
        assert authors_of(home, "loans", release.content["model"]) == {"ann", "root"}
    # A try that died after the commit does nothing again, and the rows are kept no longer.
    before = len(kept(opened, "release"))
    assert work(opened)["already"] is True
    assert len(kept(opened, "release")) == before
    gone = await outside.http.get(f"/v1/models/loans/trainings/{outside.training}/rows", params={"part": "training"})
    assert gone.status_code == 409
    assert not Trainings(opened.workspace).folder("order-1").exists()


@pytest.mark.slow
@pytest.mark.anyio
async def test_the_loop_goes_on_with_what_was_brought(opened: Opened, outside: Outside, loans: Path) -> None:
    """The relation of the loans has turned: the brought model is proven in shadow and serves."""
    model = opened.workspace.model("loans")
    (await outside.bring("model", model_of(-2.0))).raise_for_status()
    work(opened)
    done = run(model.home, spec=model.spec, source=str(loans / "loans.csv"), base=model.base, as_of="2024-07-10")
    assert done.champion == "v2"
    with Home.open(model.home, read_only=True) as home:
        assert home.verify(rows=True).ok


@pytest.mark.anyio
async def test_predictions_are_compared_and_their_model_may_follow(opened: Opened, outside: Outside) -> None:
    held_out = await outside.rows("held_out")
    assert held_out.num_rows > 0
    said = arrow(scored(held_out, -2.0))
    (await outside.bring("predictions", said)).raise_for_status()
    assert "held-out rows" in work(opened)["said"]
    (comparison,) = kept(opened, "comparison")
    assert comparison.content["rows"] == held_out.num_rows
    assert Shelf(opened.workspace).board.job("order-1").state == "waiting"
    assert (await outside.bring("predictions", said)).status_code == 409
    (await outside.bring("model", model_of(-2.0))).raise_for_status()
    assert [stage for _, stage, _ in work(opened)["stages"]] == ["shadow"]
    assert len(kept(opened, "challenger")) == len({item.id for item in kept(opened, "challenger")})


@pytest.mark.anyio
async def test_a_model_that_says_something_else_than_its_predictions_is_refused(
    opened: Opened, outside: Outside
) -> None:
    held_out = await outside.rows("held_out")
    (await outside.bring("predictions", arrow(scored(held_out, -2.0)))).raise_for_status()
    work(opened)
    (await outside.bring("model", model_of(-1.9))).raise_for_status()
    refused(opened, "TrainerOutputError", "something else than the predictions")


def refused(opened: Opened, error: str, words: str) -> None:
    """Do the job, and see that it leaves no challenger and one record."""
    with pytest.raises(PitstopError, match=words):
        work(opened)
    (record,) = kept(opened, "failure")
    assert (record.content["error"], words in record.content["message"]) == (error, True)
    assert not [item for item in kept(opened, "release") if item.content["stage"] == "shadow"]
    job = Shelf(opened.workspace).board.job("order-1")
    assert (job.state, job.outcome and job.outcome["error"]) == ("failed", error)
    with Home.open(opened.workspace.model("loans").home, read_only=True) as home:
        assert home.verify(rows=True).ok


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("content", "words"),
    [(b"no JSON at all", "trainer"), (b'{"weight": null}', "trainer"), (b'{"weight": NaN}', "nan")],
    ids=["no model", "a model that crashes", "a model that says NaN"],
)
async def test_a_model_that_cannot_be_used_leaves_no_challenger(
    opened: Opened, outside: Outside, content: bytes, words: str
) -> None:
    assert (await outside.bring("model", content)).status_code == 202
    refused(opened, "TrainerOutputError" if words == "nan" else "TrainerCrashedError", words)
    assert (await outside.bring("model", model_of(-2.0))).status_code == 409


@pytest.mark.anyio
async def test_what_is_wrong_at_sight_is_refused_and_the_training_waits_on(opened: Opened, outside: Outside) -> None:
    held_out = await outside.rows("held_out")
    good = scored(held_out, -2.0)
    scores = good["score"].to_numpy()
    wrong = {
        "rows": good.slice(1),
        "nan": pa.table({"score": np.where(np.arange(len(scores)) == 1, math.nan, scores)}),
        "null": pa.table({"score": pa.array([None, *scores[1:]])}),
        "range": pa.table({"score": scores + 1.0}),
        "type": pa.table({"score": pa.array([str(score) for score in scores])}),
        "column": good.rename_columns(["prediction"]),
    }
    for name, table in wrong.items():
        assert (await outside.bring("predictions", arrow(table))).status_code == 422, name
    for content in (b"", b"no Arrow", arrow(good)[:-9]):
        assert (await outside.bring("predictions", content)).status_code == 422
    assert (await outside.bring("model", b"x", digest="0" * 64)).status_code == 422
    assert (await outside.bring("model", b"x", digest="short")).status_code == 422
    assert (await outside.bring("model", b"x", what="pickle")).status_code == 422
    assert (await outside.bring("model", b"x", training="training-x")).status_code == 404
    (listed,) = (await outside.http.get("/v1/models/loans/trainings")).json()["items"]
    assert listed["state"] == "asked"
    assert kept(opened, "failure") == kept(opened, "delivery") == []


@pytest.mark.anyio
async def test_keys_of_others_bring_nothing(opened: Opened, outside: Outside) -> None:
    there = f"/v1/models/loans/trainings/{outside.training}/rows?part=training"
    post = f"/v1/models/loans/challengers?training={outside.training}&what=model&digest={'0' * 64}"
    for roles, models, status in (
        (("trainer",), ["others"], 404),
        (("viewer",), None, 403),
        (("ingest",), None, 403),
        (("approver",), None, 403),
    ):
        async with opened.client(**opened.key(*roles, models=models)) as http:
            assert (await http.get(there)).status_code == status
            assert (await http.post(post, content=b"x")).status_code == status
    async with opened.client(**opened.key("trainer", models=["others"])) as http:
        moved = post.replace("loans", "others")
        assert (await http.post(moved, content=b"x")).status_code == 404
    async with opened.client(**opened.key("trainer")) as http:
        # This role reads nothing else, and orders nothing.
        assert (await http.get("/v1/models/loans")).status_code == 403
        order = {"action": "retrain", "reason": "x"}
        assert (await http.post("/v1/models/loans/orders", json=order)).status_code == 403


@pytest.mark.anyio
async def test_what_comes_too_late_or_after_a_cancel_is_not_taken(opened: Opened, outside: Outside) -> None:
    shelf: Any = Shelf(opened.workspace)
    dispatch = Dispatch(opened.workspace, shelf, lambda: opened.now)
    opened.now = NOON + 2 * HOUR - 1
    dispatch.look()
    assert Trainings(opened.workspace).training(outside.training, "loans").state == "asked"
    assert "airflow.example.com" in shelf.board.job("order-1").note
    opened.now += 1
    opened.credentials.forget()
    assert (await outside.bring("model", model_of(-2.0))).status_code == 409
    dispatch.look()
    dispatch.look()
    ended = [item for item in shelf.board.jobs() if item.kind == "challenger"]
    assert len(ended) == 1
    found = work(opened)
    assert found["error"] == "Late"
    assert "never taken" in found["message"], "airflow.example.com has no address here"
    (record,) = kept(opened, "failure")
    assert record.id == found["record"]
    assert work(opened)["record"] == record.id
    assert len(kept(opened, "failure")) == 1
    assert shelf.board.job("order-1").state == "failed"


def test_an_order_that_is_cancelled_ends_the_training(opened: Opened) -> None:
    shelf: Any = Shelf(opened.workspace)
    shelf.cancel("order-1", "bob")
    Dispatch(opened.workspace, shelf, lambda: opened.now).look()
    assert work(opened)["error"] == "Cancelled"
    assert shelf.board.job("order-1").state == "cancelled"
    assert len(kept(opened, "failure")) == 1


def test_the_rows_of_a_training_go_when_one_of_them_is_erased(opened: Opened) -> None:
    """Whoever is not in it does not end it; the home itself is erased as everywhere."""
    shelf: Any = Shelf(opened.workspace)
    known = Trainings(opened.workspace)
    (asked,) = known.all(open_only=True)
    folder = known.folder(asked.job)
    named = {name for path in folder.glob("*.arrow") for name in read(path.read_bytes())["@id"].to_pylist()}
    model = opened.workspace.model("loans")
    with Home.open(model.home, read_only=True) as home:
        others = sorted(set(home.read_segments("predictions", "loans", columns=["@id"])["@id"].to_pylist()) - named)
    dispatch = Dispatch(opened.workspace, shelf, lambda: opened.now)
    for subject, stays in ((others[0], True), (min(named), False)):
        with Home.open(model.home) as home:
            assert erase(home, subject, "asked to be forgotten", opened.now).rows == 1
        dispatch.look()
        assert folder.exists() is stays
    assert work(opened) == {
        "error": "Erased",
        "message": "rows of it were erased on request; order another one",
        "training": asked.id,
        "record": kept(opened, "failure")[0].id,
    }
    assert known.all()[0].state == "cancelled"


def test_the_order_is_recorded_once_and_only_one_training_waits(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = opened.workspace.model("loans")
    before = [item.id for item in kept(opened, "training")]
    again = ask(opened.workspace, model, "order-1", ORDER)
    assert [again["training"]] == before == [item.id for item in kept(opened, "training")]
    with pytest.raises(StoreError, match="elsewhere already"):
        ask(opened.workspace, model, "order-2", ORDER)
    monkeypatch.setenv("PITSTOP_ELSEWHERE_SECRET", "whsec_short")
    with pytest.raises(SpecError, match="PITSTOP_ELSEWHERE_SECRET"):
        ask(opened.workspace, model, "order-3", ORDER)


def test_an_order_that_fails_leaves_no_copies_of_rows(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    Dispatch(opened.workspace, Shelf(opened.workspace), lambda: NOON + 3 * HOUR).look()  # type: ignore[arg-type]
    assert work(opened)["error"] == "Late"
    known, put = Trainings(opened.workspace), Trainings.put

    def full(self: Trainings, folder: str, name: str, content: bytes) -> Path:
        if name == "held_out.arrow":
            msg = "the disk is full"
            raise StoreError(msg)
        return put(self, folder, name, content)

    monkeypatch.setattr(Trainings, "put", full)
    with pytest.raises(StoreError, match="full"):
        ask(opened.workspace, opened.workspace.model("loans"), "order-2", {**ORDER, "reason": "another"})
    assert not known.folder("order-2").exists()
    monkeypatch.undo()
    monkeypatch.setenv("PITSTOP_ELSEWHERE_SECRET", SECRET)
    ask(opened.workspace, opened.workspace.model("loans"), "order-2", {**ORDER, "reason": "another"})
    assert {path.name for path in known.folder("order-2").iterdir()} == {"training.arrow", "held_out.arrow"}


@pytest.mark.anyio
async def test_a_store_that_is_away_for_a_moment_ends_no_training(
    opened: Opened, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    await outside.bring("model", model_of(2.0))

    def away(*_: object, **__: object) -> None:
        msg = "the bucket does not answer"
        raise StoreUnavailableError(msg)

    with monkeypatch.context() as broken:
        broken.setattr(elsewhere, "take", away)
        with pytest.raises(StoreUnavailableError):
            work(opened)
    assert kept(opened, "failure") == []
    assert work(opened)["champion"] == "v1"


def test_a_home_that_cannot_be_read_holds_up_no_other_training(opened: Opened) -> None:
    shelf: Any = Shelf(opened.workspace)
    known = Trainings(opened.workspace)
    (asked,) = known.all(open_only=True)
    known.add("a-training", "others", "order-0", dict(asked.facts), NOON - 1, asked.deadline)
    opened.workspace.model("others").home.mkdir(parents=True)
    (opened.workspace.model("others").home / "catalog.sqlite").write_bytes(b"no database" * 100)
    shelf.cancel("order-1", "bob")
    Dispatch(opened.workspace, shelf, lambda: opened.now).look()
    assert {item.id: item.state for item in known.all()} == {"a-training": "asked", asked.id: "cancelled"}


@pytest.mark.anyio
async def test_a_builtin_trainer_opens_no_file_from_elsewhere(opened: Opened, loans: Path) -> None:
    """What it opens is a pickle, which is a program."""
    plain = (loans / "pitstop.toml").read_text(encoding="utf-8").replace('"loans"', '"plain"')
    there = '[elsewhere]\nurl = "https://airflow.example.com/"\n'
    assert parse_spec(plain + there).id == parse_spec(plain).id
    opened.workspace.register(plain + there, at=NOON)
    Trainings(opened.workspace).add("training-1", "plain", "order-1", {"held_out": 3}, NOON, NOON + HOUR)
    async with opened.client(**opened.key("trainer", models=["plain"])) as http:
        answer = await http.post(
            "/v1/models/plain/challengers",
            params={"training": "training-1", "what": "model", "digest": hashlib.sha256(b"x").hexdigest()},
            content=b"x",
        )
        assert (answer.status_code, "built-in trainer" in answer.json()["detail"]) == (409, True)


class Receiver(ThreadingHTTPServer):
    """What stands for Airflow: it takes the request, and says no the first time."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Takes)
        self.came: list[tuple[dict[str, str], bytes]] = []


class _Takes(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.came.append(({name.lower(): text for name, text in self.headers.items()}, body))
        self.send_response(503 if len(self.server.came) == 1 else 200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def verified(headers: dict[str, str], body: bytes) -> Any:
    """Return a message whose signature is right, as the words of Standard Webhooks have it."""
    words = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = hmac.digest(b64decode(SECRET.removeprefix("whsec_")), words, "sha256")
    assert headers["webhook-signature"] == f"v1,{b64encode(expected).decode()}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 300
    return json.loads(body)


def up(folder: Path, workspace: Path) -> tuple[subprocess.Popen[str], str]:
    words = ["up", "--workspace", str(workspace), "--port", "0", "--private-host", "127.0.0.1"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from pitstop.cli.main import run; run()", *words],
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PITSTOP_ELSEWHERE_SECRET": SECRET},
    )
    assert process.stderr is not None
    return process, process.stderr.readline().partition(" at ")[2].split()[0].rstrip("/")


def ended(process: subprocess.Popen[str], how: signal.Signals) -> None:
    process.send_signal(how)
    with process:
        process.wait()


def until(what: Callable[[], Any], seconds: float = PATIENT) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            found = what()
            if found:
                return found
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    pytest.fail(f"did not become true within {seconds:g} s")


@pytest.mark.slow
def test_the_job_waits_over_a_kill_and_what_is_brought_afterwards_is_taken(
    home: Path, loans: Path, tmp_path: Path
) -> None:
    """The real service, a real receiver: signed, sent again, killed -9 while it waits, and while it checks."""
    receiver = Receiver()
    thread = threading.Thread(target=receiver.serve_forever, daemon=True)
    thread.start()
    with Workspace.open(tmp_path / "w") as workspace:
        url = f"http://127.0.0.1:{receiver.server_port}/hook"
        workspace.register(described(loans, url), at=now(), base=home)
        shutil.copytree(home / "home", workspace.model("loans").home)
        key = Keys(workspace.fleet).make("t", ["trainer"], ["loans"], 1, by=ADMIN, at=now())[1]
    process, address = up(tmp_path, tmp_path / "w")
    try:
        until(lambda: httpx.get(f"{address}/healthz").status_code == 200)
        order = {"action": "retrain", "reason": "the relation turned round"}
        job = httpx.post(f"{address}/v1/models/loans/orders", json=order).json()["id"]
        # The first answer was 503: it is sent again, under the same id.
        until(lambda: len(receiver.came) >= 2)
        messages = [verified(headers, body) for headers, body in receiver.came]
        assert messages[0] == messages[1]
        assert receiver.came[0][0]["webhook-id"] == receiver.came[1][0]["webhook-id"]
        assert messages[0]["data"]["ordered_by"] == "local"
        assert httpx.get(f"{address}/v1/jobs/{job}").json()["state"] == "waiting"
        ended(process, signal.SIGKILL)
        process, address = up(tmp_path, tmp_path / "w")
        until(lambda: httpx.get(f"{address}/healthz").status_code == 200)
        assert httpx.get(f"{address}/v1/jobs/{job}").json()["state"] == "waiting"
        # The program in the documentation does what the other system has to do.
        (program,) = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        environment = os.environ | {"PITSTOP_SERVER": address, "PITSTOP_KEY": key}
        subprocess.run([sys.executable, "-c", program], input=receiver.came[0][1], env=environment, check=True)
        ended(process, signal.SIGKILL)
        process, address = up(tmp_path, tmp_path / "w")
        until(lambda: httpx.get(f"{address}/v1/jobs/{job}").json()["state"] == "done", PATIENT)
        standing = httpx.get(f"{address}/v1/models/loans/challengers").json()
        assert [(item["version"], item["kind"]) for item in standing["tests"]] == [("v2", "shadow")]
        listed = httpx.get(f"{address}/v1/models/loans/artifacts", params={"kind": "release"}).json()["items"]
        assert [item["content"]["stage"] for item in listed] == ["champion", "shadow"]
        assert len(receiver.came) == 2
    finally:
        ended(process, signal.SIGTERM)
        receiver.shutdown()
        receiver.server_close()
