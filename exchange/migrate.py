"""From an empty database to today's tables: Alembic first, then the datasets' own tables."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, pool

from exchange.database import Database, Role
from exchange.libraries import tables

SCRIPTS = Path(__file__).parent.parent / "schemas" / "migrations"


def upgrade(database: Database) -> None:
    """Bring `database` up to date as its owner; running it again changes nothing."""
    url = database.dsn(Role.OWNER).replace("postgresql://", "postgresql+psycopg://", 1)
    engine = create_engine(url, poolclass=pool.NullPool, hide_parameters=True)
    with engine.begin() as connection:
        # One upgrade at a time: two starting processes must not both create the tables.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7238141)")
        config = Config()
        config.set_main_option("script_location", str(SCRIPTS))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    with database.connect(Role.OWNER) as owner:
        tables.create(owner)
        owner.commit()
