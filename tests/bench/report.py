"""What a bench says: names with values, units and what each was held against in the same run."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One measured figure; `measured` are the rounds that it was made of."""

    name: str
    value: float
    unit: str
    against: str
    measured: Mapping[str, list[float]] = field(default_factory=dict)


def processor_seconds() -> float:
    """Processor time used by now: by this process, by its descendants and by those that ended.

    Unlike the clock on the wall it says nothing of whom else the machine serves.
    """
    me = psutil.Process()
    used = 0.0
    for process in (me, *me.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            used += times.user + times.system + times.children_user + times.children_system
    return used


def machine() -> dict[str, object]:
    """What was measured on, and how many others wanted its cores within the last minute."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "load": round(os.getloadavg()[0], 1),
    }


def show(figures: Iterable[Figure]) -> None:
    """A table for people."""
    table = Table(title="Yizhan, measured")
    for column in ("name", "value", "unit", "held against"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for figure in figures:
        table.add_row(figure.name, f"{figure.value:,.3g}", figure.unit, figure.against)
    Console().print(table)


def write(figures: Iterable[Figure], on: Mapping[str, object], path: Path) -> None:
    """`bench.json`: name → value, unit, what it was held against, machine."""
    found = {figure.name: {**asdict(figure), "machine": dict(on)} for figure in figures}
    path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
