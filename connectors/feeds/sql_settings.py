"""How databases are read: the settings of every SQL feed."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import StringConstraints

from connectors.feeds.feed_settings import SAME, EnvName, Every, FeedSettings, Operations, interval

Module = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.]*$")]
Name = Annotated[str, StringConstraints(pattern=r"^[^\\\x00]+$")]
"""A table (with its schema before a dot) or a column, as the database writes it."""
LookBack = Annotated[str, StringConstraints(pattern=r"^(0|[1-9]\d*[smhd]?)$")]
DialectName = Literal["postgresql", "mysql", "oracle", "dameng", "sqlite", "plain"]


class SqlSource(FeedSettings):
    """A database: the variable with its address, the driver, how long one question may take.

    `driver` is postgresql (by Arrow) or the module of a DB-API driver (`sql_drivers`), whose
    `dialect` need only be named when we do not know it. `role` is taken on after logging in
    (PostgreSQL by Arrow).
    """

    connection: EnvName
    driver: Module = "postgresql"
    dialect: DialectName | None = None
    statement_timeout: Every = "30m"
    role: Name | None = None

    @property
    def time_limit(self) -> timedelta:
        """The longest that one question may take."""
        return interval(self.statement_timeout)


class SqlChanges(SqlSource):
    """A PostgreSQL table read whole once, then its change log by sequence."""

    opened_by: ClassVar[str] = "connectors.feeds.sql_changes:SqlFeed"
    any_time: ClassVar[bool] = True

    kind: Literal["sql_changes"]
    driver: Literal["postgresql"] = "postgresql"
    table: Name
    log: Name
    sequence: Name
    operation: Name
    operations: Operations = SAME


class SqlCursor(SqlSource):
    """A table read whole once, then what its cursor column says is new.

    The cursor is a time or a rising number that every insert and update sets. `look_back` is how
    late behind it a row may be committed: a time (10m), or for a number how far (1000).
    """

    opened_by: ClassVar[str] = "connectors.feeds.sql_cursor:CursorFeed"
    any_time: ClassVar[bool] = True

    kind: Literal["sql_cursor"]
    table: Name
    cursor: Name
    look_back: LookBack = "10m"


class SqlSnapshot(SqlSource):
    """A table read whole each time.

    With a `fingerprint` nothing is read while it stays the same: the number of rows (`rows`), that
    and the highest value of some columns (a list), or the checksum of everything (`checksum`).
    """

    opened_by: ClassVar[str] = "connectors.feeds.sql_snapshot:SnapshotFeed"
    any_time: ClassVar[bool] = True

    kind: Literal["sql_snapshot"]
    table: Name
    fingerprint: Literal["rows", "checksum"] | tuple[Name, ...] | None = None


class PostgresReplication(SqlSource):
    """A PostgreSQL table read whole once, then its changes from a logical replication slot."""

    opened_by: ClassVar[str] = "connectors.feeds.postgres_replication:ReplicationFeed"

    kind: Literal["postgres_replication"]
    driver: Literal["postgresql"] = "postgresql"
    table: Name
    publication: Name
    slot: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,50}$")] | None = None


SqlSettings = SqlChanges | SqlCursor | SqlSnapshot | PostgresReplication
