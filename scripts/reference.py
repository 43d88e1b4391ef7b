"""Write docs/reference/*.md from the code, or with --check tell whether the pages are up to date.

A page is made of what the code says about itself: docstrings, signatures, defaults and help texts. What is missing on
a page is missing in the code.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import importlib
import inspect
import pkgutil
import re
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer.main

import pitstop
from pitstop import errors
from pitstop.records import spec
from pitstop.registry import Registry
from pitstop.service.api.table import OPERATIONS
from pitstop.service.auth.actor import READERS

PAGES = Path(__file__).resolve().parent.parent / "docs" / "reference"
HEADER = "<!-- Written by scripts/reference.py from the code: change that, then run `make reference`. -->\n"


def cell(text: str) -> str:
    """Return text for a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def docstring(thing: object) -> str:
    """Return a docstring without its indentation; a public thing without one is an error."""
    text = inspect.getdoc(thing)
    if not text:
        msg = f"{thing!r} is public and has no docstring"
        raise SystemExit(msg)
    return text


def signature_of(thing: Callable[..., Any]) -> str:
    """Return a signature; a function that is a default shows without its address, which differs in every run."""
    return re.sub(r"<function (\w+) at 0x[0-9a-f]+>", r"\1", str(inspect.signature(thing)))


def written_type(hint: Any) -> str:
    """Return in words what may be written in TOML for a field of this type."""
    options = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(f'`"{option}"`' for option in options)
    if typing.get_origin(hint) is tuple:
        return "list of texts"
    if options:
        return " or ".join(written_type(option) for option in options if option is not type(None))
    return {str: "text", int: "whole number", float: "number"}.get(hint) or "number or table, see below"


def default_of(item: dataclasses.Field[Any]) -> str:
    """Return a field's default as it would be written, or that there is none."""
    if item.default_factory is not dataclasses.MISSING:
        value = item.default_factory()
    elif item.default is dataclasses.MISSING:
        return "required"
    else:
        value = item.default
    if isinstance(value, spec.Outcome):
        return f"`{value.constant:g}`"
    if value is None:
        return "none"
    return f"`{list(value)}`" if isinstance(value, tuple) else f"`{value!r}`".replace("'", '"')


def row(hints: dict[str, Any]) -> Callable[[dataclasses.Field[Any]], str]:
    """Return what makes a line of the table of keys out of a field."""
    return lambda item: f"| `{item.name}` | {written_type(hints[item.name])} | {default_of(item)} |"


def specification() -> Iterator[str]:
    """Return the page about `pitstop.toml`, from the dataclasses that read it."""
    yield "# The specification, `pitstop.toml`"
    yield docstring(spec)
    for section, kind in typing.get_type_hints(spec.ModelSpec).items():
        hints = typing.get_type_hints(kind)
        yield f"## `[{section}]`"
        yield docstring(kind)
        yield "\n".join(["| key | type | default |", "|---|---|---|", *map(row(hints), dataclasses.fields(kind))])
    yield "## An outcome's worth"
    yield docstring(spec.Outcome)
    yield "A plain number is short for `{ constant = number }`."


def error_tree(kind: type[BaseException], depth: int = 0) -> Iterator[str]:
    """Yield one list item for each error, below the one that it is a kind of."""
    yield f"{'  ' * depth}- `{kind.__name__}`: {cell(docstring(kind))}"
    for child in sorted(kind.__subclasses__(), key=lambda error: error.__name__):
        if child.__module__ == errors.__name__:
            yield from error_tree(child, depth + 1)


def error_page() -> Iterator[str]:
    """Return the page about errors."""
    yield "# Errors"
    yield docstring(errors)
    yield "\n".join(error_tree(errors.PitstopError))


def registries() -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    """Yield each registry's kind, entry-point group and built-in things (name and first paragraph), each once."""
    seen: set[int] = set()
    for module in pkgutil.walk_packages(pitstop.__path__, "pitstop."):
        if module.name.rpartition(".")[2].startswith("_"):  # __main__, and the compiled library beside its source
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if not isinstance(value, Registry) or id(value) in seen:
                continue
            seen.add(id(value))
            private = vars(value)  # a registry shows nothing but its names; this page is about the registry itself
            items = [(item.name, docstring(described(item)).split("\n\n")[0]) for item in private["_builtins"]]
            yield private["_kind"], private["_group"], items


def described(item: object) -> object:
    """Return what carries the docstring: a class or function itself, or the class of an instance."""
    return item if inspect.isclass(item) or inspect.isroutine(item) else type(item)


def extension_page() -> Iterator[str]:
    """Return the page about what can be extended, and what is built in."""
    yield "# What is built in, and what can be added"
    yield docstring(Registry)
    for kind, group, items in sorted(registries()):
        yield f"## Each {kind}"
        yield f"Entry-point group: `{group}`."
        rows = [f"| `{name}` | {cell(text)} |" for name, text in items]
        yield "\n".join(["| name | what it is |", "|---|---|", *rows])


def public_names() -> list[str]:
    """Return what `from pitstop import *` gives."""
    return list(vars(pitstop)["__all__"])


def public_name(name: str) -> Iterator[str]:
    """Yield the section about one name of `pitstop.__all__`."""
    thing = getattr(pitstop, name)
    yield f"## `{name}`"
    if not callable(thing):
        yield f"```text\n{name} = {thing!r}\n```"
        return
    if inspect.isclass(thing) and issubclass(thing, BaseException):
        shown = f"class {name}({', '.join(base.__name__ for base in thing.__bases__)})"
    else:
        shown = f"{name}{signature_of(thing)}"
    yield f"```text\n{shown}\n```"
    yield docstring(thing)
    if not inspect.isclass(thing):
        return
    for member, value in sorted(vars(thing).items()):
        if member.startswith("_") or not (callable(value) or isinstance(value, property | classmethod | staticmethod)):
            continue
        method = getattr(thing, member)
        shown = member if isinstance(value, property) else f"{member}{signature_of(method)}"
        yield f"### `{name}.{shown}`"
        yield docstring(value if isinstance(value, property) else method)


def python_page() -> Iterator[str]:
    """Return the page about `import pitstop`; a change of a public signature shows here."""
    yield "# Python: `import pitstop`"
    yield docstring(pitstop)
    for name in sorted(public_names()):
        yield from public_name(name)


def leaves(prefix: str, group: Any) -> Iterator[tuple[str, Any]]:
    """Yield each command that does something, with its whole name; groups of commands only hold others."""
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from leaves(f"{prefix} {name}", command)
        else:
            yield f"{prefix} {name}", command


def command_page() -> Iterator[str]:
    """Return the page about the command line."""
    group: Any = typer.main.get_command(importlib.import_module("pitstop.cli.main").app)
    yield "# Commands"
    yield group.help
    for name, command in leaves("pitstop", group):
        arguments = [param for param in command.params if param.param_type_name == "argument"]
        named = [param.name.upper() if param.required else f"[{param.name.upper()}]" for param in arguments]
        yield f"## `{' '.join([name, *named])}`"
        yield inspect.cleandoc(command.help or "")
        rows = [
            f"| `{param.name.upper() if param in arguments else ', '.join(param.opts)}` | {cell(param.help or '')} |"
            for param in command.params
            if param.name != "help"
        ]
        if rows:
            yield "\n".join(["| | |", "|---|---|", *rows])


def api_page() -> Iterator[str]:
    """Return the page about the API of the service, from its table of operations."""
    yield "# The service's API"
    yield (
        "Everything is JSON. Authorization: `Bearer KEY`, or a session. A refusal is `application/problem+json`. A "
        "list is read part by part: `next` of one answer is `cursor` of the next request. A `POST` may carry an "
        "`Idempotency-Key`. Each operation needs one of the roles that it names; an admin has them all. The document "
        "with all schemas is `/openapi.json`."
    )
    for item in OPERATIONS:
        yield f"## `{item.method} {item.path}`"
        yield item.summary
        roles = "any" if item.roles == READERS else ", ".join(sorted(item.roles))
        yield f"Roles: {roles}. Answer: {item.status}."
        for title, kind in (("Query", item.query), ("Body", item.body)):
            fields = typing.get_type_hints(kind, include_extras=False) if kind is not None else {}
            if fields:
                names = [f"`{name}`" for name in fields]
                yield f"{title}: {', '.join(names)}. {docstring(kind).split(chr(10) * 2)[0]}"


BUILDERS: dict[str, Callable[[], Iterator[str]]] = {
    "commands": command_page,
    "specification": specification,
    "python": python_page,
    "api": api_page,
    "extensions": extension_page,
    "errors": error_page,
}


def page(name: str) -> str:
    """Return the text of one page."""
    return HEADER + "\n" + "\n\n".join(part.strip() for part in BUILDERS[name]()) + "\n"


def main() -> int:
    """Write or check all pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is out of date")
    arguments = parser.parse_args()
    stale = [path.name for path in PAGES.glob("*.md") if path.stem not in BUILDERS]
    for name in BUILDERS:
        path, text = PAGES / f"{name}.md", page(name)
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if old == text:
            continue
        stale.append(path.name)
        if arguments.check:
            difference = difflib.unified_diff(old.splitlines(), text.splitlines(), path.name, "the code", lineterm="")
            print("\n".join(difference))
        else:
            PAGES.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.name}")
    if arguments.check and stale:
        print(f"out of date: {', '.join(stale)}; run `make reference`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
