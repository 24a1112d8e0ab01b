"""What a library costs when it is ten times as large: time per row, memory, a look-up by key."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import asyncpg
import psycopg
from rich.console import Console

from exchange import resources
from exchange.database import Role
from exchange.settings import Settings
from tests.bench.alone import Collected
from tests.bench.house import House
from tests.bench.people import FIELDS, Register
from tests.bench.report import Figure
from tests.bench.sides import Comparison, Side

DISK = 900  # bytes a row: register, landed file, library, all with their indexes
SPARE = 10 * 2**30
RESOURCE = "population.resident"
SUBJECT = "cn.resident_id"
LOOK_UPS = 3000
WARM_UP = 300
AT_ONCE = 100
say = Console(stderr=True).print


Load = Callable[[Register, Settings], Collected]


def affordable(folder: Path, rows: int, times: int) -> int:
    """How many times larger the disk lets the larger register be, at most `times`."""
    free = shutil.disk_usage(folder).free - SPARE
    most = max(1, min(times, free // (rows * DISK)))
    if most < times:
        say(
            f"{free / 1e9:.0f} GB may be used, {rows * times * DISK / 1e9:.0f} are needed: "
            f"the larger register is {most} times the smaller, not {times} times"
        )
    return most


def measure(
    here: House,
    load: Load,
    registers: tuple[Register, Register],
    times: int,
    rounds: int,
) -> Iterator[Figure]:
    """Both sizes one after the other, again and again; then look-ups in both by turns."""
    loads: list[list[Collected]] = []
    for turn in range(rounds):
        with ExitStack() as ends:
            ends.callback(shutil.rmtree, here.settings.landing, ignore_errors=True)
            libraries = [
                ends.enter_context(here.empty_library(f"yizhan_{register.people}_{place}"))
                for place, register in enumerate(registers)
            ]
            loads.append([load(of, into) for of, into in zip(registers, libraries, strict=True)])
            say(f"growth {turn + 1}: {'; '.join(str(each.cost) for each in loads[-1])}")
            if turn == rounds - 1:
                look_ups = _looked_up(here, libraries)
    small, large = (_side(sized) for sized in zip(*loads, strict=True))
    grown = Comparison(large, small)
    bound = f"target at most 1.3: time per row, {times} times the rows"
    yield grown.figure("load_growth_10x", Comparison.per_row, bound)
    yield _look_up_figure(look_ups, (small, large))
    yield _peak((small, large))


def _side(loads: Sequence[Collected]) -> Side:
    return Side.of("a first load", loads[0].rows, (each.cost for each in loads))


def _look_up_figure(look_ups: Sequence[Sequence[float]], sizes: Sequence[Side]) -> Figure:
    small, large = (1e3 * median(each) for each in look_ups)
    return Figure(
        "lookup_growth_10x",
        large / small,
        "ratio",
        f"target at most 1.3; p50 {large:.3f} ms among {sizes[1].rows:,} and {small:.3f} ms among "
        f"{sizes[0].rows:,} rows; {len(look_ups[0]):,} people each, by the hub's own statement",
    )


def _peak(sizes: Sequence[Side]) -> Figure:
    small, large = (max(cost.peak_mb for cost in side.costs) for side in sizes)
    return Figure(
        "load_peak_mb",
        large,
        "MB",
        f"target at most 600 and the same at both; {large:.0f} MB at {sizes[1].rows:,} rows, "
        f"{small:.0f} MB at {sizes[0].rows:,}; VmHWM of the loading process, the worst of "
        f"{len(sizes[0].costs)}",
    )


def _looked_up(here: House, libraries: Sequence[Settings]) -> list[list[float]]:
    """Seconds of each look-up, by library; nobody is looked up twice."""
    asked = [_people(here.superuser_dsn(each.database.name)) for each in libraries]
    here.settle()
    return asyncio.run(_by_turns(libraries, asked))


def _people(dsn: str) -> list[str]:
    """Numbers from anywhere in the library, once the server has tidied up after the load."""
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute("VACUUM library.population_resident")
        # By its hash: anywhere in the table, and the same people at every run.
        rows = admin.execute(
            "SELECT resident_id FROM library.population_resident"
            " ORDER BY hashtext(resident_id) LIMIT %s",
            (LOOK_UPS + WARM_UP,),
        ).fetchall()
    return [str(number) for (number,) in rows]


async def _by_turns(
    libraries: Sequence[Settings], asked: Sequence[Sequence[str]]
) -> list[list[float]]:
    statement = resources.look_up(RESOURCE, SUBJECT, FIELDS, ())
    connections = [await asyncpg.connect(each.database.dsn(Role.HUB)) for each in libraries]
    prepared = [await connection.prepare(statement.sql) for connection in connections]
    found: list[list[float]] = [[] for _ in libraries]
    for start in range(0, LOOK_UPS + WARM_UP, AT_ONCE):
        for place, people in enumerate(asked):
            for number in people[start : start + AT_ONCE]:
                began = time.perf_counter()
                rows = await prepared[place].fetch(*statement.arguments(number, {}))
                found[place].append(time.perf_counter() - began)
                assert len(rows) == 1
    for connection in connections:
        await connection.close()
    return [each[min(WARM_UP, len(each) // 2) :] for each in found]
