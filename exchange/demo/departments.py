"""The demo's departments as running systems, and what the product must know to reach them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from connectors.testkit import city as testkit
from connectors.testkit import gateway
from connectors.testkit.city import Access, City, Truth, cloud, desks
from exchange import ports, probes
from exchange.postgres import Cluster
from exchange.processes import postgres_service
from exchange.settings import remembered_ports, secret_text
from exchange.supervisor import Service, Supervisor

POLICE, CLOUD = "police", "government_cloud"
"""Two databases of one server, which the police run for the city."""

FIRST_DAY = date(2026, 11, 22)


@dataclass(frozen=True)
class Departments:
    """Where the departments are, with the keys of their own clerks."""

    folder: Path
    police_dsn: str
    estate_url: str
    access: Access
    environment: Mapping[str, str]

    @property
    def truth(self) -> Truth:
        """What must become of everything that the departments sent."""
        return Truth.read(self.folder / "truth.json")


def open_departments(supervisor: Supervisor, city: City | None) -> Departments:
    """Start the departments; with a `city` they are filled first, without one they go on."""
    folder = supervisor.home / "departments"
    folder.mkdir(mode=0o700, exist_ok=True)
    police_dsn = _start_police(supervisor, folder)
    port = ports.claim(supervisor.home, "real-estate")
    gateway_port = ports.claim(supervisor.home, "platform")
    if city is not None:
        _fill(folder, city, police_dsn, _dsn(folder, supervisor.home, CLOUD))
    supervisor.start(
        _estate(port, folder / "real-estate"), _platform(gateway_port, folder / "platform")
    )
    return found(supervisor.home)


def _fill(folder: Path, city: City, police_dsn: str, cloud_dsn: str) -> None:
    """Give every department what it holds."""
    reader = _reader(folder)
    city.truth.write(folder / "truth.json")
    testkit.population.load(police_dsn, city.residents, reader_password=reader)
    desks.load_addresses(police_dsn, city.tables, reader_password=reader)
    desks.fill_cloud(cloud_dsn, city.tables, reader_password=reader)
    desks.open_platform(folder / "platform", city.tables)
    testkit.registry.drop_whole(folder / "drop", FIRST_DAY, city.registrations)
    desks.hand_out(folder / "desks", FIRST_DAY, city.tables)
    testkit.open_registry(folder / "real-estate", city)


def found(home: Path) -> Departments:
    """The departments of a home that were opened before. Reads only."""
    folder = home / "departments"
    known = remembered_ports(home)
    police = _dsn(folder, home, POLICE)
    estate_url = f"http://127.0.0.1:{known['real-estate']}"
    access = Access.read(folder / "real-estate")
    environment = {
        **testkit.environment(
            residents_dsn=_read_only(police, testkit.population.READER, folder),
            registrations=folder / "drop",
            estate_url=estate_url,
            access=access,
        ),
        **desks.environment(
            drops=folder / "desks",
            cloud_dsn=_read_only(_dsn(folder, home, CLOUD), cloud.READER, folder),
            platform_url=f"http://127.0.0.1:{known['platform']}",
            platform=gateway.Access.read(folder / "platform"),
        ),
    }
    return Departments(folder, police, estate_url, access, environment)


def install_manifests(sources: Path, schedules: Mapping[str, str] = {}) -> None:
    """Put the source manifests where the product looks for them.

    A source that is named in `schedules` is collected at that pace instead of its own.
    """
    sources.mkdir(parents=True, exist_ok=True)
    for manifest in testkit.SOURCES.glob("*.yaml"):
        text = manifest.read_text("utf-8")
        if pace := schedules.get(manifest.stem):
            text = re.sub(r"^schedule: .*$", f"schedule: {pace}", text, flags=re.MULTILINE)
        (sources / manifest.name).write_text(text, "utf-8")


def _start_police(supervisor: Supervisor, folder: Path) -> str:
    """The police have a PostgreSQL of their own: another server, not another schema of ours."""
    port = ports.claim(supervisor.home, "police")
    cluster = Cluster(folder / "police", port)
    password = secret_text(folder, "police.password")
    cluster.prepare(password)
    supervisor.start(postgres_service("police", cluster, password))
    with cluster.connect(password) as admin:
        for name in (POLICE, CLOUD):
            found = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
            if found.fetchone() is None:
                admin.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    return _dsn(folder, supervisor.home, POLICE)


def _dsn(folder: Path, home: Path, database: str) -> str:
    password = secret_text(folder, "police.password")
    port = remembered_ports(home)["police"]
    return f"postgresql://postgres:{password}@127.0.0.1:{port}/{database}"


def _read_only(dsn: str, role: str, folder: Path) -> str:
    return psycopg.conninfo.make_conninfo(dsn, user=role, password=_reader(folder))


def _reader(folder: Path) -> str:
    return secret_text(folder, "police-reader.password")


def _estate(port: int, folder: Path) -> Service:
    return Service(
        "real-estate",
        testkit.estate_argv(port, folder),
        healthy=probes.http(f"http://127.0.0.1:{port}/health"),
    )


def _platform(port: int, folder: Path) -> Service:
    return Service(
        "exchange-platform",
        gateway.gateway_argv(port, folder),
        healthy=probes.http(f"http://127.0.0.1:{port}/health"),
    )
