"""How a topic is reached: its address, and the client's settings from a file and the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qs, unquote, urlsplit

from pitstop.errors import IngestError

SCHEME = "kafka"
FILE = "PITSTOP_KAFKA_SETTINGS"
PREFIX = "PITSTOP_KAFKA_"
_FROM = ("earliest", "latest")
# What each row is stored once by; nobody may set it otherwise.
OURS: Mapping[str, str | int | bool] = MappingProxyType(
    {
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        # A partition is given back before somebody else gets it.
        "partition.assignment.strategy": "range",
        "group.protocol": "classic",
        "auto.offset.reset": "earliest",
    }
)
# A reader that was killed holds its partitions for as long as a session; ten seconds is less than a look waits.
_DEFAULTS: Mapping[str, str | int | bool] = MappingProxyType(
    {"client.id": "pitstop", "queued.max.messages.kbytes": 16_384, "log_level": 0, "session.timeout.ms": 10_000}
)
_SECRET = ("password", "secret", "key.pem", "token", "jaas", "oauthbearer.config")


@dataclass(frozen=True)
class Topic:
    """A topic, the group that reads it, and where a group begins that never read it (`earliest` or `latest`).

    `settings` are librdkafka's properties, without those that this module sets itself; secrets may be among them.
    """

    name: str
    group: str
    begin: str
    settings: Mapping[str, str | int | bool] = field(repr=False)

    def without_secrets(self, text: str) -> str:
        """Return a text in which no secret of the settings stands."""
        for name, value in self.settings.items():
            if any(word in name for word in _SECRET) and str(value):
                text = text.replace(str(value), "***")
        return text


def is_topic(source: str) -> bool:
    """Return whether a source is the address of a topic."""
    return source.startswith(f"{SCHEME}://")


def read_topic(
    address: str, group: str, file: Path | None = None, environment: Mapping[str, str] = MappingProxyType({})
) -> Topic:
    """Return the topic of `kafka://HOST:PORT,HOST:PORT/TOPIC?group=G&from=latest`; `group` where that names none.

    `file` holds lines `property=value`, with librdkafka's names; variables that begin with `PREFIX` hold them too
    (`PITSTOP_KAFKA_SASL_PASSWORD` is `sasl.password`) and outrank it. Raises `IngestError` for an address that is none
    or holds a password, a file that cannot be read, and a property that may not be set.
    """
    parts = urlsplit(address)
    options = parse_qs(parts.query, keep_blank_values=True)
    name = unquote(parts.path.strip("/"))
    if "@" in parts.netloc:
        msg = (
            "the address of a topic holds a user or password, which everybody on the machine could see; put "
            f"sasl.username and sasl.password into a file (--settings) or the environment ({PREFIX}SASL_PASSWORD)"
        )
        raise IngestError(msg)
    if not parts.netloc or not name or "/" in name or set(options) - {"group", "from"}:
        msg = f"got the topic {address!r}; expected kafka://HOST:9092/TOPIC, and at most ?group=NAME&from=latest"
        raise IngestError(msg)
    begin = options.get("from", ["earliest"])[-1]
    if begin not in _FROM:
        msg = f"got from={begin} in the address of a topic; expected one of {', '.join(_FROM)}"
        raise IngestError(msg)
    given = {**(_file(file) if file is not None else {}), **_variables(environment)}
    for own in OURS.keys() & given.keys():
        if given[own].lower() != str(OURS[own]).lower():
            msg = f"{own} = {given[own]} in the settings of Kafka; Pitstop needs {OURS[own]}: leave it out"
            raise IngestError(msg)
    settings = {**_DEFAULTS, **given, **OURS, "bootstrap.servers": parts.netloc}
    chosen = options.get("group", [group])[-1]
    return Topic(name, chosen, begin, MappingProxyType({**settings, "group.id": chosen}))


def _file(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"the settings of Kafka in {path} cannot be read ({error}); name a text file with lines property=value"
        raise IngestError(msg) from error
    found = {}
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith(("#", "!")):
            continue
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            # The line may be a secret: its number is enough.
            msg = f"line {number} of {path} is no property=value"
            raise IngestError(msg)
        if name.strip() == "sasl.jaas.config":
            msg = f"{path} has sasl.jaas.config, which only Java knows; write sasl.username and sasl.password"
            raise IngestError(msg)
        found[name.strip()] = value.strip()
    return found


def _variables(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(PREFIX).lower().replace("_", "."): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and name != FILE
    }
