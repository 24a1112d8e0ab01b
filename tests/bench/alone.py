"""A deed in a process of its own: how long it took, whose processor it used, how much memory.

Nothing that a bench did before is in that process's memory. What a process does once, however many
batches it loads, is done before the clock starts: modules are imported and contracts are read. The
processor's time is that of the deed, of what it started and of the database server's processes
meanwhile: unlike the clock on the wall it says nothing of whom else the machine serves.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, ParamSpec, TypeVar

import psutil
from rich.console import Console

from exchange.libraries import journey
from exchange.libraries.batches import State
from exchange.settings import Settings
from schemas import contract
from schemas.errors import Unavailable

T = TypeVar("T")
Given = ParamSpec("Given")


@dataclass(frozen=True)
class Cost:
    """What a deed took: seconds by the wall and of processors, and its process's peak memory."""

    seconds: float
    processor: float
    peak_mb: float

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s, {self.processor:.2f} s of processors"


@dataclass(frozen=True)
class Collected:
    """A source that was collected: what the ledger counts, the cost, and how often it took."""

    counts: Mapping[str, Any]
    cost: Cost
    tries: int = 1

    @property
    def rows(self) -> int:
        """How many rows were landed."""
        return int(self.counts["landed"])


def processes(workers: int) -> ProcessPoolExecutor:
    """Fresh processes, which share nothing with this one."""
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


def alone(deed: Callable[Given, T], *args: Given.args, **kwargs: Given.kwargs) -> T:
    """What `deed`, a function of a module, returns or raises in a process of its own."""
    with processes(1) as pool:
        return pool.submit(deed, *args, **kwargs).result()


def measured(server: int, deed: Callable[[], T]) -> tuple[T, Cost]:
    """Do it here; `server` is the process of the database server."""
    used, start = _processor(server), time.perf_counter()
    done = deed()
    seconds = time.perf_counter() - start
    return done, Cost(seconds, _processor(server) - used, _peak_mb())


def collected(settings: Settings, source: str, server: int, tries: int = 1) -> Collected:
    """Collect what is new at a source, which must be something, and publish it.

    What says that it may be tried again is, so often, as a scheduler would.
    """
    manifest = journey.manifest_of(settings, source)
    import_module("duckdb")
    resolve_name(manifest.feed.opened_by)
    contract.load(manifest.dataset)
    (outcome, took), cost = measured(server, lambda: _tried(settings, source, tries))
    assert outcome is not None, f"{source} has nothing new"
    assert outcome.state is State.PUBLISHED, f"{source} is {outcome.state}"
    return Collected(dict(outcome.counts), cost, took)


def _tried(settings: Settings, source: str, tries: int) -> tuple[journey.Outcome | None, int]:
    for took in range(1, tries):
        try:
            return journey.collect(settings, source), took
        except Unavailable as err:
            Console(stderr=True).print(f"{source}: {err}; again …")
    return journey.collect(settings, source), tries


def _processor(server: int) -> float:
    """Processor time used by now: here, by children that ended, and by the database server."""
    return sum(os.times()[:4]) + _of_server(psutil.Process(server))


def _of_server(server: psutil.Process) -> float:
    """Its own time, that of its processes, and that of its processes which ended."""
    used = 0.0
    for process in (server, *server.children()):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used += times.user + times.system + times.children_user + times.children_system
    return used


def _peak_mb() -> float:
    """The most memory that this process ever had, in millions of bytes."""
    status = Path("/proc/self/status").read_text()
    (kilobytes,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024 / 1e6
