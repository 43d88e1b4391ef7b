"""Users and keys through the API."""

from __future__ import annotations

from pitstop.errors import AccessError, UnknownNameError
from pitstop.service.api import accounts, shapes
from pitstop.service.api.operation import Call
from pitstop.service.api.paging import Part, part_by_name, part_of
from pitstop.service.auth.keys import Key
from pitstop.service.auth.people import User


def me(call: Call) -> accounts.Me:
    """Say who asks, and what they may do."""
    actor = call.actor
    models = None if actor.models is None else sorted(actor.models)
    return accounts.Me(actor.name, sorted(actor.roles), models, actor.via)


def keys(call: Call) -> Part[accounts.KeyShape]:
    """List keys: an admin's list is everybody's, anybody else's their own."""
    found = [key for key in call.service.keys.all() if "admin" in call.actor.roles or key.made_by == call.person]
    part: Part[Key] = part_of(call.query, found)
    return Part([key_shape(key) for key in part.items], part.next)


def make_key(call: Call) -> accounts.MadeKey:
    """Make a key. Nobody gives more than they have, and a key makes no keys."""
    asked: accounts.NewKey = call.body
    made, text = call.service.keys.make(
        asked.name, asked.roles, asked.models, asked.days, by=call.actor, at=call.service.clock()
    )
    return accounts.MadeKey(key_shape(made), text)


def revoke_key(call: Call) -> None:
    """Make a key worth nothing: one's own, or as an admin anybody's. People do so, not keys."""
    if call.actor.via == "key":
        msg = "keys are ended by people, not by keys; log in"
        raise AccessError(msg)
    own = {key.prefix for key in call.service.keys.all() if key.made_by == call.person}
    if "admin" not in call.actor.roles and call.path["prefix"] not in own:
        msg = f"there is no key {call.path['prefix'][:100]!r} of yours"
        raise UnknownNameError(msg)
    call.service.keys.revoke(call.path["prefix"], call.service.clock())
    call.service.credentials.forget()


def users(call: Call) -> Part[accounts.UserShape]:
    """List users."""
    part: Part[User] = part_by_name(call.query, call.service.people.users())
    return Part([user_shape(user) for user in part.items], part.next)


def make_user(call: Call) -> accounts.UserShape:
    """Make a user. People do so, not keys: a user outlives the key, and is bound by none of its limits."""
    asked: accounts.NewUser = call.body
    if call.actor.via == "key":
        msg = "users are made by people, not by keys; log in"
        raise AccessError(msg)
    call.service.people.add(asked.name, asked.password, asked.roles, call.service.clock())
    return _user(call, asked.name)


def change_user(call: Call) -> accounts.UserShape:
    """Change a user; it ends their sessions. Somebody with a password may be given another one, or other roles."""
    asked: accounts.UserChange = call.body
    name = call.path["user"]
    _user(call, name)
    if call.actor.via == "key":
        msg = "users are changed by people, not by keys; log in"
        raise AccessError(msg)
    call.service.people.change(name, password=asked.password, roles=asked.roles, active=asked.active)
    call.service.credentials.forget()
    return _user(call, name)


def _user(call: Call, name: str) -> accounts.UserShape:
    for user in call.service.people.users():
        if user.name == name:
            return user_shape(user)
    msg = f"there is no user {name[:200]!r}"
    raise UnknownNameError(msg)


def user_shape(user: User) -> accounts.UserShape:
    """Return a user as the API says it."""
    return accounts.UserShape(user.name, sorted(user.roles), user.active, shapes.named(user.at))


def key_shape(key: Key) -> accounts.KeyShape:
    """Return a key as the API says it."""
    return accounts.KeyShape(
        key.prefix,
        key.name,
        sorted(key.roles),
        None if key.models is None else sorted(key.models),
        key.made_by,
        shapes.named(key.at),
        shapes.named(key.expires),
        None if key.revoked is None else shapes.named(key.revoked),
    )
