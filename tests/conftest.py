"""Real parts for every test: an embedded PostgreSQL a session, a fresh migrated database a test."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from xdist.remote import Producer
from xdist.scheduler.loadscope import LoadScopeScheduling

from exchange import bootstrap, migrate
from exchange.database import Database
from exchange.postgres import Cluster
from exchange.settings import Settings

LONG = bool(os.environ.get("YIZHAN_TEST_LONG"))


def free_port() -> int:
    """A TCP port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pytest_configure() -> None:
    """Give Airflow a home of the tests' own: dlt imports it, and it reads its settings once."""
    os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-")
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    os.environ["AIRFLOW__CORE__DEFAULT_TIMEZONE"] = "Asia/Shanghai"


def pytest_unconfigure() -> None:
    """Take it away."""
    shutil.rmtree(os.environ["AIRFLOW_HOME"], ignore_errors=True)


class Rooms(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships without types
    """Tests shared out between processes by file; journeys and DAGs each stay in one process.

    No two whole demos run at once, and Airflow is set up once.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((room for room in ("tests/journeys", "tests/dags") if room in file), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Share the tests out as above."""
    return Rooms(config, log)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes may hold the moment they were made at; every process must call a test the same."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: the journeys, whose shared demo comes after everybody's own.

    Only where the tests are shared out; in one process no Airflow works beside the other tests.
    """
    worker = "PYTEST_XDIST_WORKER" in os.environ

    def turn(item: pytest.Item) -> tuple[bool, bool]:
        shared = "demo" in getattr(item, "fixturenames", ())
        return worker != ("tests/journeys" in item.nodeid), shared

    items.sort(key=turn)


@dataclass(frozen=True)
class RunningCluster:
    """An embedded PostgreSQL that runs as long as the test session."""

    cluster: Cluster
    home: Path
    server: subprocess.Popen[bytes]

    def admin(self, database: str = "postgres") -> psycopg.Connection:
        """A superuser's connection, autocommitting."""
        return self.cluster.connect(bootstrap.superuser_password(self.home), database)

    def create(self, name: str, template: str = "template0") -> None:
        """A database of that name."""
        with self.admin() as admin:
            admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())

    def drop(self, name: str) -> None:
        """Away with it, and with whoever is still connected."""
        with self.admin() as admin:
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


@contextlib.contextmanager
def running_cluster(home: Path) -> Iterator[RunningCluster]:
    """Start an embedded PostgreSQL below `home`; stop it at the end."""
    cluster = Cluster(home / "postgres", free_port())
    password = bootstrap.superuser_password(home)
    cluster.prepare(password)
    with (home / "postgres.log").open("ab") as log:
        user = cluster.os_user
        server = subprocess.Popen(cluster.command(), stdout=log, stderr=log, user=user, group=user)
    try:
        cluster.wait(password)
        yield RunningCluster(cluster, home, server)
    finally:
        server.send_signal(2)  # SIGINT: PostgreSQL's fast shutdown
        server.wait(timeout=30)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    """One embedded PostgreSQL for the whole session."""
    with running_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="session")
def template(cluster: RunningCluster) -> Database:
    """A migrated database that every test's own is copied from."""
    database = bootstrap.prepare(cluster.cluster, cluster.home)
    migrate.upgrade(database)
    return database


@pytest.fixture
def database(cluster: RunningCluster, template: Database) -> Iterator[Database]:
    """A fresh migrated database."""
    name = f"test_{secrets.token_hex(6)}"
    cluster.create(name, template.name)
    yield replace(template, name=name)
    cluster.drop(name)


@pytest.fixture
def settings(database: Database, tmp_path: Path) -> Settings:
    """Settings of a home of the test's own, bound to `database`."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    return Settings(
        home=home,
        public_url="http://127.0.0.1:8000",
        database=database,
        sources=home / "sources",
    )
