"""A small city and its departments, running."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import httpx
import pytest

from connectors.feeds import Manifest, load_manifests
from connectors.testkit.city import (
    SOURCES,
    Access,
    City,
    estate_argv,
    generate,
    open_registry,
    population,
    registry,
)
from tests.conftest import RunningCluster, free_port

DAY = date(2026, 1, 5)


@pytest.fixture(scope="session")
def city() -> City:
    return generate(seed=7, people=1000)


@pytest.fixture(scope="session")
def manifests() -> dict[str, Manifest]:
    return {manifest.source: manifest for manifest in load_manifests(SOURCES)}


@dataclass(frozen=True)
class Police:
    """The police's database: the clerk's DSN and the reader's."""

    clerk: str
    reader: str


@pytest.fixture
def police(cluster: RunningCluster, city: City) -> Iterator[Police]:
    name = f"police_{secrets.token_hex(4)}"
    cluster.create(name)
    with cluster.admin(name) as admin:
        clerk = admin.info.dsn + f" password={admin.info.password}"
    yield Police(clerk, population.load(clerk, city.residents, reader_password="read-only"))
    cluster.drop(name)


@pytest.fixture
def drop(tmp_path: Path, city: City) -> Path:
    folder = tmp_path / "drop"
    registry.drop_whole(folder, DAY, city.registrations)
    return folder


@dataclass
class Registry:
    """The land registry, answering at `url`."""

    url: str
    folder: Path
    port: int
    access: Access
    process: subprocess.Popen[bytes] | None = None

    @property
    def secrets(self) -> dict[str, str]:
        """What the manifests ask for."""
        return {
            "YIZHAN_SOURCE_ESTATE_URL": self.url,
            "YIZHAN_SOURCE_ESTATE_CLIENT": self.access.client_id,
            "YIZHAN_SOURCE_ESTATE_SECRET": self.access.client_secret,
        }

    def start(self) -> None:
        """Start its process and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            argv = estate_argv(self.port, self.folder)
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{self.url}/health").raise_for_status()
                return
            time.sleep(0.05)
        self.stop()
        raise AssertionError("the land registry did not start")

    def stop(self) -> None:
        """End its process."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(timeout=60)


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory, city: City) -> Iterator[Registry]:
    """The land registry's process, which takes longer to start than a test to run."""
    folder, port = tmp_path_factory.mktemp("estate"), free_port()
    office = Registry(f"http://127.0.0.1:{port}", folder, port, open_registry(folder, city))
    office.start()
    yield office
    office.stop()


@pytest.fixture
def estate(office: Registry, city: City) -> Registry:
    """The land registry as it was at the beginning."""
    open_registry(office.folder, city)
    return office
