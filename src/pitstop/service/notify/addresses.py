"""Which addresses messages may go to: a name is resolved once, checked, and connected to as it was checked (SSRF)."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence

from pitstop.errors import AccessError

_PROTOCOLS = ipaddress.ip_network("192.0.0.0/24")
Resolve = Callable[[str, int], Sequence[str]]


def resolved(host: str, port: int) -> tuple[str, ...]:
    """Return the addresses of a name, as the system resolves it."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(item[4][0]).partition("%")[0] for item in found))


def is_public(address: str) -> bool:
    """Return whether an address belongs to the open internet, whichever way it is written."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or _embedded(found)
        if inner is not None:
            return is_public(str(inner))
        if found.teredo is not None:
            return False
    # Some versions of Python count these as global: they are for the protocols of networks themselves (RFC 6890).
    if found in _PROTOCOLS:
        return False
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_loopback or found.is_link_local)


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address within one of NAT64 (RFC 6052) or one of the old compatible form."""
    if address in ipaddress.ip_network("64:ff9b::/96") or (int(address) >> 32 == 0 and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def pinned(host: str, port: int, allowed: frozenset[str], resolve: Resolve = resolved) -> str:
    """Return the address to connect to. `allowed` are hosts that an administrator lets in although they are private.

    Every address of a name has to be public: one that is both is a trap. Raises `AccessError`.
    """
    found = tuple(resolve(host, port))
    if not found:
        msg = f"the host {host!r} has no address"
        raise AccessError(msg)
    private = [address for address in found if not is_public(address)]
    if private and host.lower() not in allowed:
        msg = (
            f"the host {host!r} is {private[0]}, which is not on the open internet; an administrator may allow it "
            f"with `pitstop up --private-host {host}`"
        )
        raise AccessError(msg)
    return found[0]
