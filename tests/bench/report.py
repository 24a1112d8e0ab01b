"""What a bench says: names with values, units and what each was held against in the same run."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One measured figure."""

    name: str
    value: float
    unit: str
    against: str


def median_seconds(work: Callable[[], object], times: int = 3) -> float:
    """The median wall time of `work`, in seconds."""
    return statistics.median(_seconds(work) for _ in range(times))


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def machine() -> dict[str, object]:
    """What was measured on."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
    }


def show(figures: Iterable[Figure]) -> None:
    """A table for people."""
    table = Table(title="Yizhan, measured")
    for column in ("name", "value", "unit", "held against"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for figure in figures:
        table.add_row(figure.name, f"{figure.value:,.3g}", figure.unit, figure.against)
    Console().print(table)


def write(figures: Iterable[Figure], path: Path) -> None:
    """`bench.json`: name → value, unit, what it was held against, machine."""
    found = {figure.name: {**asdict(figure), "machine": machine()} for figure in figures}
    path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
