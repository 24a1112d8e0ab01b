"""对账, in two legs: what the source holds is what was landed, what was landed is where it went.

Pure arithmetic over counts; who asks decides what a gap means. Deletions are counted apart: they
are rows that did not come, or rows that only say that another is no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.feeds import Totals
from exchange.libraries.landing import Landed

PLACES = ("inserted", "updated", "unchanged", "duplicate", "superseded", "quarantined", "removals")
"""Where a landed row may have gone."""


def source_gaps(source: Totals, landed: Landed) -> list[str]:
    """Where the source's totals and what was landed differ; empty when the first leg holds."""
    if source.rows != landed.rows:
        return [f"the source counts {source.rows} rows and {landed.rows} were landed"]
    if source.buckets is None or landed.buckets is None or source.buckets == landed.buckets:
        return []
    pairs = zip(source.buckets, landed.buckets, strict=True)
    differ = [f"{number:02x}" for number, (theirs, ours) in enumerate(pairs) if theirs != ours]
    return [f"checksums differ in {len(differ)} of 256 buckets: {', '.join(differ[:8])}"]


def placed_gaps(counts: Mapping[str, Any]) -> list[str]:
    """Where the landed rows and their places differ; empty when every row has one place."""
    placed = sum(counts[place] for place in PLACES)
    if counts["landed"] == placed:
        return []
    return [f"{counts['landed']} rows were landed and {placed} have a place"]


def library_gaps(counts: Mapping[str, Any], staged: int, present: int) -> list[str]:
    """Where the landed rows and the dataset differ; empty when the second leg holds.

    `present` was counted in the dataset after the merge, by key.
    """
    gaps = placed_gaps(counts)
    if staged != present:
        gaps.append(f"{staged} rows were staged and the dataset holds {present} of them")
    return gaps
