"""A small table in a database of any kind, and the manifest of a feed that reads it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.feeds import Feed, Manifest, open_feed

COLUMNS = ("GMSFHM", "XM", "GXSJ")
VARIABLE = "YIZHAN_SOURCE_TABLE_DSN"


def manifest_of(feed: Mapping[str, Any], columns: tuple[str, ...] = COLUMNS) -> Manifest:
    """A manifest whose columns feed fields of the same names in small letters."""
    return Manifest.model_validate(
        {
            "source": "table",
            "dataset": "population.resident",
            "owner": "永康市公安局",
            "contact": "信息科",
            "feed": {"connection": VARIABLE, "table": "ryjbxx", **feed},
            "schedule": "1m",
            "columns": {column: column.lower() for column in columns},
            "guards": {"deleted_at_most": 0.05, "quarantined_at_most": 0.1},
        }
    )


@dataclass(frozen=True)
class Ledger:
    """An SQLite file with a table of three columns, and a feed on it."""

    path: Path

    def feed(self, **settings: Any) -> Feed:
        """A feed that reads it by Python's own driver."""
        manifest = manifest_of({"driver": "sqlite3", **settings})
        return open_feed(manifest, {VARIABLE: str(self.path)})

    def run(self, statement: str, *values: Any) -> None:
        """A deed of the department."""
        with closing(sqlite3.connect(self.path)) as conn, conn:
            conn.execute(statement, values)

    def write(self, number: str, name: str, at: str) -> None:
        """Enter a person, or enter him again."""
        self.run("DELETE FROM ryjbxx WHERE GMSFHM = ?", number)
        self.run("INSERT INTO ryjbxx VALUES (?, ?, ?)", number, name, at)


def ledger(path: Path) -> Ledger:
    """An empty one."""
    made = Ledger(path)
    made.run("CREATE TABLE ryjbxx (GMSFHM TEXT, XM TEXT, GXSJ TEXT)")
    return made
