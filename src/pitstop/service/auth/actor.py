"""Who asks: a name, roles, and the models that they may see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ROLES = ("viewer", "data_scientist", "operator", "approver", "auditor", "admin")
# A key of a program that hands rows in, and may do nothing else.
INGEST = "ingest"
# As much of a program that trains elsewhere: it fetches the rows of a training, and brings what came of it.
TRAINER = "trainer"
KEY_ROLES = (INGEST, TRAINER, *ROLES)
READERS = frozenset(ROLES)


@dataclass(frozen=True)
class Actor:
    """Somebody whose credentials were checked. `models` None is all models; `via` is session, key, token or local."""

    name: str
    roles: frozenset[str]
    models: frozenset[str] | None = None
    via: str = "local"

    @property
    def person(self) -> str:
        """Who is behind it: the maker of a key, or the user."""
        return self.name.partition("/")[0]

    def may(self, roles: frozenset[str]) -> bool:
        """Return whether one of `roles` is theirs; an admin has every role. No role at all is nobody's."""
        return bool(self.roles & roles) or ("admin" in self.roles and bool(roles))

    def sees(self, model: str) -> bool:
        """Return whether a model is within what they may see."""
        return self.models is None or model in self.models


# Whoever sits at a machine whose service listens to nobody else.
LOCAL = Actor("local", frozenset(ROLES))


def actor_of(scope: Mapping[str, Any]) -> Actor:
    """Return who asks. Only the outermost layer lets a request through without one, to the few public addresses."""
    found: Actor = scope["state"]["actor"]
    return found
