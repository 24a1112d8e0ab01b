"""Airflow in a home of the tests' own, with SQLite for its metadata, and the demo's departments.

One home and one Airflow a session: the first run of Airflow in a process takes seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.testkit import city
from exchange.demo import departments
from exchange.settings import Settings
from exchange.supervisor import Supervisor

DAGS = Path(__file__).parent.parent.parent / "dags"
PEOPLE = 1000
SEED = 7


@pytest.fixture(scope="package")
def airflow_home() -> Iterator[Path]:
    """A migrated Airflow, in the home that it was given before anything imported it."""
    home = Path(os.environ["AIRFLOW_HOME"])
    # Empty: `dag.test()` reads the whole folder again at every run. The bag below is read once.
    nothing = home / "dags"
    nothing.mkdir()
    environment = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(nothing),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "YIZHAN_SOURCES": str(city.SOURCES),
    }
    before = dict(os.environ)
    os.environ.update(environment)
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True
    )
    yield home
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="package")
def bag(airflow_home: Path) -> Any:
    """All DAGs, as the processor reads them, known to Airflow's database."""
    assert airflow_home
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    read = DagBag(DAGS)
    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(read, "dags-folder", None)
    return read


@pytest.fixture(scope="package")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[departments.Departments]:
    """The departments of a small city, running."""
    home = tmp_path_factory.mktemp("departments")
    with Supervisor(home, print) as supervisor:
        yield departments.open_departments(supervisor, city.generate(SEED, PEOPLE))


@pytest.fixture
def home(
    settings: Settings,
    opened: departments.Departments,
    monkeypatch: pytest.MonkeyPatch,
    airflow_home: Path,
) -> Settings:
    """The environment of a task, bound to the test's database and to the departments."""
    where = settings.database
    (settings.home / "secrets").mkdir(mode=0o700, exist_ok=True)
    for role, password in where.passwords.items():
        (settings.home / "secrets" / f"{role}.password").write_text(password)
    monkeypatch.setenv("YIZHAN_HOME", str(settings.home))
    monkeypatch.setenv(
        "YIZHAN_DATABASE_URL", f"postgresql://{where.host}:{where.port}/{where.name}"
    )
    for name, value in opened.environment.items():
        monkeypatch.setenv(name, value)
    return settings
