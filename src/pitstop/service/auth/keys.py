"""API keys: shown once, kept as digests, limited to roles and models, and expiring."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from pitstop.errors import AccessError, UnknownNameError
from pitstop.service.auth.actor import INGEST, KEY_ROLES, TRAINER, Actor
from pitstop.service.auth.secrets import matches, new_secret, prefix_of
from pitstop.service.fleet import FLEET, Fleet

LONGEST_DAYS = 366
_DAY = 86_400 * 1_000_000
_KEYS, _USERS = FLEET.tables["api_keys"], FLEET.tables["users"]


@dataclass(frozen=True)
class Key:
    """What is known of a key; `models` None is all of them. Instants are microseconds."""

    prefix: str
    name: str
    roles: frozenset[str]
    models: frozenset[str] | None
    made_by: str
    at: int
    expires: int
    revoked: int | None


class Keys:
    """The API keys of a fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def make(
        self, name: str, roles: Sequence[str], models: Sequence[str] | None, days: int, *, by: Actor, at: int
    ) -> tuple[Key, str]:
        """Make a key and return it with its text, which is never seen again.

        Nobody gives more than they have: roles and models are within those of `by`. Rows may be handed in with the
        role `ingest` alone, models that were trained elsewhere brought with `trainer` alone: operators and admins give
        these. Raises `AccessError`.
        """
        asked = frozenset(roles)
        own = _givable(by.roles)
        if by.via == "key":
            msg = "a key makes no other keys; log in to make one"
            raise AccessError(msg)
        if not asked or not asked <= own:
            msg = f"got the roles {', '.join(sorted(asked)) or 'none'}; {by.name} may give {', '.join(sorted(own))}"
            raise AccessError(msg)
        if not 1 <= days <= LONGEST_DAYS:
            msg = f"got {days} days; a key lives 1 to {LONGEST_DAYS} days"
            raise AccessError(msg)
        limited = None if models is None else frozenset(models)
        if by.models is not None and (limited is None or not limited <= by.models):
            msg = f"{by.name} sees {', '.join(sorted(by.models))} and may give no other model away"
            raise AccessError(msg)
        secret = new_secret("pitstop")
        made = Key(secret.prefix, name, asked, limited, by.name, at, at + days * _DAY, None)
        row = {
            "prefix": made.prefix,
            "digest": secret.digest,
            "name": name,
            "roles": json.dumps(sorted(asked)),
            "models": json.dumps(None if limited is None else sorted(limited)),
            "made_by": by.name,
            "at": at,
            "expires": made.expires,
            "revoked": None,
        }
        with self._fleet.write() as connection:
            connection.execute(_KEYS.insert(), row)
        return made, secret.text

    def all(self) -> tuple[Key, ...]:
        """Return all keys, the oldest first."""
        with self._fleet.read() as connection:
            rows = connection.execute(sa.select(_KEYS).order_by(_KEYS.c.at, _KEYS.c.prefix)).all()
        return tuple(_key(row) for row in rows)

    def revoke(self, prefix: str, at: int) -> Key:
        """Make a key worth nothing from now on. Raises `UnknownNameError`."""
        with self._fleet.write() as connection:
            there = _KEYS.c.prefix == prefix
            connection.execute(_KEYS.update().where(there, _KEYS.c.revoked.is_(None)).values(revoked=at))
            row = connection.execute(sa.select(_KEYS).where(there)).one_or_none()
        if row is None:
            msg = f"there is no key {prefix!r}"
            raise UnknownNameError(msg)
        return _key(row)

    def actor(self, text: str, at: int) -> Actor | None:
        """Return whose key this is; None where it is nobody's, expired or revoked."""
        prefix = prefix_of(text)
        if prefix is None:
            return None
        maker = (_USERS.c.active, _USERS.c.roles.label("maker_roles"))
        query = sa.select(_KEYS, *maker).outerjoin(_USERS, _USERS.c.name == _KEYS.c.made_by)
        with self._fleet.read() as connection:
            row = connection.execute(query.where(_KEYS.c.prefix == prefix)).one_or_none()
        if row is None or not matches(text, row.digest) or row.revoked is not None or row.expires <= at:
            return None
        key = _key(row)
        roles = key.roles
        if row.active is not None:
            # A key is worth no more than its maker is today.
            roles = roles & _givable(frozenset(json.loads(row.maker_roles))) if row.active else frozenset()
        return Actor(f"{key.made_by}/{key.name}", roles, key.models, "key") if roles else None


def _givable(roles: frozenset[str]) -> frozenset[str]:
    """Return the roles that somebody with `roles` may give to a key."""
    if "admin" in roles:
        return frozenset(KEY_ROLES)
    return roles | {INGEST, TRAINER} if "operator" in roles else roles


def _key(row: sa.Row[Any]) -> Key:
    models = json.loads(row.models)
    return Key(
        row.prefix,
        row.name,
        frozenset(json.loads(row.roles)),
        None if models is None else frozenset(models),
        row.made_by,
        row.at,
        row.expires,
        row.revoked,
    )
