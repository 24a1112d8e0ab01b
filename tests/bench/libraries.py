"""How fast a department's table becomes a library, and how fast its changes do; no Airflow.

A round does everything once, one after the other, so that a busy machine is busy for all: a pipe
that only copies, dlt, a first load by each way of following a table; then one row in a hundred
changes, and each way brings the change. Every load is the full way (extract, land encrypted, check,
load with history, reconcile), in a process of its own and into a library that holds nothing.

It takes about twenty minutes on two cores that nobody else wants: five for the rounds, nine for the
register of ten times the size, the rest for the way from a source to an answer. 20 GB of disk.

    YIZHAN_BENCH_ROWS     people in the register, 1,000,000
    YIZHAN_BENCH_ROUNDS   5
    YIZHAN_BENCH_GROWTH   how many times larger the larger register is, 10
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from connectors.testkit.city import SOURCES
from exchange.settings import Settings
from tests.bench import growth, peers, source_to_answer
from tests.bench.alone import Collected, Cost, alone, collected
from tests.bench.house import House, house
from tests.bench.people import Register, change_register, fill_register
from tests.bench.report import Figure
from tests.bench.sides import Comparison, Side

TABLE = "rkk.ryjbxx"
DSN = "YIZHAN_SOURCE_RESIDENTS_DSN"
WAYS: Mapping[str, Mapping[str, Any] | None] = {
    "log": None,  # as the demo's manifest says
    "cursor": {"kind": "sql_cursor", "connection": DSN, "table": TABLE, "cursor": "GXSJ"},
    "snapshot": {"kind": "sql_snapshot", "connection": DSN, "table": TABLE},
}
_NAMED = {"log": "change log", "cursor": "cursor"}
say = Console(stderr=True).print


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    rows: int = 1_000_000
    rounds: int = 5
    growth: int = 10

    @classmethod
    def asked(cls) -> Sizes:
        """From the environment."""
        given = {name: os.environ.get(f"YIZHAN_BENCH_{name.upper()}") for name in vars(cls())}
        return cls(**{name: int(said) for name, said in given.items() if said})

    @property
    def few(self) -> int:
        """For what takes more than a minute a million."""
        return max(1, self.rows // 10)


@dataclass(frozen=True)
class Round:
    """What each took in one round."""

    pipe: Cost
    loads: Mapping[str, Collected]
    changes: Mapping[str, Collected]
    dlt_best: Cost | None
    dlt_default: Cost | None


def measure(folder: Path) -> Iterator[Figure]:
    """The rounds, the larger register, and from a change in a source to the served answer."""
    sizes = Sizes.asked()
    with house(folder) as here, ExitStack() as ends:
        lay_out(here.settings)
        register = ends.enter_context(filled(here, "police", sizes.rows))
        few = ends.enter_context(filled(here, "police_few", sizes.few))
        rounds = [_round(here, register, few, turn) for turn in range(sizes.rounds)]
        yield from _figures(rounds, sizes)
        yield from _growth(here, register, sizes, folder)
    os.environ.pop(DSN)
    answers = folder / "answers"
    answers.mkdir()
    yield from source_to_answer.measure(answers)


def _growth(here: House, register: Register, sizes: Sizes, folder: Path) -> Iterator[Figure]:
    times = growth.affordable(folder, sizes.rows, sizes.growth)
    with filled(here, "police_many", sizes.rows * times) as many:

        def load(of: Register, settings: Settings) -> Collected:
            return _collected(here, settings, of, "log")

        yield from growth.measure(here, load, (register, many), times, sizes.rounds)


def lay_out(settings: Settings) -> None:
    """A manifest of the register for each way of following it."""
    settings.sources.mkdir()
    said = yaml.safe_load((SOURCES / "residents.yaml").read_text("utf-8"))
    for way, feed in WAYS.items():
        manifest = {**said, "source": way, "feed": feed or said["feed"]}
        path = settings.sources / f"{way}.yaml"
        path.write_text(yaml.safe_dump(manifest, allow_unicode=True), "utf-8")


@contextmanager
def filled(here: House, name: str, people: int) -> Iterator[Register]:
    """A register of so many people."""
    with here.database(name) as dsn:
        say(f"a register of {people:,} people …")
        yield fill_register(dsn, people)


def _round(here: House, register: Register, few: Register, turn: int) -> Round:
    with ExitStack() as ends:
        ends.callback(shutil.rmtree, here.settings.landing, ignore_errors=True)
        libraries = {way: ends.enter_context(here.empty_library(f"yizhan_{way}")) for way in WAYS}

        def collect(way: str) -> Collected:
            return _collected(here, libraries[way], register, way)

        pipe = _copied(here, register)
        loads = {"log": collect("log")}
        best = _dlt(here, peers.dlt_best, register)
        default = _dlt(here, peers.dlt_default, few)
        loads |= {way: collect(way) for way in WAYS if way not in loads}
        change_register(register, turn + 10)
        done = Round(pipe, loads, {way: collect(way) for way in WAYS}, best, default)
    say(f"round {turn + 1}: {_told(done)}")
    return done


def _collected(here: House, settings: Settings, register: Register, way: str) -> Collected:
    os.environ[DSN] = register.reader
    here.settle()
    return alone(collected, settings, way, here.server)


def _copied(here: House, register: Register) -> Cost:
    with here.database("pipe") as target:
        here.settle()
        return peers.piped(register.reader, target, TABLE, here.server)


def _dlt(here: House, run: Callable[..., Cost], register: Register) -> Cost | None:
    if peers.missing():
        return None
    with here.database("peer") as target, ExitStack() as ends:
        folder = here.settings.home / "dlt"
        folder.mkdir()
        ends.callback(shutil.rmtree, folder)
        here.settle()
        return alone(run, register.reader, target, TABLE, folder, here.server)


def _told(done: Round) -> str:
    parts = [("pipe", done.pipe), ("dlt", done.dlt_best), ("dlt as it starts", done.dlt_default)]
    parts += [(f"load by {way}", each.cost) for way, each in done.loads.items()]
    parts += [(f"change by {way}", each.cost) for way, each in done.changes.items()]
    return "; ".join(f"{name} {cost}" for name, cost in parts if cost)


def _figures(rounds: list[Round], sizes: Sizes) -> Iterator[Figure]:
    rows = rounds[0].loads["log"].rows
    ours = Side.of("ours", rows, (each.loads["log"].cost for each in rounds))
    pipe = Side.of("binary COPY … | COPY …", rows, (each.pipe for each in rounds))
    copied = Comparison(ours, pipe)
    yield copied.figure("collect_vs_copy", Comparison.rate, "target at least 0.2, limit 0.15")
    yield from _against_dlt(ours, rounds, sizes)
    yield _changed(rounds)
    again = (each.changes["snapshot"].cost for each in rounds)
    snapshot = Comparison(Side.of("snapshot with 1 % changed", rows, again), pipe)
    yield snapshot.figure("change_snapshot_vs_copy", Comparison.rate, "target at least 0.35")


def _against_dlt(ours: Side, rounds: list[Round], sizes: Sizes) -> Iterator[Figure]:
    best = [each.dlt_best for each in rounds if each.dlt_best]
    default = [each.dlt_default for each in rounds if each.dlt_default]
    if not best or not default:
        say(f"dlt was not measured: {', '.join(peers.missing())} is not installed")
        return
    held = Comparison(ours, Side.of("dlt with connectorx and Parquet", ours.rows, best))
    yield held.figure("collect_vs_dlt_best", Comparison.rate, "target at least 1")
    held = Comparison(ours, Side.of("dlt as its documentation starts it", sizes.few, default))
    yield held.figure(
        "collect_vs_dlt_default",
        Comparison.rate,
        "target at least 10; dlt on a tenth of the rows, for it takes over a minute a million",
    )


def _changed(rounds: list[Round]) -> Figure:
    """The slower of the two ways that see changes alone."""
    found = []
    for way in ("log", "cursor"):
        changes = [each.changes[way] for each in rounds]
        change = Side.of(f"1 % by {_NAMED[way]}", changes[0].rows, (each.cost for each in changes))
        loads = [each.loads[way] for each in rounds]
        load = Side.of("first load", loads[0].rows, (each.cost for each in loads))
        found.append(Comparison(change, load))
    slower = max(found, key=Comparison.share)
    others = ", ".join(f"{each.ours.name} {each.share():.3f}" for each in found)
    bound = f"target at most 0.05 of the time, reconciled by window; {others}"
    return slower.figure("change_cursor_vs_load", Comparison.share, bound)
