"""The documentation is a test: its code runs, its links lead somewhere, its reference says what the code says."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
# What a reader types, and what runs for it here: this interpreter and this checkout.
PROGRAMS = {
    "pitstop": [sys.executable, "-c", "from pitstop.cli.main import run; run()"],
    "python": [sys.executable],
}
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
EXIT_CODE = re.compile(r"#\s*exit code (\d+)\s*$")
LONG_COMMANDS = ("pitstop demo", "pitstop replay", "pitstop run")
SECONDS = 600


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text and the line of the page that it starts on."""

    language: str
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    return [Block(match[1].strip(), match[2], page.count("\n", 0, match.start()) + 2) for match in FENCE.finditer(page)]


def commands(text: str) -> Iterator[tuple[list[str], int, list[str]]]:
    """Yield argv, expected exit code and expected lines of output of each `$ ` line of a console block."""
    for part in re.split(r"^\$ ", text.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
        line, *expected = part.splitlines()
        code = EXIT_CODE.search(line)
        yield shlex.split(line, comments=True), int(code[1]) if code else 0, [row for row in expected if row.strip()]


def missing_line(expected: list[str], output: str) -> str | None:
    """Return the first expected line that does not follow the ones before it; `...` stands for anything."""
    rows = iter(output.splitlines())
    for line in expected:
        if line.strip() == "...":
            continue
        pattern = ".*".join(re.escape(part) for part in line.strip().split("..."))
        if not any(re.fullmatch(pattern, row.strip()) for row in rows):
            return line
    return None


def run_console(block: Block, folder: Path) -> None:
    """Run the `$ ` lines of a block in `folder`, without a shell, and compare what they print and return."""
    environment = os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "OMP_NUM_THREADS": "1"}
    for argv, code, expected in commands(block.text):
        assert argv[0] in PROGRAMS, f"line {block.line}: the test runs only {list(PROGRAMS)}, not {argv[0]!r}"
        done = subprocess.run(
            [*PROGRAMS[argv[0]], *argv[1:]],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        output = done.stdout + done.stderr
        assert done.returncode == code, f"line {block.line}: {shlex.join(argv)} gave {done.returncode}:\n{output}"
        lost = missing_line(expected, output)
        assert lost is None, f"line {block.line}: {shlex.join(argv)} did not print {lost!r}, but:\n{output}"


def run_python(block: Block, names: dict[str, object], page: Path) -> None:
    """Run a block of Python among the names of the page's earlier blocks; with `>>>` as a doctest."""
    if ">>> " not in block.text:
        # Blank lines in front give tracebacks the page's own line numbers.
        exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec", dont_inherit=True), names)  # noqa: S102 - our own pages
        return
    test = doctest.DocTestParser().get_doctest(block.text, names, page.name, str(page), block.line)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    report: list[str] = []
    runner.run(test, out=report.append, clear_globs=False)
    names.update(test.globs)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


def pages_with_code() -> Iterator[object]:
    """Yield each page that has code to run; one with a long command is slow."""
    for page in PAGES:
        if not page.exists():
            continue
        code = [block.text for block in blocks(page.read_text(encoding="utf-8")) if block.language in _RUN]
        long = any(f"$ {command}" in text for text in code for command in LONG_COMMANDS)
        if code:
            yield pytest.param(page, marks=[pytest.mark.slow] if long else [], id=str(page.relative_to(ROOT)))


_RUN = {"python", "console"}


@pytest.mark.parametrize("page", list(pages_with_code()))
def test_the_code_of_a_page_runs_from_top_to_bottom(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.language == "python":
            run_python(block, names, page)
        elif block.language == "console":
            run_console(block, tmp_path)


def test_each_block_says_its_language_so_that_none_escapes_by_mistake() -> None:
    known = _RUN | {"text", "sh", "toml", "json"}
    for page in PAGES:
        for block in blocks(page.read_text(encoding="utf-8")):
            if page.name in {"README.md", "train-elsewhere.md"} and block.language == "py":
                continue  # it talks to a service: tests in tests/service start one and run it
            assert block.language in known, f"{page.relative_to(ROOT)}, line {block.line}: {block.language!r}"


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES])
def test_every_link_and_picture_of_a_page_is_there(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    local = [target.split("#")[0] for target in LINK.findall(text) if not re.match(r"[a-z]+:", target)]
    lost = [target for target in local if target and not (page.parent / target).exists()]
    assert not lost


def test_the_index_links_every_page_and_so_nothing_is_hidden() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    linked = {(DOCS / target.split("#")[0]).resolve() for target in LINK.findall(index)}
    hidden = [str(page.relative_to(ROOT)) for page in sorted(DOCS.rglob("*.md")) if page.resolve() not in linked]
    assert hidden == ["docs/index.md"]


def test_the_reference_is_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "reference.py"), "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_runner_of_pages_sees_failures(tmp_path: Path) -> None:
    page = '```python\nx = 1\n```\n\n```python\n>>> x + 1\n3\n```\n\n```console\n$ python -c "print(5)"\n6\n```\n'
    first, second, third = blocks(page)
    names: dict[str, object] = {}
    run_python(first, names, tmp_path / "page.md")
    assert names["x"] == 1
    with pytest.raises(AssertionError, match="Got"):
        run_python(second, names, tmp_path / "page.md")
    with pytest.raises(AssertionError, match="did not print '6'"):
        run_console(third, tmp_path)


def test_a_console_block_may_expect_a_failure_and_leave_parts_out(tmp_path: Path) -> None:
    run_console(
        Block("console", '$ python -c "print(1, 2, 3); raise SystemExit(4)"  # exit code 4\n1 ... 3\n', 1), tmp_path
    )
    with pytest.raises(AssertionError, match="gave 4"):
        run_console(Block("console", '$ python -c "raise SystemExit(4)"\n', 1), tmp_path)
