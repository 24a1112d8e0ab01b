"""The first start: roles and databases on a server, by us on the embedded one, by its
administrator on a server of the user's own (`yizhan db grants` prints the same SQL)."""

from __future__ import annotations

import secrets
from pathlib import Path

import psycopg

from exchange import roles
from exchange.database import Database
from exchange.postgres import Cluster
from exchange.settings import AIRFLOW_DATABASE, DATABASE, passwords, secret_text

SUPERUSER_SECRET = "postgres.password"  # noqa: S105 - the name of a file


def superuser_password(home: Path) -> str:
    """The embedded server's superuser password."""
    return secret_text(home, SUPERUSER_SECRET)


def prepare(cluster: Cluster, home: Path) -> Database:
    """Roles and databases on a running embedded cluster; again is harmless."""
    with cluster.connect(superuser_password(home)) as admin:
        for statement in roles.role_statements(passwords(home), secrets.token_bytes(16)):
            _run(admin, statement)
        for name, statement in roles.database_statements(DATABASE, AIRFLOW_DATABASE):
            if not _exists(admin, name):
                _run(admin, statement)
        for statement in roles.closing_statements(DATABASE, AIRFLOW_DATABASE):
            _run(admin, statement)
    return Database("127.0.0.1", cluster.port, DATABASE, passwords(home))


def grants_sql(home: Path, database: str, airflow_database: str) -> str:
    """What the administrator of a server of the user's own must run, as a psql script."""
    made = roles.database_statements(database, airflow_database)
    conditional = [
        f"SELECT $sql${statement}$sql$ WHERE NOT EXISTS "  # noqa: S608 - printed, for psql
        f"(SELECT FROM pg_database WHERE datname = '{name}') \\gexec"
        for name, statement in made
    ]
    plain = [f"{s};" for s in roles.role_statements(passwords(home), secrets.token_bytes(16))]
    closing = [f"{s};" for s in roles.closing_statements(database, airflow_database)]
    # A database must exist before what is granted on it.
    return "\n".join([*plain, *conditional, *closing])


def _exists(admin: psycopg.Connection, name: str) -> bool:
    found = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
    return found.fetchone() is not None


def _run(admin: psycopg.Connection, statement: str) -> None:
    admin.execute(statement.encode())
