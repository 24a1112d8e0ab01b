"""The house that is measured: PostgreSQL with our tables, and our own processes, below one folder.

Nothing is tuned for a bench: the same services, the same settings, `fsync` on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier
from rich.console import Console

from exchange import bootstrap, migrate, ports
from exchange.database import Role
from exchange.postgres import SUPERUSER, Cluster
from exchange.processes import hub_service, postgres_service, signer_service
from exchange.settings import Settings
from exchange.supervisor import Supervisor


@dataclass(frozen=True)
class House:
    """What runs, and where."""

    supervisor: Supervisor
    cluster: Cluster
    settings: Settings
    hub_port: int

    def start_hub(self) -> None:
        """The process that answers HTTP."""
        self.supervisor.start(hub_service(self.settings, self.hub_port))

    def start_signer(self) -> None:
        """The process that holds the sealing keys."""
        self.supervisor.start(signer_service(self.settings))

    def owner(self) -> psycopg.Connection:
        """The administrator's connection; every statement commits."""
        return self.settings.database.connect(Role.OWNER, autocommit=True)

    def superuser(self) -> psycopg.Connection:
        """A connection that may make databases and checkpoints."""
        return self.cluster.connect(self.superuser_password)

    @property
    def superuser_password(self) -> str:
        """For programs that connect by themselves."""
        return bootstrap.superuser_password(self.settings.home)

    def superuser_dsn(self, database: str) -> str:
        """The same for another database of the server; it holds a password."""
        return make_conninfo(
            host="127.0.0.1",
            port=self.cluster.port,
            user=SUPERUSER,
            password=self.superuser_password,
            dbname=database,
        )

    @property
    def server(self) -> int:
        """The process of the database server."""
        return int((self.cluster.data / "postmaster.pid").read_text().split()[0])

    @contextmanager
    def database(self, name: str, template: str = "template1") -> Iterator[str]:
        """A database of that name, which goes with the block; the superuser's DSN of it."""
        made = SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template))
        with self.superuser() as admin:
            admin.execute(made)
        try:
            yield self.superuser_dsn(name)
        finally:
            with self.superuser() as admin:
                admin.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))

    @contextmanager
    def empty_library(self, name: str) -> Iterator[Settings]:
        """The house with a database that was never loaded, which goes with the block."""
        database = replace(self.settings.database, name=name)
        with self.database(name, self.settings.database.name):
            yield replace(self.settings, database=database)

    def settle(self) -> None:
        """Write out what earlier work left in memory, so that nobody pays for somebody else's."""
        with self.superuser() as admin:
            admin.execute("CHECKPOINT")


@contextmanager
def house(folder: Path) -> Iterator[House]:
    """An empty house in `folder`; everything in it ends with the block."""
    home = folder / "home"
    home.mkdir(mode=0o700)
    with Supervisor(home, Console(stderr=True).print) as supervisor:
        cluster = Cluster(home / "postgres", ports.claim(home, "postgres"))
        password = bootstrap.superuser_password(home)
        cluster.prepare(password)
        supervisor.start(postgres_service("postgres", cluster, password))
        migrate.upgrade(bootstrap.prepare(cluster, home))
        port = ports.claim(home, "hub")
        (home / "public_url").write_text(f"http://127.0.0.1:{port}\n")
        yield House(supervisor, cluster, Settings.load(home), port)
