"""`[elsewhere]`: another system that trains what people order (Airflow, SageMaker, Kubeflow, somebody's notebook)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pitstop.errors import SpecError

# The name of a variable of ours: a specification must not have anything else of the environment used as a key.
_SECRET = re.compile(r"PITSTOP_[A-Z0-9_]+\Z")


@dataclass(frozen=True)
class ElsewhereSection:
    """`[elsewhere]`: where a retrain that a person orders at the service is trained, if not here.

    `url` is sent a request, signed with the secret in the environment variable `secret` (Standard Webhooks: `whsec_`
    and base64). What is brought back within `hours` is taken. The first model and the policy's own fits are trained by
    `[trainer]`, whose program also runs a model file that is brought. No part of the specification's id.
    """

    url: str = ""
    secret: str = "PITSTOP_ELSEWHERE_SECRET"  # noqa: S105 - the name of a variable
    hours: float = 24.0

    def __post_init__(self) -> None:
        """Refuse an address that is none, a foreign variable, and a wait that is none or endless."""
        if self.url and not self.url.startswith(("http://", "https://")):
            msg = f"[elsewhere] url is {self.url!r}; expected an address that begins with http:// or https://"
            raise SpecError(msg)
        if not _SECRET.match(self.secret):
            msg = f"[elsewhere] secret is {self.secret!r}; expected a variable whose name begins with PITSTOP_"
            raise SpecError(msg)
        if not 0.0 < self.hours <= 24.0 * 90:
            msg = f"[elsewhere] hours is {self.hours}; expected a number above 0, and 90 days at most"
            raise SpecError(msg)
