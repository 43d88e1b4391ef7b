"""Who may order what, and that who made a model does not let it through: the approver is not the author."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pitstop.errors import AccessError
from pitstop.store.home import Home

# The way back, and giving up what is only in shadow, are open to everybody who may act at all.
MAY_ORDER: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "retrain": frozenset({"data_scientist", "operator"}),
        "release": frozenset({"approver"}),
        "retire": frozenset({"data_scientist", "operator", "approver"}),
        "rollback": frozenset({"data_scientist", "operator", "approver"}),
    }
)


def authors_of(home: Home, model: str, challenger: str) -> frozenset[str]:
    """Return who ordered the retrain that a challenger came from, and who brought it where it was trained elsewhere.

    Empty where the policy decided by itself. Of a key it is who made it.
    """
    known = {item.id: item for item in home.artifacts(model=model)}
    found, front = set(), [challenger]
    if challenger in known:
        front += [item.id for item in known.values() if item.kind == "release" and item.content["model"] == challenger]
    seen: set[str] = set()
    while front:
        name = front.pop()
        if name in seen or name not in known:
            continue
        seen.add(name)
        item = known[name]
        if item.kind == "order" and item.content["action"] == "retrain":
            found.add(_person(str(item.content["by"])))
        if item.kind == "delivery":
            found.add(_person(str(item.content["by"])))
        if item.kind in {"challenger", "order"} or item.content.get("model") == challenger:
            front.extend(item.caused_by)
    return frozenset(found)


def require_not_author(home: Home, model: str, challenger: str, person: str) -> None:
    """Raise `AccessError` where `person` ordered the retrain that `challenger` came from."""
    if _person(person) in authors_of(home, model, challenger):
        msg = f"{person} ordered this model and may not let it through: the approver is not the author; ask another one"
        raise AccessError(msg)


def require_may_release(home: Home, model: str, version: int | None, person: str) -> None:
    """Raise `AccessError` where `person` ordered the version that is to be released (None: any that waits)."""
    newest = {item.content["version"]: item.content for item in home.artifacts("release", model)}
    for number, content in newest.items():
        if number == version or (version is None and content["stage"] in {"shadow", "canary"}):
            require_not_author(home, model, content["model"], person)


def _person(name: str) -> str:
    """Return who is behind a name: one of a key is PERSON/KEY (see `Actor`)."""
    return name.partition("/")[0]
