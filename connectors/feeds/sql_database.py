"""What a SQL feed asks of a database, whatever driver reaches it.

Two rules hold for every driver. A window is read and summed in one consistent state of the
database (`hold`), so that both speak of the same rows. And nothing here can write: sessions are
read only where the engine has such a thing, and no statement that changes a table is ever sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from connectors.feeds.manifest import Manifest
from connectors.feeds.sql_dialects import Dialect
from connectors.feeds.sql_settings import SqlSource

if TYPE_CHECKING:
    import pyarrow as pa

Row = tuple[Any, ...]


class Database(Protocol):
    """A department's database. Its failures are `TransientFailure` and `PermanentFailure`."""

    @property
    def dialect(self) -> Dialect:
        """How to say things to it."""

    def ask(self, query: str) -> list[Row]:
        """A small question in a transaction of its own; lets go of what is held."""

    def hold(self, name: str) -> bool:
        """Keep one state of the database under `name`; whether it was kept already."""

    def stream(self, query: str) -> Iterator[pa.RecordBatch]:
        """The answer as text columns, in the state that is held. One at a time."""

    def aside(self, query: str) -> list[Row]:
        """A small question to the state that is held, from any thread, while a stream goes on."""

    def close(self) -> None:
        """Let go of it; a question that another thread is still asking ends in a failure."""


def open_database(manifest: Manifest, secrets: Mapping[str, str]) -> Database:
    """The database that a SQL manifest names, connected when it is first asked."""
    settings = manifest.feed
    assert isinstance(settings, SqlSource)
    address = manifest.secret(secrets, settings.connection)
    if settings.driver == "postgresql":
        from connectors.feeds.postgres_database import PostgresDatabase

        return PostgresDatabase(manifest, settings, address)
    from connectors.feeds.dbapi import DbapiDatabase

    return DbapiDatabase(manifest, settings, address)
