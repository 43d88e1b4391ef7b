"""The colours: legible on their ground in light and dark, told apart by more than hue, all of them defined."""

from __future__ import annotations

import re

import pytest

from pitstop.report import style
from pitstop.report.charts import point, sample
from pitstop.report.story import POLICIES

LETTERS = ("ink", "quiet", "pitstop", "never", "monthly", "oracle", "data", "alarm")
GROUNDS = ("paper", "raised", "soft")


def colours(tokens: str) -> dict[str, str]:
    return dict(re.findall(r"--(\w+):(#[0-9a-f]+)", tokens))


def luminance(colour: str) -> float:
    digits = colour[1:7] if len(colour) > 4 else "".join(letter * 2 for letter in colour[1:])
    parts = [int(digits[index : index + 2], 16) / 255 for index in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("tokens", [style._LIGHT, style._DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", LETTERS)
def test_letters_are_legible_on_every_ground(tokens: str, name: str) -> None:
    """WCAG 2.2, 1.4.3: at least 4.5 to 1 for text; what is enough for letters is enough for lines (3 to 1)."""
    palette = colours(tokens)
    assert all(contrast(palette[name], palette[ground]) >= 4.5 for ground in GROUNDS)


def test_light_and_dark_define_the_same_colours_and_every_used_one() -> None:
    assert colours(style._LIGHT).keys() == colours(style._DARK).keys()
    used = set(re.findall(r"var\(--(\w+)\)", style.PAGE_CSS + style.PICTURE_CSS))
    assert used - {"c"} == set(colours(style._LIGHT))


def test_policies_in_one_picture_differ_in_dash_and_shape() -> None:
    contest = [policy for policy in POLICIES if policy != "champion"]
    assert len({re.sub(r"[\d.]+", "", point(policy, 5, 5)) for policy in contest}) == len(contest)
    dashes = dict(re.findall(r"\.p-(\w+) \.line\{stroke-dasharray:([\d ]+)\}", style.PAGE_CSS))
    assert len({dashes.get(policy, "solid") for policy in contest}) == len(contest)


def test_a_legend_sample_is_silent_for_screen_readers() -> None:
    assert 'aria-hidden="true"' in sample("never")


def test_braces_of_the_style_sheet_are_balanced() -> None:
    for sheet in (style.PAGE_CSS, style.PICTURE_CSS):
        assert sheet.count("{") == sheet.count("}")
        assert "{{" not in sheet
        assert "<" not in sheet  # it stands in a style element as it is
