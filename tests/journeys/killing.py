"""kill -9 at random moments under load: whom, when, and waiting until everything is well again."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from random import Random

import httpx
import psutil

from exchange import probes
from exchange.demo.running import Demo
from exchange.supervisor import tail
from schemas.errors import Unavailable
from tests.journeys import journal

REPOSITORY = Path(__file__).parents[2]
CLIENTS: Mapping[str, str] = {  # journal: kind of client
    "queries": "queries",
    "licenses-1": "licenses",
    "licenses-2": "licenses",
    "sales": "sales",
    "moves": "moves",
}
LONGEST_DELAY = 3.0
RECOVERY = 150.0  # seconds within which everything must be well again, on a busy machine too
POSTMASTERS = 0.7  # of the kills of PostgreSQL; the others hit a backend, and all of them fall


class Target(StrEnum):
    """What is killed."""

    HUB = "hub"
    TASK = "task"
    POSTGRES = "postgres"
    SIGNER = "signer"
    SCHEDULER = "airflow-scheduler"


LAST = (Target.HUB, Target.SIGNER)  # while these recover, Airflow finds what it lost before


@dataclass(frozen=True)
class Round:
    """What was killed, after which delay, and how long it took until everything was well."""

    target: Target
    victim: str
    delay: float
    recovery: float

    def __str__(self) -> str:
        told = f"{self.delay:4.1f} s  {self.target:17}  well after {self.recovery:4.1f} s"
        return f"{told}  {self.victim}"


def plan(rounds: int, dice: Random) -> list[Target]:
    """So many targets in a random order, each as often as the others."""
    often, more = divmod(rounds, len(Target))
    chosen = [*list(Target) * often, *list(Target)[:more]]
    for target in LAST:
        chosen.remove(target)
    dice.shuffle(chosen)
    return [*chosen, *LAST]


def play(demo: Demo, target: Target, dice: Random) -> Round:
    """Wait a random while, kill, and wait until everything is well again.

    Raises `Unavailable` with the last words of what stays ill.
    """
    delay = dice.uniform(0, LONGEST_DELAY)
    time.sleep(delay)
    killed = _kill(demo, target, dice)
    began, at = time.monotonic(), datetime.now(UTC)
    demo.supervisor.settle(RECOVERY)
    if target in (Target.SCHEDULER, Target.POSTGRES):
        _wait_for_scheduler(demo, at)
    return Round(target, killed, delay, time.monotonic() - began)


@contextmanager
def under_load(home: Path, journals: Path, kinds: Mapping[str, str] = CLIENTS) -> Iterator[None]:
    """Clients in processes of their own, at work until the block ends; each must survive it.

    When the block ends they finish what they began: nothing is killed any more, so they can.
    """
    clients = {name: _client(kind, home, journals / name) for name, kind in kinds.items()}
    try:
        for name, client in clients.items():
            while not journal.read(journals / name):
                assert client.poll() is None, _last_words(journals, name)
                time.sleep(0.1)
        yield
        for client in clients.values():
            client.terminate()
        for name, client in clients.items():
            assert client.wait(timeout=RECOVERY) == 0, _last_words(journals, name)
    finally:
        for client in clients.values():
            client.kill()
            client.wait()


def _last_words(journals: Path, name: str) -> str:
    return f"{name} did not survive. The end of its log:\n{tail(journals / f'{name}.log')}"


def _client(kind: str, home: Path, path: Path) -> subprocess.Popen[bytes]:
    words = [kind, "--home", str(home), "--journal", str(path)]
    with path.with_name(f"{path.name}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.journeys.load", *words],
            cwd=REPOSITORY,
            stdout=log,
            stderr=log,
        )


def _kill(demo: Demo, target: Target, dice: Random) -> str:
    until = time.monotonic() + RECOVERY
    while time.monotonic() < until:
        with suppress(psutil.NoSuchProcess):
            victims = _victims(demo, target, dice)
            if target is Target.TASK and victims:
                time.sleep(dice.uniform(0, 0.5))  # not always as soon as it is seen
                victims = [each for each in victims if _lives(each)]
            if victims:
                victim = dice.choice(victims)
                name = " ".join(victim.cmdline()).strip()[-50:]
                victim.kill()
                while _lives(victim):
                    time.sleep(0.01)
                return name
        time.sleep(0.05)
    raise Unavailable(f"there was no {target} to kill within {RECOVERY:.0f} s")


def _victims(demo: Demo, target: Target, dice: Random) -> list[psutil.Process]:
    if target is Target.TASK:
        return _tasks(psutil.Process(demo.supervisor.pid(Target.SCHEDULER)))
    service = psutil.Process(demo.supervisor.pid(target))
    if target is Target.POSTGRES and dice.random() > POSTMASTERS:
        return [each for each in service.children() if "yizhan" in " ".join(each.cmdline())]
    return [service]


def _tasks(scheduler: psutil.Process) -> list[psutil.Process]:
    """Children of the scheduler's workers: each runs one task and nothing else."""
    return [each for worker in scheduler.children() for each in worker.children() if _lives(each)]


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _wait_for_scheduler(demo: Demo, since: datetime) -> None:
    """Airflow calls a scheduler healthy for a while after its death: wait for a sign of life."""
    until = time.monotonic() + RECOVERY
    with probes.asker() as client:
        while _heartbeat(demo, client) < since:
            if time.monotonic() > until:
                raise Unavailable(f"the scheduler gave no sign of life within {RECOVERY:.0f} s")
            time.sleep(0.2)


def _heartbeat(demo: Demo, client: httpx.Client) -> datetime:
    try:
        health = client.get(f"{demo.airflow.url}/api/v2/monitor/health").json()
        return datetime.fromisoformat(health["scheduler"]["latest_scheduler_heartbeat"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return datetime.min.replace(tzinfo=UTC)
