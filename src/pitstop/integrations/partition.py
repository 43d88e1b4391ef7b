"""One partition that is read: what came of it and is not handed over yet, and what is planned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pitstop.integrations.topic_run import Message, Plan, Run


@dataclass
class Partition:
    """Where a partition stands. `position`: the first offset that is not handed over.

    `end`: the end of the log that was reached last, None while there is more. `dirty`: position or plan are not
    committed. `since`: when the oldest of `messages` came (seconds of the caller's clock).
    """

    topic: str
    number: int
    position: int
    plan: Plan | None = None
    dirty: bool = False
    end: int | None = None
    since: float = 0.0
    messages: list[Message] = field(default_factory=list)
    bytes: int = 0

    def add(self, message: Message, now: float) -> bool:
        """Keep a message; return whether its offset shows that the topic was made anew."""
        anew = message.offset < (self.messages[-1].offset + 1 if self.messages else self.position)
        if anew:
            self.restart(message.offset)
        if not self.messages:
            self.since = now
        self.messages.append(message)
        self.bytes += _size(message)
        if self.end is not None and message.offset >= self.end:
            self.end = None
        return anew

    def restart(self, position: int) -> None:
        """Begin anew at an offset; what was planned before is void."""
        self.position, self.plan, self.dirty, self.messages, self.bytes = position, None, True, [], 0

    @property
    def at_end(self) -> bool:
        """Whether everything that the topic has is handed over."""
        return self.end is not None and not self.messages and self.plan is None and not self.dirty

    def make_plan(self, most: int, most_bytes: int) -> None:
        """Plan what came, as far as it fits into a batch."""
        count, size = 0, 0
        for message in self.messages:
            if count and (count == most or size + _size(message) > most_bytes):
                break
            count, size = count + 1, size + _size(message)
        self.plan = Plan.of(self.position, self.messages[count - 1].offset + 1)
        self.dirty = True

    def hand_over(self, take: Callable[[Run], int]) -> int | None:
        """Hand over what is planned, if all of it came; return how many rows it was, None where some has to come."""
        plan = self.plan
        if plan is None or self.dirty:
            return None
        came = self.end is not None or (self.messages and self.messages[-1].offset >= plan.end - 1)
        if not came:
            return None
        mine = [message for message in self.messages if message.offset < plan.end]
        rows = take(Run(self.topic, self.number, plan, tuple(mine))) if mine else 0
        self.messages = self.messages[len(mine) :]
        self.bytes = sum(_size(message) for message in self.messages)
        self.position, self.plan, self.dirty = plan.end, None, True
        return rows


def _size(message: Message) -> int:
    return len(message.value or b"") + 200
