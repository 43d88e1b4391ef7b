"""The process that sends one message through Apprise: `python -m pitstop.service.notify.apprise_child`.

Apprise connects by itself, so in this process names resolve to public addresses only: whatever it asks for, it gets
no other address to connect to. A message stands as JSON on the standard input: target, title, body, allowed.
"""

from __future__ import annotations

import json
import socket
import sys
from typing import Any

from pitstop.service.notify.addresses import is_public

MISSING = "install it with: pip install 'pitstop[notify]'"


def guard(allowed: frozenset[str]) -> None:
    """Let this process resolve no name to an address that is not public, `allowed` hosts aside."""
    resolve = socket.getaddrinfo

    def resolved(host: Any, *arguments: Any, **options: Any) -> Any:
        found = resolve(host, *arguments, **options)
        name = host.decode() if isinstance(host, bytes) else str(host)
        if name.lower() in allowed:
            return found
        public = [item for item in found if is_public(str(item[4][0]).partition("%")[0])]
        if len(public) < len(found):
            msg = f"{name} has an address that is not on the open internet"
            raise socket.gaierror(socket.EAI_FAIL, msg)
        return public

    socket.getaddrinfo = resolved


def main() -> int:
    """Send one message; print what went wrong, nothing where it was sent."""
    try:
        import apprise  # noqa: PLC0415 - the extra `notify`
    except ImportError:
        print(f"Apprise is not installed; {MISSING}")  # noqa: T201 - the answer
        return 1
    message = json.load(sys.stdin)
    guard(frozenset(message["allowed"]))
    asset = apprise.AppriseAsset(app_id="Pitstop", app_desc="Pitstop", secure_logging=True, async_mode=False)
    plugin = apprise.Apprise.instantiate(message["target"], asset=asset)
    if plugin is None:
        print("Apprise cannot read this address")  # noqa: T201 - as above
        return 1
    if not plugin.notify(title=message["title"], body=message["body"], body_format=apprise.NotifyFormat.TEXT):
        print("the service did not take the message")  # noqa: T201 - as above
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
