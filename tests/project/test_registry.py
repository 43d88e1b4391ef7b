"""Extensions: found by the name of an installed package's entry point, and told where one is broken or unknown."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pitstop.errors import PluginError, UnknownNameError
from pitstop.registry import Registry


@dataclass(frozen=True)
class Tyre:
    name: str


BUILT_IN = (Tyre("soft"), Tyre("hard"))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of packages in which one brings a tyre."""
    info = tmp_path / "tyre_shop-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tyre-shop\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pitstop.tyres]\nwet = tyre_shop_test:WET\n")
    (tmp_path / "tyre_shop_test.py").write_text("class WET:\n    name = 'wet'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "tyre_shop_test", raising=False)
    return tmp_path


@pytest.mark.usefixtures("installed")
def test_what_a_package_brings_is_found_after_what_is_built_in() -> None:
    tyres = Registry("tyre", "pitstop.tyres", BUILT_IN)
    assert tyres.names() == ("soft", "hard", "wet")
    assert tyres.get("wet").name == "wet"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("sof", "no tyre is called 'sof'; did you mean 'soft'? Known: soft, hard"),
        ("intermediate", "no tyre is called 'intermediate'. Known: soft, hard"),
    ],
)
def test_an_unknown_name_is_told_with_the_known_ones(asked: str, said: str) -> None:
    with pytest.raises(UnknownNameError) as raised:
        Registry("tyre", "pitstop.none", BUILT_IN).get(asked)
    assert str(raised.value) == said


def test_a_broken_package_is_named_and_what_is_built_in_is_found(installed: Path) -> None:
    (installed / "tyre_shop_test.py").write_text("import a_library_that_is_not_there\n")
    tyres = Registry("tyre", "pitstop.tyres", BUILT_IN)
    assert tyres.get("hard").name == "hard"
    with pytest.raises(PluginError, match=r"the tyre 'wet' of tyre-shop cannot be loaded .*ModuleNotFoundError"):
        tyres.names()
