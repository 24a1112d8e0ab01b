"""From a change in a department's own system to the served answer, through Airflow, in seconds.

The whole demo runs as it does for anybody, with the paces of its own manifests. Clerks enter sales
and moves at random moments, not waiting for one another; a client asks the hub again and again. A
sale passes through a source, a build and an answer; a move through a source and an answer. Then
the scheduler is stopped, and the police's change log is followed by the command line alone.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

from rich.console import Console

from connectors.client import Client
from connectors.testkit import city
from exchange import grants
from exchange.database import Role
from exchange.demo import waiting
from exchange.demo.chapters import OWNERSHIP, PERSON
from exchange.demo.clients import TAX, TAX_CHECK, credentials
from exchange.demo.running import Demo, running
from schemas.errors import Unavailable
from schemas.grant import Form, Grant, Mode, Subject
from tests.bench.report import Figure

PEOPLE = 1000
SEED = 20261122
CHANGES = 24
GAP = 8.0  # seconds between two changes at most
PATIENCE = 300.0
UNITS = """
SELECT unit_no, max(area_m2) FROM library.real_estate_registration_ownership
GROUP BY unit_no HAVING NOT bool_or(seized) ORDER BY unit_no
"""
RESIDENTS = """
SELECT resident_id, name FROM library.population_resident WHERE NOT deceased ORDER BY 1
"""


@dataclass
class Change:
    """Something that was entered at a department, and how one sees that the hub serves it."""

    is_served: Callable[[], bool]
    entered: float = field(default_factory=time.monotonic)


def measure(folder: Path) -> list[Figure]:
    """The slowest of twenty, through Airflow; and followed by its change log, without."""
    home = folder / "home"
    home.mkdir(mode=0o700)
    say = Console(stderr=True).print
    with ExitStack() as stack:
        demo = stack.enter_context(running(home, people=PEOPLE, licenses=2, seed=SEED, say=say))
        waiting.wait_until(
            lambda: waiting.libraries(demo.settings), lambda _: None, seconds=600, what="loading"
        )
        _grant(demo)
        hub = stack.enter_context(Client.open(credentials(home, TAX)))
        entering, moving = _entered(demo, hub)
        scheduled = _watched(entering, Random(SEED))
        with demo.supervisor.without("airflow-scheduler"), _following(demo, "residents"):
            followed = _watched(moving, Random(SEED))
    return [
        _figure("source_to_answer_s", scheduled, "sales and moves; through Airflow, at most 60 s"),
        _figure(
            "followed_to_answer_s",
            followed,
            "moves; the change log by `yizhan library follow`, no scheduler, at most 30 s",
        ),
    ]


def _figure(name: str, seconds: list[float], what: str) -> Figure:
    ordered = sorted(seconds)
    rank = -(-95 * len(ordered) // 100) - 1
    middle = statistics.median(ordered)
    told = f"p95 of {len(ordered)} {what}; p50 {middle:.1f} s, longest {ordered[-1]:.1f} s"
    return Figure(name, ordered[rank], "s", told)


@contextmanager
def _following(demo: Demo, source: str) -> Iterator[None]:
    """`yizhan library follow` in a process of its own."""
    environment = {
        **os.environ,
        **demo.departments.environment,
        "YIZHAN_HOME": str(demo.settings.home),
        "YIZHAN_SOURCES": str(demo.settings.sources),
    }
    follow = "import sys; from exchange.cli import main; sys.argv[0] = 'yizhan'; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", follow, "library", "follow", source], env=environment
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _watched(entering: Iterator[Change], dice: Random) -> list[float]:
    """Let changes be entered at random moments; the seconds until each was served."""
    pending, seconds, due = list[Change](), list[float](), time.monotonic()
    until = time.monotonic() + PATIENCE
    entered = 0
    while entered < CHANGES or pending:
        if entered < CHANGES and time.monotonic() >= due:
            pending.append(next(entering))
            entered, due = entered + 1, time.monotonic() + dice.uniform(0, GAP)
        for change in [each for each in pending if each.is_served()]:
            pending.remove(change)
            seconds.append(time.monotonic() - change.entered)
        if time.monotonic() > until:
            raise Unavailable(f"{len(pending)} changes were not served within {PATIENCE:.0f} s")
        time.sleep(0.2)
    return seconds


def _entered(demo: Demo, hub: Client) -> tuple[Iterator[Change], Iterator[Change]]:
    """Sales and moves by turns, then moves alone, each of another house or person."""
    with demo.settings.database.connect(Role.OWNER) as owner:
        units = [unit for unit, _ in owner.execute(UNITS).fetchall()]
        people = owner.execute(RESIDENTS).fetchall()
    moving = _moves(demo, hub, [person for person, _ in people[CHANGES:]])
    selling = (_sold(demo, hub, unit, *buyer) for unit, buyer in zip(units, people, strict=False))
    return _by_turns(selling, moving), moving


def _by_turns(*each: Iterator[Change]) -> Iterator[Change]:
    while True:
        for one in each:
            yield next(one)


def _sold(demo: Demo, hub: Client, unit: str, buyer: str, name: str) -> Change:
    registry = demo.departments
    token = registry.access.clerk_token
    city.transfer(registry.estate_url, token, unit, buyer, name, datetime.now(UTC))
    subject, claims = Subject("cn.real_estate_unit", unit), {"holder_id": buyer}
    return Change(lambda: _is_true(hub, OWNERSHIP, subject, claims))


def _moves(demo: Demo, hub: Client, people: Sequence[str]) -> Iterator[Change]:
    police = demo.departments.police_dsn
    for number, person in enumerate(people):
        address = f"永康市新居路 {number} 号"
        # Nobody is found whose number the police write in another way than the library does.
        if city.population.move(police, person, address=address, at=datetime.now(UTC)):
            subject, claims = Subject(PERSON, person), {"residence_address": address}
            yield Change(partial(_is_true, hub, "population.resident", subject, claims))


def _is_true(hub: Client, resource: str, subject: Subject, claims: dict[str, str]) -> bool:
    verdicts = hub.verify(resource, subject, claims, TAX_CHECK)["verdicts"]
    return bool(set(verdicts.values()) == {"match"})


def _grant(demo: Demo) -> None:
    """The tax office may compare addresses, for as long as the bench runs."""
    now = datetime.now(UTC)
    with demo.settings.database.connect(Role.OWNER) as owner:
        grants.give(
            owner,
            Grant(
                id="grant-bench",
                client=TAX,
                resource="population.resident",
                purposes=frozenset({TAX_CHECK.purpose}),
                bases=frozenset({TAX_CHECK.basis}),
                items=frozenset({TAX_CHECK.item}),
                fields={"residence_address": Form.COMPARE},
                modes=frozenset({Mode.VERIFY}),
                valid_from=now - timedelta(minutes=1),
                valid_to=now + timedelta(days=1),
                per_minute=100_000,
                per_day=1_000_000,
                file_number="bench",
            ),
        )
        owner.commit()
