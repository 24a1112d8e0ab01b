"""`yizhan db`: what an administrator must run, and bringing the tables up to date."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from exchange import bootstrap, migrate
from exchange.settings import AIRFLOW_DATABASE, Settings, database_at

app = typer.Typer(no_args_is_help=True)


@app.command()
def grants() -> None:
    """Print the SQL that the administrator of your own PostgreSQL server must run once.

    Passwords appear as SCRAM-SHA-256 verifiers only. Example:
    yizhan db grants | psql -h db.city.example -U postgres
    """
    home = Path(os.environ.get("YIZHAN_HOME", ".yizhan")).resolve()
    url = os.environ.get("YIZHAN_DATABASE_URL", "postgresql://localhost/yizhan")
    name = database_at(url, home).name
    typer.echo(bootstrap.grants_sql(home, name, AIRFLOW_DATABASE))


@app.command()
def upgrade() -> None:
    """Bring the tables up to date; running it again changes nothing."""
    settings = Settings.load()
    migrate.upgrade(settings.database)
    where = settings.database
    typer.echo(f"{where.name} on {where.host}:{where.port} is up to date")
