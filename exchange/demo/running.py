"""The whole demo up and running: departments, platform, client systems."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors.testkit.city import generate
from exchange.airflow import Airflow
from exchange.demo import clients, departments
from exchange.demo.departments import Departments
from exchange.processes import start_platform
from exchange.settings import Settings
from exchange.supervisor import Supervisor

Say = Callable[[str], None]


@dataclass(frozen=True)
class Demo:
    """What runs, and where."""

    supervisor: Supervisor
    settings: Settings
    airflow: Airflow
    departments: Departments


@contextmanager
def running(
    home: Path,
    *,
    people: int,
    licenses: int,
    seed: int,
    say: Say,
    keep: bool = False,
    schedules: Mapping[str, str] = {},
) -> Iterator[Demo]:
    """Start everything below `home` and stop it at the end; fresh unless `keep` finds a city.

    `schedules` gives sources another pace than their manifests do.
    """
    goes_on = keep and (home / "departments" / "truth.json").exists()
    with Supervisor(home, say) as supervisor:
        if not goes_on:
            _empty(home)
            say(f"a city of {people:,} people …")
        city = None if goes_on else generate(seed, people)
        opened = departments.open_departments(supervisor, city)
        departments.install_manifests(home / "sources", schedules)
        settings, airflow = start_platform(
            supervisor,
            say,
            task_environment={**opened.environment, "YIZHAN_ISSUE_LIMIT": str(licenses)},
        )
        clients.introduce(settings)
        yield Demo(supervisor, settings, airflow, opened)


def _empty(home: Path) -> None:
    """A fresh home; the lock that this supervisor holds, and its folder, stay."""
    for path in home.iterdir():
        if path.name == "run":
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
