"""What the commands share that record what a person says: when and by which login, and the way into the journal."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pitstop.compliance.facts import Artifact, Facts


def observed() -> dict[str, str]:
    """Return when something was typed, and by which login: kept beside a statement, and no part of its id."""
    try:
        login = getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number without a name
        login = ""
    return {"recorded": datetime.now(UTC).isoformat(timespec="seconds"), "login": login}


def record(home: Path, model: str, say: Callable[[Facts], Iterable[Artifact]]) -> tuple[Facts, tuple[Artifact, ...]]:
    """Put what `say` makes of the facts into a home, in one transaction; return the facts and what was put."""
    from pitstop.loop.recalling import facts_of  # noqa: PLC0415 - heavy, and `pitstop --help` must be fast
    from pitstop.store.home import Home  # noqa: PLC0415 - as above

    with Home.open(home, create=False) as kept:
        facts = facts_of(kept, model)
        said = tuple(say(facts))
        with kept.transaction() as store:
            for item in said:
                store.put_artifact(item.content, item.kind, item.id, item.at, item.caused_by, model)
    return facts, said
