"""Reads a topic of Kafka: each message is handed over once, whatever is killed and whoever goes on.

The group keeps two things of a partition: the first offset that is not durable at the service yet, and beside it (in
the metadata of the commit) the plan for the next run of messages: up to where it goes, and a token that makes its name.
The plan is committed before the run is handed over, and the offset after it was acknowledged. Whoever reads the
partition next, after a crash or because it was given away, cuts the same run, and the service knows its name.
A plan of a reader that the group has given up is refused by the broker, so that nobody hands over what another planned.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from pitstop.errors import IngestError, OverloadedError
from pitstop.integrations.feeding import Fed
from pitstop.integrations.kafka_settings import Topic
from pitstop.integrations.partition import Partition
from pitstop.integrations.topic_run import Message, Plan, Run

Take = Callable[[Run], int]
"""Makes a run durable and returns its rows. Raises `IngestError` where that has to be tried again."""

BATCH_BYTES = 8 << 20
# Of all partitions: beyond this they are handed over before they are full.
HELD_BYTES = 64 << 20
_FETCH = 2_000
_ASK_SECONDS = 10.0
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0


class KafkaSource:
    """A reader of `topic`; a context manager. `take` gets runs of at most `rows` messages and `BATCH_BYTES`.

    A run is handed over when it is full, or when its first message is `linger` seconds old; with `linger` 0 when the
    end of the topic is reached. `lasting` is what went wrong and stays so, such as messages that were gone before they
    were read; `heard` is when something came last (`time.monotonic`). Raises `IngestError` where the client is not
    installed or refuses a setting.
    """

    def __init__(self, topic: Topic, take: Take, *, rows: int = 100_000, linger: float = 0.0) -> None:
        try:
            import confluent_kafka  # noqa: PLC0415 - optional
        except ImportError as error:
            msg = "topics are read by the package confluent-kafka; install pitstop[kafka]"
            raise IngestError(msg) from error
        self._kafka: Any = confluent_kafka
        self._topic, self._take, self._rows, self._linger = topic, take, rows, linger
        self._partitions: dict[int, Partition] = {}
        self._assigned = False
        self._unplaced: list[Any] = []
        self.heard = time.monotonic()
        self._troubles: list[str] = []
        self.lasting: list[str] = []
        self._unread: str = ""
        self._again_at, self._wait = 0.0, _FIRST_WAIT
        self._keeps_plans: bool | None = None
        try:
            settings = {**topic.settings, "error_cb": self._on_error}
            self._consumer: Any = confluent_kafka.Consumer(settings)
            self._consumer.subscribe([topic.name], on_assign=self._on_assign, on_revoke=self._on_revoke)
        except (confluent_kafka.KafkaException, ValueError, TypeError) as error:
            msg = f"Kafka's client refuses the settings: {topic.without_secrets(str(error))}"
            raise IngestError(msg) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Whoever takes the partitions over begins at what was committed.
        self._consumer.close()

    @property
    def done(self) -> bool:
        """Whether everything is handed over that the partitions had which the group gave to this reader."""
        return self._assigned and not self._waits and all(part.at_end for part in self._partitions.values())

    def turn(self, seconds: float) -> Fed:
        """Read for at most so many seconds, and hand over what is to be; return what was, and what is wrong.

        Never raises for what a broker, a network or a service can do: it goes on by itself.
        """
        rows = 0
        try:
            with self._errors("read"):
                for message in self._consumer.consume(_FETCH, seconds):
                    self._receive(message)
            if self._waits:
                return self._told(0)
            if self._again_at:
                self._go_on()
            if self._unplaced:
                self._begin(self._unplaced)
            rows = self._work()
        except IngestError as error:
            self._hold_back(error)
        return self._told(rows)

    def _work(self) -> int:
        """Plan, commit, hand over, until there is nothing to do; return the rows."""
        rows = 0
        while True:
            now = time.monotonic()
            held = sum(part.bytes for part in self._partitions.values())
            for part in self._partitions.values():
                if part.plan is None and part.messages and (held > HELD_BYTES or self._is_due(part, now)):
                    part.make_plan(self._rows, BATCH_BYTES)
            self._commit()
            moved = False
            for part in tuple(self._partitions.values()):
                done = part.hand_over(self._take)
                if done is not None:
                    rows, moved = rows + done, True
                    self._wait = _FIRST_WAIT
            if not moved:
                return rows

    def _is_due(self, part: Partition, now: float) -> bool:
        full = len(part.messages) >= self._rows or part.bytes >= BATCH_BYTES
        return full or (part.end is not None if not self._linger else now - part.since >= self._linger)

    def _commit(self) -> None:
        """Commit where each partition stands, and what is planned of it."""
        dirty = [part for part in self._partitions.values() if part.dirty]
        if not dirty:
            return
        with self._errors("commit offsets of"):
            answers = self._consumer.commit(offsets=[self._place(part) for part in dirty], asynchronous=False)
            for answer in answers:
                if answer.error is not None:
                    raise self._kafka.KafkaException(answer.error)
        for part in dirty:
            part.dirty = False
        planned = [part for part in dirty if part.plan is not None]
        if planned and self._keeps_plans is None:
            self._ask_for(planned[0])

    def _place(self, part: Partition) -> Any:
        plan = part.plan.text if part.plan is not None else ""
        return self._kafka.TopicPartition(part.topic, part.number, part.position, plan)

    def _ask_for(self, part: Partition) -> None:
        """See once whether this broker gives back what it was told."""
        with self._errors("ask for offsets of"):
            place = self._kafka.TopicPartition(part.topic, part.number)
            found = self._consumer.committed([place], timeout=_ASK_SECONDS)[0]
        self._keeps_plans = part.plan is not None and found.metadata == part.plan.text
        if not self._keeps_plans:
            self._lose(
                "this broker does not keep the metadata of commits, as Apache Kafka does: after a crash, rows without "
                "an id may be stored twice"
            )

    def _receive(self, message: Any) -> None:
        error = message.error()
        part = self._partitions.get(message.partition())
        if error is not None:
            if error.code() == self._kafka.KafkaError._PARTITION_EOF:  # noqa: SLF001 - the client's public name for it
                if part is not None:
                    part.end = message.offset()
            else:
                self._on_error(error)
            return
        if part is None:
            return  # of an assignment that is not placed yet: it comes again from there
        self.heard = time.monotonic()
        kind, at = message.timestamp()
        headers = {str(name).lower(): bytes(value or b"") for name, value in message.headers() or ()}
        known = None if kind == self._kafka.TIMESTAMP_NOT_AVAILABLE else int(at)
        if part.add(Message(message.offset(), known, headers, message.value()), time.monotonic()):
            self._lose(f"{self._shown(part)} was made anew: it is read from offset {message.offset()} on")

    def _on_assign(self, _: Any, places: list[Any]) -> None:
        self._partitions, self._unplaced = {}, places
        try:
            self._begin(places)
        except IngestError as error:
            self._hold_back(error)

    def _begin(self, places: list[Any]) -> None:
        """Begin where the group stands. Whatever a reader before planned and did not see to its end is done first."""
        with self._errors("ask for offsets of"):
            found = self._consumer.committed(places, timeout=_ASK_SECONDS) if places else []
            parts = {}
            for place in found:
                asked = self._kafka.TopicPartition(place.topic, place.partition)
                low, high = self._consumer.get_watermark_offsets(asked, timeout=_ASK_SECONDS)
                part = parts[place.partition] = self._beginning(place, low, high)
                place.offset = part.position
            self._consumer.assign(found)
            if found:
                # The client keeps a pause from an earlier assignment.
                (self._consumer.pause if self._waits else self._consumer.resume)(found)
        self._partitions, self._unplaced, self._assigned = parts, [], True
        self.heard = time.monotonic()

    def _beginning(self, place: Any, low: int, high: int) -> Partition:
        if place.offset < 0:
            # What comes while nobody reads is not passed over: the place is committed at once.
            first = high if self._topic.begin == "latest" else low
            return Partition(place.topic, place.partition, first, dirty=True)
        part = Partition(place.topic, place.partition, place.offset, Plan.read(place.metadata))
        if place.offset > high:
            self._lose(
                f"{self._shown(part)} ends at offset {high} and was read up to {place.offset}: it was made anew, and "
                "is read from its beginning"
            )
            part.restart(low)
        elif place.offset < low:
            self._lose(
                f"the offsets {place.offset} to {low - 1} of {self._shown(part)} were deleted before they were read; "
                "keep messages longer, or read more often"
            )
            part.position = low
            if part.plan is not None and part.plan.end <= low:
                part.plan = None
            part.dirty = True
        return part

    def _on_revoke(self, _: Any, places: list[Any]) -> None:
        for place in places:
            self._partitions.pop(place.partition, None)
        self._unplaced = []

    def _on_error(self, error: Any) -> None:
        """Note what the client says; it goes on trying by itself."""
        if error.code() != self._kafka.KafkaError._TRANSPORT or not self._unread:  # noqa: SLF001 - public name
            self._unread = self._topic.without_secrets(error.str())

    @property
    def _waits(self) -> bool:
        return time.monotonic() < self._again_at

    def _hold_back(self, error: IngestError) -> None:
        """Read no further for a while, but stay in the group."""
        stated = float(error.retry_after) if isinstance(error, OverloadedError) else 0.0
        self._again_at = time.monotonic() + min(max(stated, self._wait), _LONGEST_WAIT)
        self._wait = min(2 * self._wait, _LONGEST_WAIT)
        self._troubles.append(str(error))
        places = self._consumer.assignment()
        if places:
            self._consumer.pause(places)

    def _go_on(self) -> None:
        self._again_at = 0.0
        places = self._consumer.assignment()
        if places:
            self._consumer.resume(places)

    def _told(self, rows: int) -> Fed:
        troubles = list(dict.fromkeys(self._troubles))
        if self._unread:
            troubles.append(f"{self._topic.name}: {self._unread}; it is tried again")
        self._troubles, self._unread = [], ""
        return Fed(rows, 0, tuple(troubles))

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except self._kafka.KafkaException as error:
            why = error.args[0].str() if error.args and hasattr(error.args[0], "str") else str(error)
            msg = f"cannot {what} {self._topic.name}: {self._topic.without_secrets(why)}"
            raise IngestError(msg) from error

    def _lose(self, trouble: str) -> None:
        self._troubles.append(trouble)
        self.lasting.append(trouble)

    @staticmethod
    def _shown(part: Partition) -> str:
        return f"partition {part.number} of {part.topic}"
