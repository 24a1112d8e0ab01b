"""Shares beyond which a batch waits for a person: a department's slip must not empty a library."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from connectors.feeds import Guards
from exchange.libraries.merge import Difference


def too_many_quarantined(guards: Guards, counts: Mapping[str, Any]) -> list[str]:
    """Say that too many of the landed rows failed a rule, if so and if they are many enough."""
    quarantined, landed, limit = counts["quarantined"], counts["landed"], guards.quarantined_at_most
    if landed < guards.judged_from or _share(quarantined, landed) <= limit:
        return []
    return [f"{quarantined} of {landed} rows are in quarantine, more than {limit:%}"]


def too_many_deleted(guards: Guards, difference: Difference) -> list[str]:
    """Say that too many rows would go, if so."""
    deleted, before = difference.deleted, difference.before
    if _share(deleted, before) <= guards.deleted_at_most:
        return []
    limit = guards.deleted_at_most
    return [f"{deleted} of {before} rows would be deleted, more than {limit:%}"]


def _share(part: int, whole: int) -> Decimal:
    return Decimal(part) / whole if whole else Decimal(0)
