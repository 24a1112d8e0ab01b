"""What a run would do, as a value: the dry run of a batch.

Whoever plans fills it (`journey.plan`); nothing was written. The figures are those that the run's
batch would have, as far as they can be known without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Plan:
    """A source's next window, held against its contract and its library."""

    source: str
    dataset: str
    mode: str
    window: tuple[str | None, str]
    rows: int = 0
    drift: tuple[str, ...] = ()
    reasons: Mapping[str, int] = field(default_factory=dict)
    flagged: Mapping[str, int] = field(default_factory=dict)
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    held: tuple[str, ...] = ()

    @property
    def passes(self) -> bool:
        """Say whether the run would publish without a person."""
        return not self.drift and not self.held
