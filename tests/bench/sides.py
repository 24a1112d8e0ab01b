"""Two that are compared: each did the same once a round, one right after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from tests.bench.alone import Cost
from tests.bench.report import Figure

Measure = Callable[[Cost], float]


def seconds(cost: Cost) -> float:
    """By the clock on the wall."""
    return cost.seconds


def processor(cost: Cost) -> float:
    """Of every processor together."""
    return cost.processor


@dataclass(frozen=True)
class Side:
    """So many rows a round, and what they took in each."""

    name: str
    rows: int
    costs: tuple[Cost, ...]

    @classmethod
    def of(cls, name: str, rows: int, costs: Iterable[Cost]) -> Side:
        """One that was there in every round."""
        return cls(name, rows, tuple(costs))

    def __str__(self) -> str:
        took, used = (median(map(of, self.costs)) for of in (seconds, processor))
        return f"{self.name} {took:.2f} s ({used:.2f} s of processors) for {self.rows:,} rows"


@dataclass(frozen=True)
class Comparison:
    """One held against the other."""

    ours: Side
    theirs: Side

    def rate(self, of: Measure = seconds) -> float:
        """Our rows per second over theirs."""
        return self.ours.rows / self.theirs.rows / self.share(of)

    def share(self, of: Measure = seconds) -> float:
        """Our time over theirs, however many rows there were."""
        pairs = zip(self.ours.costs, self.theirs.costs, strict=True)
        return median(of(mine) / of(other) for mine, other in pairs)

    def per_row(self, of: Measure = seconds) -> float:
        """Our time per row over theirs."""
        return 1 / self.rate(of)

    def figure(
        self, name: str, value: Callable[[Comparison, Measure], float], bound: str
    ) -> Figure:
        """One of the ratios of this comparison, with the bound that it is held to."""
        against = (
            f"{bound}; {self.ours}; {self.theirs}; of processors' time "
            f"{value(self, processor):.3g}; median of {len(self.ours.costs)}"
        )
        return Figure(name, value(self, seconds), "ratio", against, self.measured)

    @property
    def measured(self) -> Mapping[str, list[float]]:
        """Every round's seconds, by the wall and of processors."""
        return {
            f"{side.name}, {what}": [round(value(cost), 3) for cost in side.costs]
            for side in (self.ours, self.theirs)
            for what, value in (("s", seconds), ("s of processors", processor))
        }
