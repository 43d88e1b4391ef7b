"""A run of messages of one partition, and the plan for it that the group keeps: who reads next cuts the same run."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

# Long names of topics are cut: the token tells runs apart, the name is for people.
_SHOWN = 80
_PLAN = re.compile(r"pitstop:(\d+)-(\d+):([0-9a-f]{16})\Z")


@dataclass(frozen=True)
class Message:
    """One message: its offset, when it was written (milliseconds since 1970, None unknown), headers and value.

    Names of `headers` are in lower case; of a header that comes twice the last one counts. `value` is None for a
    tombstone.
    """

    offset: int
    at: int | None
    headers: Mapping[str, bytes]
    value: bytes | None = field(repr=False)


@dataclass(frozen=True)
class Plan:
    """What is handed over next of a partition: the offsets from `first` to before `end`, under a name of `token`.

    The token is drawn when the plan is made, so that a topic that was deleted and made anew, whose offsets begin again,
    is not taken for the old one.
    """

    first: int
    end: int
    token: str

    @classmethod
    def of(cls, first: int, end: int) -> Plan:
        """Return a new plan."""
        return cls(first, end, secrets.token_hex(8))

    @classmethod
    def read(cls, text: str | None) -> Plan | None:
        """Return the plan that was committed beside an offset; None where that is none of ours."""
        found = _PLAN.match(text or "")
        return cls(int(found[1]), int(found[2]), found[3]) if found else None

    @property
    def text(self) -> str:
        """It as it is committed."""
        return f"pitstop:{self.first}-{self.end}:{self.token}"


@dataclass(frozen=True)
class Run:
    """The messages of a partition that a plan names; those that the topic has no longer are not among them."""

    topic: str
    partition: int
    plan: Plan
    messages: tuple[Message, ...]

    @property
    def name(self) -> str:
        """Its name: the same whenever, and by whomever, it is handed over."""
        return f"kafka:{self.topic[:_SHOWN]}/{self.partition}/{self.plan.first}-{self.plan.end}:{self.plan.token}"

    def name_of(self, message: Message) -> str:
        """Return what a message is called."""
        return f"kafka:{self.topic[:_SHOWN]}/{self.partition}/{message.offset}"
