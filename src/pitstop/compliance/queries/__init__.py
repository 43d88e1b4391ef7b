"""The closed set of questions that a policy pack may ask. Each looks at what was kept, and each can fail."""

from __future__ import annotations

from collections.abc import Mapping

from pitstop.compliance.facts import Query
from pitstop.compliance.queries import groups, people, releases, responding, running, training

QUERIES: Mapping[str, Query] = {
    query.name: query
    for module in (releases, training, running, people, groups, responding)
    for query in module.QUERIES
}
