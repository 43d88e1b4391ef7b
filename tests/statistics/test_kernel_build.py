"""The build hook: any compiler will do, none is a request for one, and a failed build leaves the old library."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FALSE = shutil.which("false")


@pytest.fixture(scope="module")
def hook_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path, hook_module: ModuleType) -> Path:
    source = tmp_path / hook_module.SOURCE
    source.parent.mkdir(parents=True)
    for part in (ROOT / hook_module.SOURCE).parent.glob("_*.[ch]"):
        shutil.copy(part, source.parent)
    return tmp_path


def hook(module: ModuleType, root: Path) -> Any:
    return module.KernelBuildHook(str(root), {}, None, None, str(root), "wheel")


@pytest.mark.skipif(FALSE is None, reason="needs the program `false`")
def test_without_a_working_compiler_the_build_asks_for_one(
    hook_module: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", str(FALSE))
    assert hook(hook_module, checkout).dependencies() == [hook_module.ZIG]


@pytest.mark.skipif(FALSE is None, reason="needs the program `false`")
def test_a_failed_build_says_why_and_leaves_the_library_as_it_was(
    hook_module: ModuleType, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", str(FALSE))
    monkeypatch.setattr(hook_module, "ZIG_COMMAND", [sys.executable, "-m", "no_such_compiler"])
    library = (checkout / hook_module.SOURCE).with_suffix(hook_module.SUFFIX)
    library.write_bytes(b"the old one")
    with pytest.raises(RuntimeError, match=r"pip install ziglang"):
        hook(hook_module, checkout).initialize("standard", {"artifacts": []})
    assert library.read_bytes() == b"the old one"
    assert {path.name for path in library.parent.iterdir()} == {"_kernels.c", "_texts.h", library.name}


def test_a_built_wheel_is_for_this_platform_and_every_python(hook_module: ModuleType, checkout: Path) -> None:
    build_data: dict[str, Any] = {"artifacts": []}
    hook(hook_module, checkout).initialize("standard", build_data)
    library = (checkout / hook_module.SOURCE).with_suffix(hook_module.SUFFIX)
    assert build_data["pure_python"] is False
    assert build_data["tag"].startswith("py3-none-")
    assert build_data["tag"] != "py3-none-any"
    assert build_data["artifacts"] == [f"/{library.relative_to(checkout).as_posix()}"]
    assert all(hasattr(ctypes.CDLL(str(library)), f"pitstop_{name}") for name in ("histogram", "codes", "scores"))
