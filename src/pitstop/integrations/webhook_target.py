"""Publishes the champion by an HTTP request: signed facts there, the digest of what serves back."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from dataclasses import dataclass
from pathlib import Path

from pitstop.errors import ReleaseTargetError
from pitstop.integrations.exchange import exchange, parsed
from pitstop.records.spec import ServingSection
from pitstop.replays.publishing import Publication

SIGNATURE = "Pitstop-Signature"


@dataclass(frozen=True)
class WebhookTarget:
    """POSTs {model, version, release, digest, at} as JSON; the answer must name the `digest` that serves from now on.

    With a secret the header `Pitstop-Signature` holds `sha256=` and the HMAC of the body, so that the receiver knows
    who speaks. The facts hold no model: the receiver takes the file by its digest from where `folder` keeps it.
    """

    name: str = "webhook"
    seconds: float = 60.0

    def publish(self, publication: Publication, section: ServingSection, base: Path) -> None:
        """Send the facts; what is not answered with their digest is a `ReleaseTargetError`."""
        del base
        what = f"[serving] webhook for {publication.model} v{publication.version}"
        body = json.dumps(publication.facts()).encode()
        headers = {"Content-Type": "application/json"}
        secret = os.environ.get(section.webhook_secret, "")
        if secret:
            headers[SIGNATURE] = signature(body, secret)
        answer = exchange("POST", section.webhook, body, what=what, headers=headers, seconds=self.seconds)
        served = parsed(answer, what).get("digest")
        if served != publication.digest:
            msg = (
                f"{what}: it answered that {served!r} serves, expected the digest {publication.digest!r}; answer with "
                'JSON such as {"digest": "..."} once the model serves'
            )
            raise ReleaseTargetError(msg)


def signature(body: bytes, secret: str) -> str:
    """Return what the header holds for a body: `sha256=` and the HMAC-SHA256 in hex."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
