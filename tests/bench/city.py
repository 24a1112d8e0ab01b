"""A rehearsal at a city's size: 46 channels, 41,680,000 rows, the whole journey, no Airflow.

Departments' tables and delivered files are made first, unmeasured. Then every channel is collected
(extract, land encrypted, check, load with history, reconcile), two at a time, each a source of a
dataset of its own. A smaller machine rehearses a fraction of every channel and says so.

    YIZHAN_BENCH_FRACTION   of the city's rows, 1 for all of them
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.alone import Collected, Cost, collected, measured, processes
from tests.bench.channels import CHANNELS, REGISTERS, Channel, write_contracts
from tests.bench.city_rows import City
from tests.bench.departments import Departments
from tests.bench.house import House, house
from tests.bench.report import Figure

FRACTION = 0.5
AT_ONCE = 2
TRIES = 5
LEAST = 40  # rows of the smallest channel
DISK = 700  # bytes a row: department's table or file, landed file, library with its indexes
SPARE = 10 * 2**30
CONTRACTS = "YIZHAN_CONTRACTS"
say = Console(stderr=True).print


@dataclass(frozen=True)
class Rehearsal:
    """What was rehearsed: each channel's rows, and what of the city that is."""

    fraction: float
    channels: tuple[Channel, ...]

    @property
    def rows(self) -> int:
        """Of every channel."""
        return sum(map(self.of, self.channels))

    def of(self, channel: Channel) -> int:
        """How many rows of a channel."""
        return max(LEAST, round(channel.rows * self.fraction))

    @property
    def city(self) -> City:
        """The sizes of what rows refer to."""
        held = {channel.dataset: self.of(channel) for channel in CHANNELS}
        return City(
            people=held["population.resident"],
            bodies=held["legal_entity.registration"],
            unit=held["real_estate.unit"],
            parcel=held["space.parcel"],
            project=held["investment_project.project"],
            penalty=held["credit.penalty"],
            entry=held["credit.blacklist"],
        )


@dataclass(frozen=True)
class Told:
    """What the rehearsal took: each channel, the whole, and bytes of disk."""

    channels: Mapping[str, Collected]
    whole: Cost
    landed: int
    tables: int
    log: int

    @property
    def rows(self) -> int:
        """How many rows were landed."""
        return sum(each.rows for each in self.channels.values())


def measure(folder: Path, channels: tuple[Channel, ...] = CHANNELS) -> Iterator[Figure]:
    """Make the city, rehearse it, and say what the whole of it would take."""
    rehearsal = Rehearsal(_affordable(folder), channels)
    with own_contracts(folder / "contracts"), house(folder) as here:
        say(f"a city of {rehearsal.rows:,} rows, {rehearsal.fraction:g} of the whole …")
        start = time.perf_counter()
        made = _made(here, rehearsal, folder / "drops")
        say(f"made within {time.perf_counter() - start:.0f} s; it goes through …")
        told = _rehearsed(here, rehearsal)
        assert made == {name: each.rows for name, each in told.channels.items()}
    _show(told)
    yield from _figures(rehearsal, told)


def _affordable(folder: Path) -> float:
    """The fraction that was asked for, or what the disk has room for."""
    asked = float(os.environ.get("YIZHAN_BENCH_FRACTION", FRACTION))
    whole = sum(channel.rows for channel in CHANNELS) * DISK
    room = max(0, shutil.disk_usage(folder).free - SPARE) / whole
    if room < asked:
        say(f"the disk has room for {room:.3f} of the city, not for {asked:g}")
    return min(asked, room)


@contextmanager
def own_contracts(folder: Path) -> Iterator[None]:
    """An installation's own contracts beside the packaged ones."""
    write_contracts(folder)
    before = os.environ.get(CONTRACTS)
    os.environ[CONTRACTS] = str(folder)
    try:
        yield
    finally:
        del os.environ[CONTRACTS]
        if before is not None:
            os.environ[CONTRACTS] = before


def _made(here: House, rehearsal: Rehearsal, drops: Path) -> dict[str, int]:
    """Every department's table or delivered file, and its manifest; the rows of each."""
    here.settings.sources.mkdir()
    with here.superuser() as admin:
        admin.execute("CREATE DATABASE departments")
    departments = Departments(
        here.superuser_dsn("departments"), drops, here.settings.sources, rehearsal.city
    )
    departments.open()

    def deliver(channel: Channel) -> tuple[str, int]:
        return channel.dataset, departments.deliver(channel, rehearsal.of(channel))

    with ThreadPoolExecutor(AT_ONCE) as both:
        return dict(both.map(deliver, _largest_first(rehearsal.channels)))


def _rehearsed(here: House, rehearsal: Rehearsal) -> Told:
    """Collect every channel: first what others refer to, then the largest."""
    here.settle()
    log = _log_position(here)
    channels, whole = measured(here.server, lambda: _collected(here, rehearsal.channels))
    return Told(
        channels,
        whole,
        landed=_bytes_below(here.settings.landing),
        tables=_bytes_of_tables(here),
        log=_log_position(here) - log,
    )


def _collected(here: House, channels: tuple[Channel, ...]) -> dict[str, Collected]:
    order = [each for each in REGISTERS if each in channels]
    order += [each for each in _largest_first(channels) if each not in order]
    with processes(AT_ONCE) as both:
        waiting = {
            channel.dataset: both.submit(
                collected, here.settings, channel.source, here.server, TRIES
            )
            for channel in order
        }
        return {dataset: each.result() for dataset, each in waiting.items()}


def _largest_first(channels: Iterable[Channel]) -> list[Channel]:
    return sorted(channels, key=lambda channel: -channel.rows)


def _log_position(here: House) -> int:
    """How many bytes the server's log had by now."""
    with here.superuser() as admin:
        row = admin.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
    assert row is not None
    return int(row[0])


def _bytes_of_tables(here: House) -> int:
    with here.owner() as owner:
        row = owner.execute(
            "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace s"
            " ON s.oid = c.relnamespace WHERE s.nspname = 'library' AND c.relkind = 'r'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _show(told: Told) -> None:
    """Every channel with its rows, time and places, on the standard error stream."""
    table = Table(title="channels")
    for column in ("channel", "rows", "s", "rows/s", "refused", "repeated", "broken references"):
        table.add_column(column, justify="left" if column == "channel" else "right")
    for dataset, each in told.channels.items():
        broken = {name: n for name, n in each.counts["flagged"].items() if ":reference" in name}
        places = (each.counts["quarantined"], each.counts["duplicate"], sum(broken.values()))
        rate = each.rows / each.cost.seconds
        cells = (f"{each.rows:,}", f"{each.cost.seconds:.1f}", f"{rate:,.0f}")
        table.add_row(dataset, *cells, *(f"{place:,}" for place in places))
    Console(stderr=True, width=110).print(table)


def _figures(rehearsal: Rehearsal, told: Told) -> Iterator[Figure]:
    full, whole = sum(channel.rows for channel in rehearsal.channels), told.whole
    done = f"{told.rows:,} rows of {len(told.channels)} channels, {AT_ONCE} at a time"
    if rehearsal.fraction < 1:
        done += f", {rehearsal.fraction:g} of {full:,}"

    def figure(name: str, value: float, unit: str, said: str = "") -> Figure:
        share = f"; by proportion {value * full / told.rows:,.3g} {unit} for {full:,} rows"
        return Figure(name, value, unit, done + said + (share if rehearsal.fraction < 1 else ""))

    yield figure("city_min", whole.seconds / 60, "min", f"; {whole}")
    tries = sum(each.tries - 1 for each in told.channels.values())
    rate = told.rows / whole.seconds
    yield Figure("city_rows_per_s", rate, "rows/s", f"{done}; {whole}; tried again: {tries}")
    peak = max(each.cost.peak_mb for each in told.channels.values())
    yield Figure("city_peak_mb", peak, "MB", f"target at most 600; the larger process; {done}")
    yield figure("city_landed_gb", told.landed / 1e9, "GB", ", landed and encrypted")
    yield figure("city_tables_gb", told.tables / 1e9, "GB", ", tables and indexes")
    yield figure("city_log_gb", told.log / 1e9, "GB", ", written to PostgreSQL's log (WAL)")
