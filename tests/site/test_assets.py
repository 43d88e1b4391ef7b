"""What the pages are made of: vendored files as they were published, nothing inline that the policy forbids."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SITE = ROOT / "src" / "pitstop" / "service" / "site"
TEMPLATES = sorted((SITE / "templates").glob("*.html"))
VENDORED = (SITE / "static" / "vendor", ROOT / "tests" / "site" / "vendor")


@pytest.mark.parametrize("folder", VENDORED, ids=lambda folder: folder.parent.name)
def test_vendored_files_are_as_they_were_taken(folder: Path) -> None:
    sums = dict(line.split()[::-1] for line in (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines())
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name != "SHA256SUMS"
    }
    assert found == sums
    assert any("LICENSE" in name for name in found)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_no_template_has_a_style_a_script_or_a_handler_of_its_own(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:|hx-on|\|\s*safe\b", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)


def test_the_style_sheet_names_colours_in_its_tokens_only() -> None:
    text = (SITE / "static" / "site.css").read_text(encoding="utf-8")
    rules = text[text.index("/* Ground */") : text.index("@media print")]
    found = set(re.findall(r"#[0-9a-f]{3,8}\b", rules))
    assert found == {"#0003"}, "one shadow, which is black in every theme"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_every_ground(theme: str) -> None:
    text = (SITE / "static" / "site.css").read_text(encoding="utf-8")
    block = text[text.index(":root{") :] if theme == "light" else text[text.index(":root[data-theme=dark]") :]
    tokens = dict(re.findall(r"--([a-z]+):(#[0-9a-f]{3,6})\b", block[: block.index("}")]))
    for ground in ("paper", "raised", "soft", "tint"):
        for ink in ("ink", "quiet", "pitstop", "alarm"):
            assert contrast(tokens[ink], tokens[ground]) >= 4.5, (ink, ground)


def contrast(one: str, other: str) -> float:
    """The contrast of two colours (WCAG 2.2, 1.4.3)."""
    lights = sorted(luminance(colour) for colour in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
