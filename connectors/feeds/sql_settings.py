"""How databases are read: the settings of every SQL feed."""

from __future__ import annotations

from typing import ClassVar, Literal

from connectors.feeds.feed_settings import SAME, EnvName, FeedSettings, Operations


class SqlChanges(FeedSettings):
    """A PostgreSQL table read whole once, then its change log by sequence."""

    opened_by: ClassVar[str] = "connectors.feeds.sql_changes:SqlFeed"

    kind: Literal["sql_changes"]
    connection: EnvName
    table: str
    log: str
    sequence: str
    operation: str
    operations: Operations = SAME


SqlSettings = SqlChanges
