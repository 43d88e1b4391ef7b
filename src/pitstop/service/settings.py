"""How one installation of the service is opened: to whom, under which names."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from pitstop.errors import AccessError

USUAL_PORT = 8765
_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Settings:
    """`host` and `port` are what is listened on. `login` asks everybody who they are.

    `public_url` is the address that people type, such as https://pitstop.example.com: its host is answered beside the
    loopback's, and with https cookies are sent over https only. `private_hosts` may be sent messages although they are
    not on the open internet. `worker`: a worker is kept beside the process that answers. `spool` is where acknowledged
    batches wait; empty: in the workspace.
    """

    host: str = "127.0.0.1"
    port: int = USUAL_PORT
    login: bool = False
    public_url: str = ""
    private_hosts: frozenset[str] = frozenset()
    worker: bool = True
    spool: str = ""

    def __post_init__(self) -> None:
        """Refuse to listen to others without asking who they are."""
        if not self.login and not _is_loopback(self.host):
            msg = (
                f"got --host {self.host}: beyond this machine the service asks everybody for a login; add --login, and "
                "make the first user with the token that is then printed"
            )
            raise AccessError(msg)
        if self.public_url and not _is_address(self.public_url):
            msg = f"got the public address {self.public_url!r}; expected one such as https://pitstop.example.com"
            raise AccessError(msg)

    @property
    def hosts(self) -> frozenset[str]:
        """The host names that are answered; any other is refused (DNS rebinding)."""
        own = () if self.host in {"0.0.0.0", "::"} else (self.host,)  # noqa: S104 - compared, not bound
        public = urlsplit(self.public_url).hostname
        named = (f"[{name}]" if ":" in name else name for name in (*own, *((public,) if public else ())))
        return frozenset(name.lower() for name in (*_LOOPBACK_NAMES, *named))

    @property
    def secure(self) -> bool:
        """Whether cookies are sent over https only."""
        return self.public_url.startswith("https://")


@dataclass(frozen=True)
class Work:
    """How a worker works: `private_hosts` may be sent messages, `public_url` is the address that it names to others.

    `spool` is where batches wait; empty: in the workspace.
    """

    private_hosts: tuple[str, ...] = ()
    spool: str = ""
    public_url: str = ""


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
