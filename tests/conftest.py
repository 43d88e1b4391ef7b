"""How hypothesis draws: without a deadline, which a busy machine would break.

`scripts/check.py` asks for hypothesis' own profile `ci`, which draws the same examples each time.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("pitstop", deadline=None)
settings.load_profile("pitstop")
