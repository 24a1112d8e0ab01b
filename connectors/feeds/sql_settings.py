"""How databases are read: the settings of every SQL feed."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Literal

from connectors.feeds.feed_settings import SAME, EnvName, Every, FeedSettings, Operations, interval


class SqlSource(FeedSettings):
    """A database: the variable with its address, and how long one question may take.

    `role` is taken on after logging in, where the engine knows roles (PostgreSQL).
    """

    connection: EnvName
    driver: str = "postgresql"
    statement_timeout: Every = "30m"
    role: str | None = None

    @property
    def time_limit(self) -> timedelta:
        """The longest that one question may take."""
        return interval(self.statement_timeout)


class SqlChanges(SqlSource):
    """A PostgreSQL table read whole once, then its change log by sequence."""

    opened_by: ClassVar[str] = "connectors.feeds.sql_changes:SqlFeed"

    kind: Literal["sql_changes"]
    driver: Literal["postgresql"] = "postgresql"
    table: str
    log: str
    sequence: str
    operation: str
    operations: Operations = SAME


SqlSettings = SqlChanges
