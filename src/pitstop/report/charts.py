"""What all pictures share: the sizes they are drawn in, the named SVG around them, point marks, and standalone files.

A picture is drawn for a width instead of being shrunk to it, so that its letters stay legible on a telephone; the page
shows the one that fits. Colours come from the style sheet by class, so light, dark and print need no second drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pitstop.report.markup import Markup, coordinate, element, joined
from pitstop.report.style import PICTURE_CSS

LETTERS = 12.0
"""Font size of all letters in pictures, in drawing units (CSS pixels at the nominal width)."""


@dataclass(frozen=True)
class Frame:
    """A size to draw in. `labelled`: wide enough to write the names of lines beside their ends."""

    name: str
    width: float
    height: float
    labelled: bool


WIDE = Frame("wide", 800, 300, labelled=True)
PAGE = Frame("wide", 1160, 330, labelled=True)
"""For a page of the service, which is wider than a report."""
HALF = Frame("wide", 560, 290, labelled=True)
"""For half of such a page."""
NARROW = Frame("narrow", 360, 270, labelled=False)
CARD = Frame("card", 420, 0, labelled=False)
"""For rows of bars: as high as the rows need."""


def picture(title: str, description: str, frame: Frame, height: float, parts: Sequence[str]) -> Markup:
    """Return the SVG with its name and its description for those who do not see it."""
    return element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "class": f"picture {frame.name}",
            "viewBox": f"0 0 {coordinate(frame.width)} {coordinate(height)}",
            "role": "img",
            "font-size": LETTERS,
        },
        element("title", None, title),
        element("desc", None, description),
        *parts,
    )


def lettering(text: str, x: float, y: float, style: str = "quiet", anchor: str | None = None) -> Markup:
    """Return a line of text; `y` is its baseline, `anchor` is `middle` or `end` where it does not begin at `x`."""
    return element("text", {"x": x, "y": y, "class": style, "text-anchor": anchor}, text)


def point(policy: str, x: float, y: float, radius: float = 3.2) -> Markup:
    """Return the point mark of a policy. Each has its own shape, so that lines can be told apart without colour."""
    if policy == "never":
        side = radius * 1.7
        return element("rect", {"x": x - side / 2, "y": y - side / 2, "width": side, "height": side, "class": "open"})
    if policy == "monthly":
        corners = [(x, y - radius * 1.2), (x + radius * 1.15, y + radius * 0.8), (x - radius * 1.15, y + radius * 0.8)]
        return element("polygon", {"points": _corners(corners), "class": "open"})
    if policy == "oracle":
        corners = [(x, y - radius * 1.25), (x + radius * 1.25, y), (x, y + radius * 1.25), (x - radius * 1.25, y)]
        return element("polygon", {"points": _corners(corners), "class": "open"})
    return element("circle", {"cx": x, "cy": y, "r": radius, "class": "open" if policy == "estimated" else "solid"})


def sample(policy: str) -> Markup:
    """Return a short piece of a policy's line with its point mark, for a legend where its name stands beside it."""
    stroke = element("path", {"d": "M1 7H27", "class": "line"})
    drawing = element("g", {"class": f"p-{policy}"}, stroke, point(policy, 14, 7))
    return element("svg", {"class": "sample", "viewBox": "0 0 28 14", "aria-hidden": "true"}, drawing)


def standalone(drawing: Markup) -> str:
    """Return a picture as a file of its own, with its style sheet inside (light and dark), for a README or a slide."""
    style = element("style", None, Markup(PICTURE_CSS))
    return Markup(drawing.replace("<title>", f"{style}<title>", 1)) + "\n"


def path(steps: Sequence[tuple[float, float]]) -> str:
    """Return the SVG path through the points, with one decimal: finer than any screen at these sizes."""
    return joined(f"{'L' if index else 'M'}{_short(x)} {_short(y)}" for index, (x, y) in enumerate(steps))


def _short(value: float) -> str:
    return coordinate(round(value, 1))


def _corners(corners: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{_short(x)},{_short(y)}" for x, y in corners)
