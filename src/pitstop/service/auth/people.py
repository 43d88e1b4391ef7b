"""Users and their sessions. A change of password, roles or activity ends every session that a user has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from pitstop.errors import AccessError, UnknownNameError
from pitstop.service.auth import passwords
from pitstop.service.auth.actor import LOCAL, ROLES, Actor
from pitstop.service.auth.secrets import digest_of, new_secret
from pitstop.service.fleet import FLEET, Fleet

SESSION_MICROSECONDS = 12 * 3_600 * 1_000_000
USER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}\Z")
_USERS, _SESSIONS, _BOOTSTRAP = FLEET.tables["users"], FLEET.tables["sessions"], FLEET.tables["bootstrap"]
# No password fits it: people who log in with an identity provider have none.
NO_PASSWORD = ""


@dataclass(frozen=True)
class User:
    """Somebody who may log in. `at` is when they were made, in microseconds."""

    name: str
    roles: frozenset[str]
    active: bool
    at: int


class People:
    """The users of a fleet. Every instant is an argument, in microseconds."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet

    def users(self) -> tuple[User, ...]:
        """Return all users, by name."""
        with self.fleet.read() as connection:
            rows = connection.execute(sa.select(_USERS).order_by(_USERS.c.name)).all()
        return tuple(User(row.name, frozenset(json.loads(row.roles)), row.active, row.at) for row in rows)

    def add(self, name: str, password: str, roles: Iterable[str], at: int) -> None:
        """Add a user; an empty password is for those who log in elsewhere. Raises `AccessError`."""
        kept = passwords.hashed(password) if password else NO_PASSWORD
        with self.fleet.write() as connection:
            _insert(connection, name, kept, roles, at)

    def set_password(self, name: str, password: str) -> None:
        """Give a user a new password, and end their sessions."""
        self._change(name, password=passwords.hashed(password))

    def set_roles(self, name: str, roles: Iterable[str]) -> None:
        """Give a user other roles, and end their sessions. Raises `AccessError` where no admin would be left."""
        self._change(name, roles=json.dumps(sorted(_known(roles))))

    def set_active(self, name: str, *, active: bool) -> None:
        """Let a user in, or no longer. Raises `AccessError` where no admin would be left."""
        self._change(name, active=active)

    def change(
        self, name: str, *, password: str | None = None, roles: Iterable[str] | None = None, active: bool | None = None
    ) -> None:
        """Change what is not None, all of it or nothing, and end the user's sessions. Raises as the three above do."""
        values: dict[str, Any] = {} if active is None else {"active": active}
        if roles is not None:
            values["roles"] = json.dumps(sorted(_known(roles)))
        if password is not None:
            values["password"] = passwords.hashed(password)
        if values:
            self._change(name, **values)

    def begin(self, name: str, password: str, at: int) -> str | None:
        """Return the secret of a new session; None where name and password do not fit."""
        with self.fleet.read() as connection:
            row = connection.execute(sa.select(_USERS).where(_USERS.c.name == name)).one_or_none()
        kept = row.password if row is not None and row.active else NO_PASSWORD
        if not passwords.fits(password, kept) or row is None:
            return None
        return self._session(row.name, row.epoch, at)

    def begin_trusted(self, name: str, subject: str, roles: Iterable[str] | None, at: int) -> str:
        """Return a session for whom an identity provider has vouched as `subject`.

        A user who is not known yet is made, as a viewer unless the provider says `roles`; where it does, those hold
        from now on. Raises `AccessError` where the name belongs to somebody else, or the user was made inactive.
        """
        query = sa.select(_USERS).where(_USERS.c.name == name)
        with self.fleet.write() as connection:
            row = connection.execute(query).one_or_none()
            if row is None:
                _insert(connection, name, NO_PASSWORD, roles or ("viewer",), at, subject)
            elif row.subject != subject:
                msg = f"the name {name!r} belongs to another user here; ask an admin"
                raise AccessError(msg)
            elif not row.active:
                msg = f"{name} may not log in any more; ask an admin"
                raise AccessError(msg)
        if row is not None and roles is not None and _known(roles) != set(json.loads(row.roles)):
            self.set_roles(name, roles)
        with self.fleet.read() as connection:
            epoch = connection.execute(query).one().epoch
        return self._session(name, epoch, at)

    def actor(self, session: str, at: int) -> Actor | None:
        """Return whose session this is; None where it is over, or nobody's."""
        query = sa.select(_USERS.c.name, _USERS.c.roles).join(_SESSIONS, _SESSIONS.c.user == _USERS.c.name)
        query = query.where(
            _SESSIONS.c.digest == digest_of(session),
            _SESSIONS.c.expires > at,
            _SESSIONS.c.epoch == _USERS.c.epoch,
            _USERS.c.active.is_(True),
        )
        with self.fleet.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Actor(row.name, frozenset(json.loads(row.roles)), None, "session")

    def end(self, session: str) -> None:
        """End one session."""
        with self.fleet.write() as connection:
            connection.execute(_SESSIONS.delete().where(_SESSIONS.c.digest == digest_of(session)))

    def bootstrap(self, at: int) -> str | None:
        """Return a token with which the first user can be made, once; None where there is a user."""
        token = new_secret("setup")
        with self.fleet.write() as connection:
            if connection.execute(sa.select(_USERS.c.name).limit(1)).first() is not None:
                return None
            # A token that was printed before and never used is worth nothing any more.
            connection.execute(_BOOTSTRAP.delete())
            connection.execute(_BOOTSTRAP.insert(), {"digest": token.digest, "at": at, "used": None})
        return token.text

    def set_up(self, token: str, name: str, password: str, at: int) -> None:
        """Make the first user, an admin. Raises `AccessError` where the token is not the one, or was used."""
        kept = passwords.hashed(password)
        fresh = (_BOOTSTRAP.c.digest == digest_of(token)) & _BOOTSTRAP.c.used.is_(None)
        with self.fleet.write() as connection:
            if connection.execute(_BOOTSTRAP.update().where(fresh).values(used=at)).rowcount != 1:
                msg = "this is not the token that the service printed when it started, or it was used already"
                raise AccessError(msg)
            _insert(connection, name, kept, ["admin"], at)

    def _session(self, name: str, epoch: int, at: int) -> str:
        secret = new_secret("session")
        row = {"digest": secret.digest, "user": name, "epoch": epoch, "at": at, "expires": at + SESSION_MICROSECONDS}
        with self.fleet.write() as connection:
            connection.execute(_SESSIONS.delete().where(_SESSIONS.c.expires <= at))
            connection.execute(_SESSIONS.insert(), row)
        return secret.text

    def _change(self, name: str, **values: Any) -> None:
        with self.fleet.write() as connection:
            had = _has_admin(connection)
            changed = _USERS.update().where(_USERS.c.name == name).values(epoch=_USERS.c.epoch + 1, **values)
            if connection.execute(changed).rowcount != 1:
                msg = f"there is no user {name!r}"
                raise UnknownNameError(msg)
            # There is none to lose where all users came from an identity provider that made none of them an admin.
            if had and not _has_admin(connection):
                msg = f"{name} is the last admin; make another one first"
                raise AccessError(msg)
            connection.execute(_SESSIONS.delete().where(_SESSIONS.c.user == name))


def _has_admin(connection: sa.Connection) -> bool:
    rows = connection.execute(sa.select(_USERS.c.roles).where(_USERS.c.active.is_(True)))
    return any("admin" in json.loads(row.roles) for row in rows)


def _insert(
    connection: sa.Connection, name: str, password: str, roles: Iterable[str], at: int, subject: str = ""
) -> None:
    if not USER_NAME.match(name):
        msg = f"got the user name {name[:140]!r}; expected letters, digits and any of . _ @ + -, up to 128"
        raise AccessError(msg)
    # The name of whoever uses the service on a loopback without a login, to whom fewer rules apply.
    taken = connection.execute(sa.select(_USERS.c.name).where(_USERS.c.name == name)).first() is not None
    if taken or name == LOCAL.name:
        msg = f"there is a user {name!r} already"
        raise AccessError(msg)
    row = {"name": name, "password": password, "subject": subject, "roles": json.dumps(sorted(_known(roles)))}
    connection.execute(_USERS.insert(), row | {"epoch": 0, "active": True, "at": at})


def _known(roles: Iterable[str]) -> set[str]:
    found = set(roles)
    if not found or found - set(ROLES):
        msg = f"got the roles {', '.join(sorted(found)) or 'none'}; expected at least one of {', '.join(ROLES)}"
        raise AccessError(msg)
    return found
