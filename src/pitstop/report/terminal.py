"""The end of a replay in a terminal: the table of periods, then releases and incidents in a few lines.

The renderables choose their layout when they are printed, by the width they get. Without colour nothing is lost: colour
and weight only repeat what words and places say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from pitstop.report import formats
from pitstop.report.markup import printable
from pitstop.report.narrative import headline, price_sentence, release_name, release_reason
from pitstop.report.story import GRAVE, IncidentCard, Number, ReleaseMark, ReplayStory, known

_MOST_LINES = 12  # of releases or incidents; the report has them all
_TO_ASCII = str.maketrans({"─": "-", formats.MISSING: "-", "→": ">", "·": "-", "…": "~"})


def replay_summary(story: ReplayStory) -> tuple[RenderableType, ...]:
    """Return what is printed after a replay, top to bottom: the answer, the table, releases, incidents, promises."""
    parts: list[RenderableType] = [
        Text(printable(headline(story)), style="bold"),
        Text(),
        ReplayTable(story),
    ]
    if story.totals:
        words = f"overall: mean {story.metric_name}, and value after the cost of retraining"
        parts.append(Text(printable(words), style="dim"))
    parts += _releases(story.releases)
    parts += _incidents(story.incidents)
    notes = [text for text in (price_sentence(story), story.promise) if text]
    if notes:
        parts += [Text(), *(Text(printable(note), style="dim") for note in notes)]
    return tuple(parts)


@dataclass(frozen=True)
class ReplayTable:
    """The table of periods and totals. Where it does not fit, sums get shorter, then value moves below the metric."""

    story: ReplayStory

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines of the widest layout that fits."""
        del console
        width = options.max_width
        layouts = list(self._layouts())
        lines = next((lines for lines in layouts if _width(lines) <= width), layouts[-1])
        if options.ascii_only:
            for line in lines:
                line.plain = line.plain.translate(_TO_ASCII)
        yield from lines

    def _layouts(self) -> Iterator[list[Text]]:
        for gap, write in ((3, formats.money), (2, formats.money), (1, formats.money), (1, _short_money)):
            yield _lines([_named(self.story), _metrics(self.story), _values(self.story, write)], gap)
        for write in (formats.money, _short_money):
            yield [
                *_lines([_named(self.story), _metrics(self.story)], 1, totals=1),
                Text(),
                *_lines([_named(self.story), _values(self.story, write)], 1),
            ]


@dataclass(frozen=True)
class _Block:
    """Neighbouring columns under one head: each column is its name, its cells and its totals, all texts."""

    head: str
    columns: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]
    subjects: frozenset[int] = frozenset()


def _named(story: ReplayStory) -> _Block:
    names = tuple(printable(row.period).replace("\n", " ") for row in story.periods)
    rows = tuple(formats.count(row.rows) for row in story.periods)
    total = formats.count(sum(row.rows for row in story.periods))
    foot = ("overall", "cost", "retrains") if story.totals else ()
    return _Block("", ((story.period_unit, names, foot), ("rows", rows, (total, "", "") if foot else ())))


def _metrics(story: ReplayStory) -> _Block:
    columns = []
    for policy in story.policies:
        total = story.totals.get(policy)
        foot = (formats.metric(total.mean_metric if total else None), "", "") if story.totals else ()
        cells = tuple(formats.metric(row.metric.get(policy)) for row in story.periods)
        columns.append((formats.policy_name(policy, story.period_unit), cells, foot))
    return _Block(printable(story.metric_name), tuple(columns), _subjects(story))


def _values(story: ReplayStory, write: Callable[[Number | None], str]) -> _Block:
    columns = []
    for policy in story.policies:
        total = story.totals.get(policy)
        foot: tuple[str, ...] = ()
        if story.totals:
            retrains = formats.count(total.retrains) if total else formats.MISSING
            foot = (write(total.value if total else None), write(total.cost if total else None), retrains)
        cells = tuple(write(row.value.get(policy)) for row in story.periods)
        columns.append((formats.policy_name(policy, story.period_unit), cells, foot))
    return _Block(f"value, {printable(story.currency)}", tuple(columns), _subjects(story))


def _lines(blocks: Sequence[_Block], gap: int, *, totals: int | None = None) -> list[Text]:
    """Return the table as lines: heads of blocks, heads of columns, rows, a rule, the first `totals` totals or all."""
    between = " " * gap
    heads, titles = [], []
    body: list[list[Text]] = []
    foot: list[list[Text]] = []
    for number, block in enumerate(blocks):
        if not block.columns:
            continue
        widths = [max(cell_len(cell) for cell in (name, *cells, *sums)) for name, cells, sums in block.columns]
        span = max(sum(widths) + gap * (len(widths) - 1), cell_len(block.head))
        widths[-1] += span - sum(widths) - gap * (len(widths) - 1)
        heads.append(Text(f" {block.head} ".center(span, "─") if block.head else " " * span, style="dim"))
        for index, ((name, cells, sums), width) in enumerate(zip(block.columns, widths, strict=True)):
            first = number == 0 and index == 0
            strong = index in block.subjects
            titles.append(_cell(name, width, left=first, style="bold" if strong else "dim"))
            body.append([_cell(cell, width, left=first, style="bold green" if strong else "") for cell in cells])
            foot.append([_cell(cell, width, left=first, style="bold green" if strong else "bold") for cell in sums])
    lines = [_joined(heads, between), _joined(titles, between)]
    lines += [_joined(list(row), between) for row in zip(*body, strict=True)]
    last = [_joined(list(row), between) for row in zip(*foot, strict=True)]
    if last:
        lines += [Text("─" * _width(lines), style="dim"), *last[:totals]]
    return lines


def _cell(text: str, width: int, *, left: bool, style: str) -> Text:
    blank = " " * (width - cell_len(text))
    return Text(text + blank if left else blank + text, style=style)


def _joined(cells: Sequence[Text], between: str) -> Text:
    line = Text(between).join(cells)
    line.no_wrap = True
    line.rstrip()
    return line


def _width(lines: Sequence[Text]) -> int:
    return max((line.cell_len for line in lines), default=0)


def _subjects(story: ReplayStory) -> frozenset[int]:
    return frozenset(index for index, policy in enumerate(story.policies) if policy in {"pitstop", "champion"})


def _short_money(value: Number | None) -> str:
    number = known(value)
    return formats.MISSING if number is None else formats.compact(number)


@dataclass(frozen=True)
class _Dated:
    """Lines that begin with a date, cut where the terminal ends; the report has them whole."""

    title: str
    rows: tuple[tuple[str, Text, Text], ...]
    more: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the title and a line for each row."""
        del console
        widest = max(cell_len(at) for at, _, _ in self.rows)
        yield Text()
        yield Text(self.title, style="bold")
        for at, words, numbers in self.rows:
            # What happened may be cut, its numbers not, as long as they leave any room.
            room = options.max_width - widest - 4
            shown = words.copy()
            shown.truncate(max(room - numbers.cell_len, room // 2), overflow="ellipsis")
            line = Text.assemble("  ", at + " " * (widest - cell_len(at)), "  ", shown, numbers)
            line.truncate(options.max_width, overflow="ellipsis")
            if options.ascii_only:
                line.plain = line.plain.translate(_TO_ASCII)
            line.no_wrap = True
            yield line
        if self.more:
            yield Text(f"  {self.more}", style="dim")


def _releases(releases: Sequence[ReleaseMark]) -> list[RenderableType]:
    if not releases:
        return []
    shown = releases[-_MOST_LINES:]
    rows = tuple((printable(item.at), _release(item), Text()) for item in shown)
    more = f"and {len(releases) - len(shown)} earlier, in the report" if len(releases) > len(shown) else ""
    return [_Dated("Releases", rows, more)]


def _release(release: ReleaseMark) -> Text:
    words = Text(printable(release_name(release)), style="bold")
    return words.append(f"  {printable(release_reason(release, brief=True))}", style="not bold")


def _incidents(incidents: Sequence[IncidentCard]) -> list[RenderableType]:
    if not incidents:
        return []
    # Where there are too many lines, those that need a person stay, then the newest.
    kept = sorted(range(len(incidents)), key=lambda place: (incidents[place].kind not in GRAVE, -place))
    shown = sorted(kept[:_MOST_LINES])
    rows = tuple((printable(incidents[place].at), *_incident(incidents[place])) for place in shown)
    more = f"and {len(incidents) - len(shown)} more, in the report" if len(incidents) > len(shown) else ""
    return [_Dated("Incidents", rows, more)]


def _incident(incident: IncidentCard) -> tuple[Text, Text]:
    words, colon, numbers = incident.brief.rpartition(": ")
    words = words or incident.brief or incident.headline or incident.sentence
    style = "bold red" if incident.kind in GRAVE else ""
    return _line(words, style), _line(colon + numbers if colon else "", style)


def _line(text: str, style: str) -> Text:
    return Text(printable(text).replace("\n", " "), style=style)
