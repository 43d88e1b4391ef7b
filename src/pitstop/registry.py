"""One registry for everything that can be extended: built-ins are an explicit tuple, others come by entry point."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, Protocol, TypeVar, cast

from pitstop.errors import PluginError, UnknownNameError


class Named(Protocol):
    """Anything with a `name`."""

    @property
    def name(self) -> str:
        """The name under which it is found; lower case with underscores."""


T = TypeVar("T", bound=Named)


class Registry(Generic[T]):
    """Finds things of one kind by name. Entry points are loaded when a name is first looked up, never on import.

    `kind` is the word for messages ("policy"), `group` the entry-point group ("pitstop.policies").
    """

    def __init__(self, kind: str, group: str, builtins: tuple[T, ...]) -> None:
        self._kind = kind
        self._group = group
        self._builtins = builtins
        self._plugins: tuple[T, ...] | None = None

    def __iter__(self) -> Iterator[T]:
        """Iterate over built-ins, then over installed plug-ins in order of their names.

        Raises `PluginError` where one of those cannot be loaded.
        """
        yield from self._builtins
        if self._plugins is None:
            # Looking through all installed distributions takes milliseconds, and this runs in every window.
            points = sorted(entry_points(group=self._group), key=lambda point: point.name)
            self._plugins = tuple(self._loaded(point) for point in points)
        yield from self._plugins

    def _loaded(self, point: EntryPoint) -> T:
        try:
            return cast("T", point.load())
        except Exception as error:  # whatever the code of others raises when it is imported
            of = f" of {point.dist.name}" if point.dist is not None else ""
            msg = (
                f"the {self._kind} {point.name!r}{of} cannot be loaded ({point.value}): {type(error).__name__}: "
                f"{error}; mend that package, or uninstall it"
            )
            raise PluginError(msg) from error

    def names(self) -> tuple[str, ...]:
        """Return all known names."""
        return tuple(item.name for item in self)

    def get(self, name: str) -> T:
        """Return the thing called `name`; raise `UnknownNameError` naming the known ones."""
        for item in self:
            if item.name == name:
                return item
        known = self.names()
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        msg = f"no {self._kind} is called {name!r}{hint} Known: {', '.join(known)}"
        raise UnknownNameError(msg)
