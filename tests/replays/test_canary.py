"""A proven challenger serves a share of the rows first: chosen by id, judged on those, stopped or promoted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pitstop.errors import ReleaseError, SpecError
from pitstop.integrations.serving import carry_out
from pitstop.loop.orders import Order
from pitstop.records.routing import in_share
from pitstop.records.spec import CanarySection, ModelSpec, ServingSection
from pitstop.replays.standing import standing_of
from pitstop.serving import Served
from pitstop.store.home import Home

DAY = 86_400_000_000
FIRST = 19723
Maker = Callable[..., pa.Table]
SECTION = CanarySection(share=0.4, windows=5, least_rows=40)
# Asked for a prediction by a model of as many rows as the file `poison` says, the trainer dies.
POISONED = ('model = json.load(open(ask["model"]))', 'model = json.load(open(ask["model"])); die(model)')
DIE = """
def die(model):
    place = POISON
    if os.path.exists(place) and str(model.get("n")) in open(place).read().split():
        sys.exit("poisoned")

for line in sys.stdin:"""


@pytest.fixture(scope="module")
def canary(spec: ModelSpec) -> ModelSpec:
    return replace(spec, canary=SECTION)


def releases(workshop: Any, name: str) -> list[tuple[int, int, str]]:
    """Return (day, version, stage) of every release."""
    with Home.open(workshop.folder / name, read_only=True) as home:
        return [
            (item.at // DAY - FIRST, item.content["version"], item.content["stage"])
            for item in home.artifacts("release", "small")
        ]


def entry(workshop: Any, name: str, stage: str) -> Any:
    """Return the newest release entry of a stage."""
    with Home.open(workshop.folder / name, read_only=True) as home:
        return [item for item in home.artifacts("release", "small") if item.content["stage"] == stage][-1]


def day(number: int) -> str:
    from tests.replays.conftest import FIRST_DAY  # noqa: PLC0415 - the histories' own first day

    return (FIRST_DAY + timedelta(days=number)).date().isoformat()


@pytest.fixture(scope="module")
def passed(workshop: Any, canary: ModelSpec, history: Maker) -> Any:
    """A replay in which a challenger goes through its canary."""
    return workshop.replay(history(), canary, "canary")


def test_a_proven_challenger_serves_its_share_and_then_everything(workshop: Any, passed: Any) -> None:
    (began,) = [item for item in releases(workshop, "canary") if item[2] == "canary"]
    (ended,) = [item for item in releases(workshop, "canary") if item[1] == began[1] and item[2] == "champion"]
    assert ended[0] - began[0] >= SECTION.windows
    start, champion = entry(workshop, "canary", "canary"), entry(workshop, "canary", "champion")
    assert start.content["share"] == SECTION.share
    assert "share" not in champion.content
    assert "not proven worse on them" in champion.content["reason"]
    # The release owes its way to the proof before the canary and to the one after it.
    proofs = {item[0]: item[3] for item in passed.of("comparison")}
    assert {start.id, *start.content["caused_by"]} <= set(champion.content["caused_by"])
    kinds = [proofs[name]["verdict"] for name in champion.content["caused_by"] if name in proofs]
    assert len(kinds) == 2
    assert kinds[0] == "better"
    # Its rows are those that their ids choose, neither more nor fewer: on others nobody asked it.
    assert 0.0 <= proofs[champion.content["caused_by"][-2]]["rows"] <= 0.6 * 40 * (ended[0] - began[0])


def test_stopping_and_going_on_changes_nothing(workshop: Any, canary: ModelSpec, history: Maker, passed: Any) -> None:
    (began,) = [item[0] for item in releases(workshop, "canary") if item[2] == "canary"]
    steps = [day(began - 1), *(day(began + number) for number in range(4)), "2025-01-01"]
    for step in steps:
        workshop.run(history(), canary, "canary-in-steps", step)
    assert workshop.artifacts("canary-in-steps") == passed.artifacts


def test_the_handle_serves_as_the_loop_did(
    workshop: Any, canary: ModelSpec, history: Maker, passed: Any, tmp_path: Path
) -> None:
    del passed
    (began,) = [item[0] for item in releases(workshop, "canary") if item[2] == "canary"]
    watched = replace(canary, serving=ServingSection(folder=str(tmp_path / "serving")))
    from pitstop.integrations.serving import run  # noqa: PLC0415 - publishes, as `workshop.run` does not

    options = {"spec": watched, "source": history(), "base": workshop.folder}
    run(workshop.folder / "canary-served", as_of=day(began + 2), **options)
    standing = standing_of(workshop.folder / "canary-served", "small")
    (test,) = [item for item in standing.tests if item.kind == "canary"]
    assert test.canary is not None
    assert (test.canary.share, test.canary.least_windows) == (SECTION.share, SECTION.windows)
    assert "about" in test.sentence or "no label" in test.sentence
    with Served(watched, workshop.folder) as served:
        table = history()
        at = pc.subtract(table["at"].cast(pa.int64()), FIRST * DAY)
        ours = table.filter(pc.and_(pc.greater_equal(at, (began + 2) * DAY), pc.less(at, (began + 3) * DAY)))
        said = np.asarray(served.predict(ours)["score"])
        alone = np.asarray(served.predict(ours.drop_columns(["id"]))["score"])
        assert served.facts["canary_share"] == SECTION.share
        salt = str(served.facts["canary_release"])
    run(workshop.folder / "canary-served", as_of=day(began + 3), **options)
    with Home.open(workshop.folder / "canary-served", read_only=True) as home:
        logged = home.read_segments("predictions", "small", FIRST + began + 2, FIRST + began + 3, ["@id", "@score"])
    by_id = dict(zip(logged["@id"].to_pylist(), logged["@score"].to_pylist(), strict=True))
    assert np.array([by_id[name] for name in ours["id"].to_pylist()]) == pytest.approx(said, abs=1e-12)
    # Only rows of the share are told otherwise than by the champion alone.
    mine = in_share(ours["id"].to_pylist(), SECTION.share, salt)
    assert 0 < mine.sum() < len(mine)
    assert np.array_equal(said != alone, mine)


def test_a_canary_that_does_harm_is_stopped(workshop: Any, canary: ModelSpec, history: Maker, passed: Any) -> None:
    del passed
    (began,) = [item[0] for item in releases(workshop, "canary") if item[2] == "canary"]
    # The relation turns back on the very day, and the canary is asked to last for longer than it takes to see that.
    table, patient = history(turns=(20, began)), replace(canary, canary=replace(SECTION, windows=40))
    workshop.run(table, patient, "harm")
    stopped = entry(workshop, "harm", "retired")
    (_, number, _) = next(item for item in releases(workshop, "harm") if item[2] == "canary")
    found = [item for item in releases(workshop, "harm") if item[1] == number]
    assert [stage for _, _, stage in found] == ["shadow", "canary", "retired"]
    with Home.open(workshop.folder / "harm", read_only=True) as home:
        why = [item.content for item in home.artifacts("release", "small") if item.content["version"] == number][-1]
    assert "proven to lose more than the champion" in why["reason"]
    assert stopped.at >= (began + 1) * DAY


def test_harm_that_begins_late_still_ends_a_canary(workshop: Any, canary: ModelSpec, history: Maker) -> None:
    """It saves so much in its first days that it is soon proven no worse: no licence for what comes after."""
    section = CanarySection(share=0.5, windows=60, least_rows=40, margin=0.1)
    workshop.run(history(days=60, rows=200, turns=(20, 46)), replace(canary, canary=section), "late-harm")
    assert "proven to lose more than the champion" in entry(workshop, "late-harm", "retired").content["reason"]


def test_a_canary_that_gives_no_answer_is_stopped_and_the_champion_serves_its_rows(
    workshop: Any, canary: ModelSpec, history: Maker, passed: Any
) -> None:
    del passed
    (began,) = [item[0] for item in releases(workshop, "canary") if item[2] == "canary"]
    poison = workshop.folder / "poison"
    text = (
        (workshop.folder / "trainer.py")
        .read_text()
        .replace(*POISONED)
        .replace('"w": weights.tolist()', '"w": weights.tolist(), "n": table.num_rows')
    )
    text = text.replace("\nfor line in sys.stdin:", DIE.replace("POISON", repr(str(poison))))
    (workshop.folder / "poisoned.py").write_text(text)
    weak = replace(canary, trainer=replace(canary.trainer, command=(*canary.trainer.command[:1], "poisoned.py")))
    workshop.run(history(), weak, "weak", day(began + 1))
    start = entry(workshop, "weak", "canary")
    poison.write_text(str(start.content["trained_on_rows"]))
    try:
        workshop.run(history(), weak, "weak", day(began + 3))
    finally:
        poison.unlink()
    with Home.open(workshop.folder / "weak", read_only=True) as home:
        (failure,) = home.artifacts("failure", "small")
        logged = home.read_segments("predictions", "small", FIRST + began, FIRST + began + 3, ["@score"])
    assert failure.content["challenger"] == start.content["model"]
    stopped = entry(workshop, "weak", "retired")
    assert stopped.content["version"] == start.content["version"]
    assert "cannot be used" in stopped.content["reason"]
    assert stopped.at == (FIRST + began + 1) * DAY
    assert logged["@score"].null_count == 0
    assert not standing_of(workshop.folder / "weak", "small").tests


def test_people_end_a_canary_either_way(workshop: Any, canary: ModelSpec, history: Maker) -> None:
    quiet = replace(canary, policy=replace(canary.policy, name="never"))
    workshop.run(history(), quiet, "by-hand", day(35))

    def give(action: Any, **more: Any) -> Any:
        order = Order(action, "Ada", "to see", **more)
        return carry_out(workshop.folder / "by-hand", order, spec=quiet, base=workshop.folder)

    give("retrain")
    first = give("release")
    assert [stage for _, stage, _ in first.stages] == ["canary"]
    assert (first.champion, first.carried_out) == ("v1", True)
    with pytest.raises(ReleaseError, match="v2 serves a share of the rows"):
        give("retrain")
    assert give("retire").stages[-1][1] == "retired"
    workshop.run(history(), quiet, "by-hand", day(41))
    give("retrain")
    give("release", version=3)
    second = give("release", version=3)
    assert second.champion == "v3"
    back = give("rollback")
    assert back.champion == "v1"
    with Home.open(workshop.folder / "by-hand", read_only=True) as home:
        assert home.verify(rows=True).ok


def test_a_share_is_the_same_for_whoever_asks() -> None:
    ids = [f"r{number}" for number in range(20_000)]
    small, large, other = (in_share(ids, share, salt) for share, salt in ((0.1, "a"), (0.3, "a"), (0.1, "b")))
    assert abs(small.mean() - 0.1) < 0.01
    assert not (small & ~large).any()
    assert abs((small & other).mean() - 0.01) < 0.005
    assert in_share(ids, 0.1, "a").tolist() == [bool(in_share([name], 0.1, "a")[0]) for name in ids]
    assert not in_share(ids, 0.0, "a").any()
    assert in_share(ids, 1.0, "a").all()


def test_without_a_canary_nothing_changes(spec: ModelSpec, canary: ModelSpec, small: Any) -> None:
    assert replace(canary, canary=CanarySection()).id == spec.id != canary.id
    assert not [item for item in small.of("release") if item[3]["stage"] == "canary"]
    with pytest.raises(SpecError, match="names none; add id = "):
        replace(canary, columns=replace(canary.columns, id=None))
    with pytest.raises(SpecError, match=r"share 0\.7"):
        CanarySection(share=0.7)
