"""The frame of the benchmarks: what it finds, prints and returns."""

from __future__ import annotations

import importlib
import inspect
import json
import math
import sys
from pathlib import Path
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))  # benchmarks are no part of the package
frame = importlib.import_module("benchmarks.__main__")
result = importlib.import_module("benchmarks.result")

ONE = '''"""Counts to a number that the test knows."""
from benchmarks.result import Bar, MissingDataError, Result

def run(quick, data):
    if data is None:
        raise MissingDataError("needs bookings.parquet")
    return Result(({"rows": 10, "seconds": 0.5}, {"rows": 20}), (Bar("seconds", 0.5 if quick else 2.0, 1.0),))
'''


@pytest.fixture
def counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of data; the package holds one benchmark called `counting_for_a_test`."""
    (tmp_path / "counting_for_a_test.py").write_text(ONE, encoding="utf-8")
    package = importlib.import_module("benchmarks")
    monkeypatch.setattr(package, "__path__", [str(tmp_path), *package.__path__])
    monkeypatch.delitem(sys.modules, "benchmarks.counting_for_a_test", raising=False)
    monkeypatch.setattr(frame, "RESULTS", tmp_path / "results")
    return tmp_path


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(finite, finite)
def test_a_bar_holds_on_one_side_of_its_bound_and_at_it(value: float, bound: float) -> None:
    assert result.Bar("x", value, bound, "at most").holds == (value <= bound)
    assert result.Bar("x", value, bound, "at least").holds == (value >= bound)


@pytest.mark.parametrize("side", ["at most", "at least"])
def test_a_value_that_is_no_number_keeps_no_promise(side: str) -> None:
    assert not result.Bar("x", math.nan, 1.0, side).holds


def test_what_was_not_measured_keeps_no_promise_and_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    for value in (None, math.nan, math.inf):
        bar = result.Bar("speed.1a", value, 100.0, "at most", "times faster")
        assert not bar.holds
        assert bar.to_json()["value"] is None
    frame.show(result.Result((), (result.Bar("speed.1a", None, 100.0, "at least", "times faster"),)))
    assert "FAILS: speed.1a: times faster not measured (at least 100)" in capsys.readouterr().out


def test_a_full_run_is_kept_and_a_quick_one_only_if_asked(counting: Path) -> None:
    kept = counting / "results" / "counting_for_a_test.json"
    frame.main(["counting_for_a_test", "--quick", "--data", str(counting)])
    assert not kept.exists()
    frame.main(["counting_for_a_test", "--quick", "--save", "--data", str(counting)])
    assert json.loads(kept.read_text())["bars"][0]["value"] == 0.5
    frame.main(["counting_for_a_test", "--data", str(counting)])
    assert json.loads(kept.read_text())["bars"][0]["value"] == 2.0


def test_a_part_of_a_benchmark_is_none_of_its_own(counting: Path) -> None:
    (counting / "counting_for_a_test_rows.py").write_text("ROWS = 3\n", encoding="utf-8")
    (counting / "counting.py").write_text(ONE, encoding="utf-8")
    assert "counting" in frame.names()
    assert not [name for name in frame.names() if name.startswith("counting_")]


def test_json_has_rows_bars_and_machine(counting: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert frame.main(["counting_for_a_test", "--quick", "--json", "--data", str(counting)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["rows"] == [{"rows": 10, "seconds": 0.5}, {"rows": 20}]
    bar = {"name": "seconds", "value": 0.5, "bound": 1.0, "side": "at most", "text": "", "holds": True}
    assert document["bars"] == [bar]
    assert document["machine"]["cores"] >= 1


def test_a_broken_bar_gives_exit_code_1_and_says_so(counting: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert frame.main(["counting_for_a_test", "--data", str(counting)]) == 1
    assert "FAILS: seconds: 2 (at most 1)" in capsys.readouterr().out


def test_absent_data_are_a_skip_with_its_own_exit_code(
    counting: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(frame, "DEFAULT_DATA", counting / "absent")
    assert frame.main(["counting_for_a_test"]) == 2
    assert "skipped: needs bookings.parquet" in capsys.readouterr().err


def test_an_unknown_name_lists_the_known_ones(counting: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert counting.is_dir()
    assert frame.main(["speed_of_light"]) == 2
    assert "counting_for_a_test" in capsys.readouterr().err


def test_without_a_name_each_benchmark_is_listed_with_what_it_measures(
    counting: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert counting.is_dir()
    assert frame.main([]) == 0
    assert "Counts to a number that the test knows." in capsys.readouterr().out


def test_every_benchmark_has_the_shape_that_the_frame_calls() -> None:
    for name in frame.names():
        module = frame.load(name)
        assert module.__doc__, f"benchmarks/{name}.py says nowhere what it measures"
        assert list(inspect.signature(module.run).parameters) == ["quick", "data"], name
        assert get_type_hints(module.run)["return"] is result.Result, name
