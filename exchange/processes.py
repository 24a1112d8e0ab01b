"""Yizhan's own processes, wired together: PostgreSQL, the signer, the hub, Airflow.

This is the one place that knows how each process is started and how it is known to be well.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from exchange import bootstrap, migrate, ports, probes
from exchange.airflow import Airflow
from exchange.database import Role
from exchange.postgres import Cluster
from exchange.settings import Settings
from exchange.supervisor import Service, Supervisor
from schemas.errors import Invalid

MINIMUM_SERVER = 150000  # PostgreSQL 15: MERGE
Say = Callable[[str], None]


def start_platform(
    supervisor: Supervisor, say: Say, *, task_environment: Mapping[str, str]
) -> tuple[Settings, Airflow]:
    """Start everything that is ours, in order; returns where it is once all of it is healthy.

    `task_environment` is what the DAGs' tasks need besides: the addresses and passwords of sources.
    Raises `Unavailable` with the last words of the process that did not come up.
    """
    home = supervisor.home
    say("PostgreSQL …")
    _start_database(supervisor, home)
    hub_port = _fix_public_url(home)
    settings = Settings.load(home)
    _check_server(settings)
    say("tables …")
    migrate.upgrade(settings.database)
    airflow = Airflow.beside(settings, task_environment)
    say("signer, hub …")
    supervisor.start(signer_service(settings))
    supervisor.start(hub_service(settings, hub_port))
    say("Airflow's database …")
    airflow.migrate()
    say("Airflow …")
    supervisor.start(*airflow.services())
    airflow.keep_pools()
    return settings, airflow


def postgres_service(name: str, cluster: Cluster, password: str) -> Service:
    """An embedded PostgreSQL as a service; it is asked to stop by SIGINT, its fast shutdown."""

    def healthy() -> bool:
        cluster.connect(password).close()
        return True

    return Service(
        name,
        cluster.command(),
        healthy=healthy,
        os_user=cluster.os_user,
        stop_with=signal.SIGINT,
    )


def signer_service(settings: Settings) -> Service:
    """The process that holds the sealing keys."""
    return Service(
        "signer",
        [sys.executable, "-m", "license_vault.signer", "--home", str(settings.home)],
        healthy=probes.unix_socket(settings.signer_socket),
        environment={"YIZHAN_SIGNER_DSN": settings.database.dsn(Role.SIGNER)},
    )


def hub_service(settings: Settings, port: int) -> Service:
    """The process that answers HTTP."""
    return Service(
        "hub",
        [sys.executable, "-m", "exchange.app", "--port", str(port)],
        healthy=probes.http(f"http://127.0.0.1:{port}/healthz"),
        environment={"YIZHAN_HOME": str(settings.home), "YIZHAN_SOURCES": str(settings.sources)},
    )


def _start_database(supervisor: Supervisor, home: Path) -> None:
    if os.environ.get("YIZHAN_DATABASE_URL"):
        return
    cluster = Cluster(home / "postgres", ports.claim(home, "postgres"))
    password = bootstrap.superuser_password(home)
    cluster.prepare(password)
    supervisor.start(postgres_service("postgres", cluster, password))
    bootstrap.prepare(cluster, home)


def _check_server(settings: Settings) -> None:
    with settings.database.connect(Role.OWNER) as owner:
        version = owner.info.server_version
    if version < MINIMUM_SERVER:
        raise Invalid(f"PostgreSQL {version // 10000} is too old: Yizhan needs 15 or newer")


def _fix_public_url(home: Path) -> int:
    """The hub's port. At the first start the public address is written down, and never moves."""
    path = home / "public_url"
    asked = os.environ.get("YIZHAN_PUBLIC_URL", "").rstrip("/")
    if not path.exists():
        port = ports.claim(home, "hub", prefer=8000)
        path.write_text((asked or f"http://127.0.0.1:{port}") + "\n")
        return port
    fixed = urlsplit(path.read_text().strip())
    if fixed.hostname == "127.0.0.1" and fixed.port:
        return ports.claim_fixed(home, "hub", fixed.port)
    return ports.claim(home, "hub", prefer=8000)  # behind a gateway that has the public name
