"""Whatever a trainer does, the caller gets one typed error, and nothing of the run is left."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pitstop.errors import (
    ColumnValueError,
    EmptyTableError,
    MissingColumnError,
    TrainerCrashedError,
    TrainerLimitError,
    TrainerOutputError,
    TrainingError,
)
from pitstop.records.spec import Task
from pitstop.retraining.isolation import Isolation
from pitstop.retraining.limits import Limits, strays
from pitstop.retraining.sandbox import Session, probe_isolation
from pitstop.retraining.trainer import Model, TrainingRequest

REQUEST = TrainingRequest("binary", ("x",))
ROWS = pa.table({"x": [1.0, 2.0, 3.0, 4.0], "@label": ["0", "1", "0", "1"], "secret": ["a", "b", "c", "d"]})

# Only the standard library, so that a start costs milliseconds. `on_train` and `on_predict` are the misbehaviour.
FRAME = """
import base64, json, os, signal, subprocess, sys, time
def say(**answer):
    print(json.dumps(answer), flush=True)
for line in sys.stdin:
    ask = json.loads(line)
    if ask["action"] == "train":
        {on_train}
        open(ask["model"], "w").write(str(os.getpid()))
        say(ok=True, model="model", rows=4)
    else:
        {on_predict}
        say(ok=True, rows=4)
"""
BOTH = pytest.mark.parametrize(
    "walls", [pytest.param(True, id="isolated"), pytest.param(False, id="bare", marks=pytest.mark.slow)]
)


def program(folder: Path, on_train: str = "pass", on_predict: str = "pass") -> tuple[str, ...]:
    path = folder / "trainer.py"
    path.write_text(FRAME.format(on_train=on_train, on_predict=on_predict))
    return (sys.executable, str(path))


def writes(table: pa.Table) -> str:
    """The statement that writes a table as predictions, without needing pyarrow in the process."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return f'open(ask["output"], "wb").write({sink.getvalue().to_pybytes()!r})'


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Path]:
    """The folder of private folders; afterwards it must be empty, and no process may know one of them."""
    folder = tmp_path / "private"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []


def walls_of(walls: bool) -> Isolation | None:
    return None if walls else Isolation(memory=Path("/proc/self/statm").exists())


FAULTS = {
    "killed": (
        "sys.stderr.write('all is lost'); sys.stderr.flush(); os.kill(os.getpid(), 9)",
        TrainerCrashedError,
        "(?s)was killed by SIGKILL.*all is lost",
    ),
    "exits": ("sys.exit(3)", TrainerCrashedError, "exit code 3"),
    "raises": ("raise ValueError('bad rows')", TrainerCrashedError, "(?s)exit code 1.*bad rows"),
    "hangs": ("time.sleep(60)", TrainerLimitError, "wall_seconds = 0.5"),
    "ignores signals and hangs": (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)",
        TrainerLimitError,
        "wall_seconds",
    ),
    "fills the disk with one file": (
        "open('big', 'wb').write(bytes(40 << 20)); time.sleep(60)",
        TrainerLimitError,
        "disk_mib = 16",
    ),
    "fills the disk with many files": (
        "[open(f'f{i}', 'wb').write(bytes(1 << 20)) for i in range(40)]; time.sleep(60)",
        TrainerLimitError,
        "disk_mib = 16",
    ),
    "takes much memory": (
        "x = bytearray(os.urandom(1 << 20)) * 200; time.sleep(60)",
        TrainerLimitError,
        "memory_mib = 120",
    ),
    "takes much memory in children": (
        (
            "[subprocess.Popen([sys.executable, '-c', 'x=bytearray(b\"1\")*(60<<20); import time; time.sleep(60)'])"
            " for _ in range(3)]; time.sleep(60)"
        ),
        TrainerLimitError,
        "memory_mib = 120",
    ),
    "prints without end": (
        "[sys.stdout.write('x' * (1 << 20)) for _ in range(1024)]",
        TrainerLimitError,
        "1,048,576 bytes to standard output",
    ),
    "logs without end": (
        "[sys.stderr.write('x' * (1 << 20)) for _ in range(1024)]",
        TrainerLimitError,
        "4,194,304 bytes of messages",
    ),
    "answers garbage": ("print('epoch 1', flush=True)", TrainerOutputError, "epoch 1.*standard error"),
    "answers a number": ("print(1, flush=True)", TrainerOutputError, "one line of JSON"),
    "answers another count": ("say(ok=True, rows=3)", TrainerOutputError, "3 rows to train; 4 were sent"),
    "answers without a model": (
        "say(ok=True, rows=4); continue",
        TrainerOutputError,
        "the model to 'model'.*No such file",
    ),
    "leaves an empty model": (
        "open('model', 'w').close(); say(ok=True, rows=4); continue",
        TrainerOutputError,
        "empty file",
    ),
    "leaves a link as its model": (
        "os.symlink('/etc/passwd', 'model'); say(ok=True, rows=4); continue",
        TrainerOutputError,
        "cannot be read",
    ),
    "leaves a pipe as its model": (
        "os.mkfifo('model'); say(ok=True, rows=4); continue",
        TrainerOutputError,
        "no regular file",
    ),
    "refuses": ("say(ok=False, error='too few rows')", TrainingError, "refused to train: too few rows"),
}


@BOTH
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_training_is_one_typed_error(fault: str, walls: bool, tmp_path: Path, parent: Path) -> None:
    on_train, error, message = FAULTS[fault]
    slow = 0.5 if "hangs" in fault else 20.0
    limits = Limits(wall_seconds=slow, memory_mib=120, disk_mib=16, log_bytes=4 << 20)
    started = time.monotonic()
    with Session(program(tmp_path, on_train), limits, walls_of(walls), parent) as session:
        home = session._home
        with pytest.raises(error, match=message) as caught:
            session.train(REQUEST, ROWS)
        assert type(caught.value) is error
        assert not (home / "model").is_symlink()
        assert not (home / "model").exists()
        assert strays(home) == []
    assert time.monotonic() - started < 15.0


def test_a_file_that_would_fill_the_memory_is_not_read(tmp_path: Path, parent: Path) -> None:
    """Where the kernel does not limit files, one with a hole is as large as it likes and takes no disk."""
    argv = program(tmp_path, "open('model', 'wb').truncate(1 << 40); say(ok=True, rows=4); continue")
    with (
        Session(argv, Limits(disk_mib=16), isolation=walls_of(walls=False), parent=parent) as session,
        pytest.raises(TrainerLimitError, match="1,099,511,627,776 bytes as the model; disk_mib"),
    ):
        session.train(REQUEST, ROWS)


def test_a_trainer_that_closes_its_output_is_given_up(tmp_path: Path, parent: Path) -> None:
    with (
        Session(program(tmp_path, "os.close(1); time.sleep(60)"), isolation=Isolation(), parent=parent) as session,
        pytest.raises(TrainerCrashedError, match="closed its standard output"),
    ):
        session.train(REQUEST, ROWS)


GOOD = writes(pa.table({"score": [0.1, 0.9, 0.2, 0.8]}))
BAD_PREDICTIONS = {
    "NaN": (pa.table({"score": [0.1, np.nan, 0.2, 0.8]}), "binary", "nan in row 1"),
    "infinite": (pa.table({"prediction": [0.1, 1.0, np.inf, 0.8]}), "regression", "inf in row 2"),
    "above 1": (pa.table({"score": [0.1, 0.2, 0.2, 1.5]}), "binary", "1.5 in row 3"),
    "null": (pa.table({"score": [0.1, None, 0.2, 0.8]}), "binary", "null in 1 of 4 rows, first in row 1"),
    "too few": (pa.table({"score": [0.1, 0.9, 0.2]}), "binary", "predicted 3 rows; 4 were asked"),
    "too many": (pa.table({"score": [0.1] * 5}), "binary", "predicted 5 rows; 4 were asked"),
    "another column": (pa.table({"p": [0.1] * 4}), "binary", "expected one called 'score'"),
    "texts for numbers": (pa.table({"score": ["0.1"] * 4}), "binary", "of type string; expected float64"),
    "numbers for classes": (pa.table({"prediction": [1.0] * 4, "score": [0.5] * 4}), "multiclass", "expected string"),
}


@pytest.mark.parametrize("fault", BAD_PREDICTIONS)
def test_bad_predictions_are_refused(fault: str, tmp_path: Path, parent: Path) -> None:
    table, task, message = BAD_PREDICTIONS[fault]
    checked: Task = task  # type: ignore[assignment]  # the table's texts are tasks
    request = TrainingRequest(checked, ("x",))
    with Session(program(tmp_path, on_predict=writes(table)), parent=parent) as session:
        with pytest.raises(TrainerOutputError, match=message):
            session.predict(Model(b"m"), request, ROWS)
        assert sorted(path.name for path in session._home.iterdir()) == [f"model-{Model(b'm').digest}"]


@pytest.mark.parametrize(
    ("on_predict", "error"),
    [
        ("os.kill(os.getpid(), 9)", TrainerCrashedError),
        ("open(ask['output'], 'w').write('not arrow')", TrainerOutputError),
        ("os.mkdir(ask['output'])", TrainerOutputError),
        ("pass", TrainerOutputError),
    ],
)
def test_a_fault_in_scoring_is_one_typed_error_and_the_next_call_starts_anew(
    on_predict: str, error: type[TrainingError], tmp_path: Path, parent: Path
) -> None:
    once = f"if not os.path.exists('../once'): open('../once', 'w').close(); {on_predict}\n        else: {GOOD}"
    with Session(program(tmp_path, on_predict=once), parent=parent) as session:
        with pytest.raises(error):
            session.predict(Model(b"m"), REQUEST, ROWS)
        assert session.predict(Model(b"m"), REQUEST, ROWS)["score"].to_pylist() == [0.1, 0.9, 0.2, 0.8]
    (parent / "once").unlink()


@BOTH
def test_children_that_leave_the_session_die_with_the_run(walls: bool, tmp_path: Path, parent: Path) -> None:
    quiet = "stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL"
    child = f"subprocess.Popen(['sleep', '60'], start_new_session=True, {quiet})"
    orphan = f"[os.fork() or ({child}, os._exit(0))]"
    with Session(program(tmp_path, on_train=orphan), isolation=walls_of(walls), parent=parent) as session:
        home = session._home
        session.train(REQUEST, ROWS)
        deadline = time.monotonic() + 5.0
        while not _sleepers(home) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert _sleepers(home)
    assert strays(home) == []


def _sleepers(home: Path) -> list[int]:
    found = []
    for pid in strays(home):
        try:
            if Path(f"/proc/{pid}/comm").read_text().strip() == "sleep":
                found.append(pid)
        except OSError:
            continue
    return found


# Where the platform gives no network namespace, `doctor` says so, and there is no wall to test.
NETWORKS = [pytest.param(Isolation(), "reached", id="bare")]
NETWORKS += [pytest.param(None, "no network", id="isolated")] if probe_isolation().network else []


@pytest.mark.parametrize(("isolation", "answer"), NETWORKS)
def test_a_trainer_has_no_network_where_the_platform_allows(
    isolation: Isolation | None, answer: str, tmp_path: Path, parent: Path
) -> None:
    script = (
        "import socket; s = socket.socket(); s.settimeout(2)\n"
        "        try: s.connect(('127.0.0.1', int(open(sys.argv[1]).read()))); say(ok=False, error='reached')\n"
        "        except OSError as e: say(ok=False, error='no network')"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        (tmp_path / "port").write_text(str(server.getsockname()[1]))
        argv = (*program(tmp_path, on_train=script), str(tmp_path / "port"))
        with (
            Session(argv, isolation=isolation, parent=parent) as session,
            pytest.raises(TrainingError, match=answer),
        ):
            session.train(REQUEST, ROWS)


def test_the_environment_is_scrubbed(tmp_path: Path, parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "swordfish")
    show = "say(ok=False, error=json.dumps([dict(os.environ), oct(os.stat('.').st_mode), os.getcwd()]))"
    with Session(program(tmp_path, on_train=show), parent=parent) as session:
        with pytest.raises(TrainingError) as caught:
            session.train(REQUEST, ROWS)
        text = str(caught.value)
        assert "swordfish" not in text
        assert f'"HOME": "{session._home}/home-' in text
        assert '"0o40700"' in text


def test_only_features_label_and_weight_reach_the_trainer(tmp_path: Path, parent: Path) -> None:
    look = "say(ok=False, error=str([b'secret' in open(ask['data'], 'rb').read(), sorted(ask)]))"
    with Session(program(tmp_path, on_train=look), parent=parent) as session:
        with pytest.raises(TrainingError, match=r"\[False, \['action', 'categorical', 'data', 'features', 'label', "):
            session.train(REQUEST, ROWS)
        weighted = ROWS.append_column("@weight", pa.array([1.0, 2.0, 3.0, 4.0]))
        with pytest.raises(TrainingError, match="'weight'"):
            session.train(REQUEST, weighted)


def test_rows_that_cannot_be_used_never_start_a_process() -> None:
    with Session(("/nonexistent",)) as session:
        with pytest.raises(EmptyTableError, match="no rows to train on"):
            session.train(REQUEST, ROWS.slice(0, 0))
        with pytest.raises(MissingColumnError, match="'@label'"):
            session.train(REQUEST, ROWS.drop_columns(["@label"]))
        with pytest.raises(MissingColumnError, match="'x'"):
            session.train(REQUEST, ROWS.drop_columns(["x"]))
        with pytest.raises(ColumnValueError, match="1 of 4"):
            session.train(REQUEST, ROWS.set_column(1, "@label", pa.array(["0", None, "0", "1"])))
        assert session.predict(Model(b"m"), REQUEST, ROWS.slice(0, 0)).num_rows == 0


@BOTH
def test_a_program_that_does_not_exist_is_a_clear_error(walls: bool, parent: Path) -> None:
    with (
        Session(("/nonexistent/train",), isolation=walls_of(walls), parent=parent) as session,
        pytest.raises(TrainerCrashedError, match="nonexistent"),
    ):
        session.train(REQUEST, ROWS)
    with (
        Session(("python3", "-c", "a\0b"), isolation=walls_of(walls), parent=parent) as session,
        pytest.raises(TrainerCrashedError, match="cannot be started: embedded null byte; check"),
    ):
        session.train(REQUEST, ROWS)
    assert not list(parent.iterdir())


def test_training_gets_a_fresh_process_and_scoring_keeps_it(tmp_path: Path, parent: Path) -> None:
    pid = "open(ask['model'], 'w').write(str(os.getpid()) + ' ' + str(time.time()))"
    argv = program(tmp_path, on_train=f"{pid}; say(ok=True, rows=4); continue", on_predict=GOOD)
    with Session(argv, parent=parent) as session:
        first = session.train(REQUEST, ROWS)
        process = session._process
        for _ in range(3):
            session.predict(first, REQUEST, ROWS)
        assert session._process is process
        session.prepare()
        spare = session._spare
        second = session.train(REQUEST, ROWS)
        assert session._process is spare is not process
        assert first.digest != second.digest


def test_a_process_killed_while_idle_is_replaced(tmp_path: Path, parent: Path) -> None:
    with Session(program(tmp_path, on_predict=GOOD), parent=parent) as session:
        session.predict(Model(b"m"), REQUEST, ROWS)
        assert session._process is not None
        os.killpg(session._process._process.pid, signal.SIGKILL)
        session._process._process.wait()
        assert session.predict(Model(b"m"), REQUEST, ROWS).num_rows == 4


def test_a_second_answer_is_not_taken_for_the_next_one(tmp_path: Path, parent: Path) -> None:
    twice = f"{GOOD}; say(ok=True, rows=4)"
    with Session(program(tmp_path, on_predict=twice), parent=parent) as session:
        session.predict(Model(b"m"), REQUEST, ROWS)
        time.sleep(0.2)
        with pytest.raises(TrainerOutputError, match="after its last answer"):
            session.predict(Model(b"m"), REQUEST, ROWS)


def test_more_models_than_the_folder_keeps_are_scored(
    tmp_path: Path, parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pitstop.retraining.sandbox._MODELS_KEPT", 2)
    read = f"assert open(ask['model']).read() in '0123'; {GOOD}"
    with Session(program(tmp_path, on_predict=read), parent=parent) as session:
        for number in (0, 1, 2, 0, 3, 1):
            session.predict(Model(str(number).encode()), REQUEST, ROWS)
        assert len(list(session._home.glob("model-*"))) == 2


def test_a_link_left_by_the_trainer_is_not_written_through(tmp_path: Path, parent: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    plant = f"{GOOD}; os.symlink({str(victim)!r}, 'train.arrow')"
    with Session(program(tmp_path, on_predict=plant), parent=parent) as session:
        session.predict(Model(b"m"), REQUEST, ROWS)
        session.train(REQUEST, ROWS)
    assert victim.read_text() == "untouched"


def test_a_full_disk_is_a_training_error_that_says_what_to_do(tmp_path: Path) -> None:
    # A real one in a process of its own: no file may grow beyond 2,000 bytes there.
    script = f"""
import resource, signal, sys
import pyarrow as pa
from pitstop.errors import TrainingError
from pitstop.retraining.sandbox import Session
from pitstop.retraining.trainer import Model, TrainingRequest
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
rows = pa.table({{"x": [0.0] * 5000, "@label": ["1"] * 5000}})
request = TrainingRequest("binary", ("x",))
with Session(("true",), parent={str(tmp_path)!r}) as session:
    for call in (lambda: session.train(request, rows), lambda: session.predict(Model(bytes(9000)), request, rows)):
        try:
            call()
        except TrainingError as error:
            assert "free some space" in str(error), error
            continue
        raise SystemExit("no error")
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_closed_session_says_so(tmp_path: Path) -> None:
    session = Session(program(tmp_path))
    with pytest.raises(TrainingError, match="with Session"):
        session.predict(Model(b"m"), REQUEST, ROWS)


def test_the_probe_reports_what_holds() -> None:
    isolation = probe_isolation()
    assert len(isolation.sentences()) == 5
    assert isolation.processes == ("--pid" in isolation.prefix)
