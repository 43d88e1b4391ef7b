"""What `import pitstop` promises: named, documented, and written on the reference page, so that a change is seen."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import pitstop

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "python.md"


@pytest.fixture
def public() -> tuple[str, ...]:
    """Return what `from pitstop import *` gives."""
    return tuple(vars(pitstop)["__all__"])


def test_the_public_names_are_the_ones_of_the_reference_page(public: tuple[str, ...]) -> None:
    assert sorted(public) == re.findall(r"^## `(\w+)`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_no_name_is_public_by_mistake(public: tuple[str, ...]) -> None:
    """What is visible and not private is listed, or is a room of the package."""
    visible = {name for name in dir(pitstop) if not name.startswith("_")}
    rooms = {name for name in visible if inspect.ismodule(getattr(pitstop, name))}
    assert visible - rooms - set(public) - {"annotations"} == set()


def test_every_public_name_has_a_docstring_that_says_more_than_the_name(public: tuple[str, ...]) -> None:
    for name in public:
        thing = getattr(pitstop, name)
        if callable(thing):
            assert len((inspect.getdoc(thing) or "").split()) > 4, name


def test_every_public_function_is_annotated(public: tuple[str, ...]) -> None:
    for name in public:
        thing = getattr(pitstop, name)
        if inspect.isfunction(thing):
            signature = inspect.signature(thing)
            assert signature.return_annotation is not inspect.Signature.empty, name
            assert inspect.Parameter.empty not in {one.annotation for one in signature.parameters.values()}, name
